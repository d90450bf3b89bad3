//! GRUB's core image: kernel and modules as they lie in memory, compressed, behind the code that
//! expands them.

use liblzma::stream::{Action, LzmaOptions, MatchFinder, Mode, Status, Stream};
use object::read::elf::{ElfFile32, ProgramHeader as _};
use object::{Endianness, elf};

use super::{Grub, GrubError};

/// Where the kernel is linked to, and expanded to (`GRUB_KERNEL_I386_PC_LINK_ADDR`).
const LINK_ADDRESS: u32 = 0x9000;

/// Where the core image is loaded to, first sector aside, and the code that expands it must end.
const LOAD_ADDRESS: usize = 0x8200;

/// The loaded image must end here (`grub-mkimage`'s bound).
const LOAD_END: usize = 0x7_8000;

/// Kernel and its zeroed data must end here (`grub-mkimage`'s bound).
const KERNEL_END: u32 = 0x6_8000;

/// Where the expanding code keeps the two lengths (`grub/offsets.h`).
const COMPRESSED_AT: usize = 0x08;
const EXPANDED_AT: usize = 0x0c;

/// "gmim", the magic number of the list of modules.
const MODULE_MAGIC: u32 = 0x676d_696d;

/// Bytes of the header of the list, and of each object in it.
const LIST_HEADER: usize = 12;
const OBJECT_HEADER: usize = 8;

/// Kinds of objects (`grub/kernel.h`).
const OBJECT_ELF: u32 = 0;
const OBJECT_PREFIX: u32 = 3;

/// Length of the header of `.lzma` files, which GRUB does without.
const LZMA_HEADER: usize = 13;

impl Grub<'_> {
    /// What the first sector loads: the expanding code and the compressed image.
    pub(super) fn loaded(&self, prefix: &str) -> Result<Vec<u8>, GrubError> {
        let image = self.memory_image(prefix)?;
        let packed = compress(&image)?;
        let mut loaded = self.decompressor.to_vec();
        if loaded.len() < EXPANDED_AT + 4 || loaded.len() > LINK_ADDRESS as usize - LOAD_ADDRESS {
            let why = "its length is not that of GRUB's expanding code";
            return Err(GrubError::File { file: "lzma_decompress.img", why });
        }
        loaded[COMPRESSED_AT..COMPRESSED_AT + 4]
            .copy_from_slice(&(packed.len() as u32).to_le_bytes());
        loaded[EXPANDED_AT..EXPANDED_AT + 4].copy_from_slice(&(image.len() as u32).to_le_bytes());
        loaded.extend(packed);
        let room = LOAD_END - LINK_ADDRESS as usize;
        if loaded.len() > room {
            return Err(GrubError::TooLarge { size: loaded.len(), room });
        }
        Ok(loaded)
    }

    /// Kernel, then the list of modules and the prefix, as GRUB finds them in memory.
    pub(super) fn memory_image(&self, prefix: &str) -> Result<Vec<u8>, GrubError> {
        let mut image = kernel(self.kernel)?.to_vec();
        let mut objects = Vec::new();
        for module in &self.modules {
            object(&mut objects, OBJECT_ELF, module);
        }
        object(&mut objects, OBJECT_PREFIX, &[prefix.as_bytes(), &[0]].concat());
        for word in [MODULE_MAGIC, LIST_HEADER as u32, (LIST_HEADER + objects.len()) as u32] {
            image.extend(word.to_le_bytes());
        }
        image.extend(objects);
        Ok(image)
    }
}

/// Appends an object, padded to whole words.
fn object(out: &mut Vec<u8>, kind: u32, content: &[u8]) {
    let padded = content.len().next_multiple_of(4);
    out.extend(kind.to_le_bytes());
    out.extend(((padded + OBJECT_HEADER) as u32).to_le_bytes());
    out.extend(content);
    out.resize(out.len() + padded - content.len(), 0);
}

/// The bytes of the kernel's one segment, which is linked to its final address.
fn kernel(elf: &[u8]) -> Result<&[u8], GrubError> {
    let wrong = |why| GrubError::File { file: "kernel.img", why };
    let file = ElfFile32::<Endianness>::parse(elf).map_err(|_| wrong("it is not a 32-bit ELF"))?;
    let endian = file.endian();
    let mut segments =
        file.elf_program_headers().iter().filter(|header| header.p_type(endian) == elf::PT_LOAD);
    let (Some(segment), None) = (segments.next(), segments.next()) else {
        return Err(wrong("it has not exactly one segment to load"));
    };
    if segment.p_vaddr(endian) != LINK_ADDRESS
        || segment.p_memsz(endian) > KERNEL_END - LINK_ADDRESS
    {
        return Err(wrong("its segment is not linked to 0x9000, or too large"));
    }
    segment.data(endian, elf).map_err(|()| wrong("its segment lies outside the file"))
}

/// A bare LZMA stream with the parameters that GRUB's expanding code was built for (`lc` 3,
/// `lp` 0, `pb` 2) and `grub-mkimage`'s dictionary of 64 KiB.
fn compress(image: &[u8]) -> Result<Vec<u8>, GrubError> {
    let failed = |error: liblzma::stream::Error| GrubError::Compress(error.to_string());
    let mut options = LzmaOptions::new_preset(9).map_err(failed)?;
    options
        .dict_size(1 << 16)
        .literal_context_bits(3)
        .literal_position_bits(0)
        .position_bits(2)
        .mode(Mode::Normal)
        .nice_len(273)
        .match_finder(MatchFinder::BinaryTree4);
    let mut stream = Stream::new_lzma_encoder(&options).map_err(failed)?;
    let mut packed = Vec::with_capacity(image.len() + (1 << 16));
    let mut taken = 0;
    loop {
        let status =
            stream.process_vec(&image[taken..], &mut packed, Action::Finish).map_err(failed)?;
        taken = stream.total_in() as usize;
        match status {
            Status::StreamEnd => break,
            _ => packed.reserve(1 << 16),
        }
    }
    packed.drain(..LZMA_HEADER.min(packed.len()));
    Ok(packed)
}
