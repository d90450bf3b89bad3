//! GRUB: joined from made-up files, and judged by grub-mkimage on real ones.

use std::path::Path;

use mailkiln_pin::Sha256;

use super::*;
use crate::judge::judge;

/// A kernel of one segment, in the ELF that `kernel.img` is.
fn kernel(address: u32, length: usize) -> Vec<u8> {
    let mut elf = b"\x7fELF\x01\x01\x01".to_vec();
    elf.resize(16, 0);
    for half in [2_u16, 3] {
        elf.extend(half.to_le_bytes());
    }
    for word in [1, address, 52, 0, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 40, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    let length_word = length as u32;
    for word in [1, 84, address, address, length_word, length_word + 100, 7, 32] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend((0..length).map(|at| at as u8));
    elf
}

pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let mut boot = vec![0xaa; 512];
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    let mut first = vec![0xbb; 512];
    first[500..].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 8]);
    let mut files = BTreeMap::from([
        ("boot.img".to_owned(), boot),
        ("diskboot.img".to_owned(), first),
        ("lzma_decompress.img".to_owned(), vec![0xcc; 100]),
        ("kernel.img".to_owned(), kernel(0x9000, 3000)),
        ("moddep.lst".to_owned(), b"fat: fshelp\nlinux: normal\n".to_vec()),
    ]);
    for (number, name) in MODULES.into_iter().chain(["fshelp"]).enumerate() {
        files.insert(format!("{name}.mod"), vec![number as u8; 1000 + number]);
    }
    files
}

#[test]
fn files_are_joined_where_grub_looks_for_them() {
    let files = files();
    let grub = Grub::new(&files).unwrap();
    let core = grub.core(Lba(2048), 2, "kiln").unwrap();
    assert_eq!(core.len() % 512, 0);
    assert_eq!(core[0x1f4..0x1fc], 2049_u64.to_le_bytes());
    assert_eq!(core[0x1fc..0x1fe], ((core.len() / 512 - 1) as u16).to_le_bytes());
    let packed = u32::from_le_bytes(core[520..524].try_into().unwrap()) as usize;
    let expanded = u32::from_le_bytes(core[524..528].try_into().unwrap()) as usize;
    let image = grub.memory_image("(,gpt2)/kiln").unwrap();
    assert_eq!(expanded, image.len());
    assert_eq!(image[3000..3004], *b"mimg");
    assert!(image.ends_with(b"(,gpt2)/kiln\0\0\0\0"));
    assert_eq!(expand(&core[612..612 + packed], expanded), image);

    let mut front = vec![0x11; 1024];
    grub.boot_sector(Lba(2048), &mut front).unwrap();
    assert_eq!(front[0x5c..0x64], 2048_u64.to_le_bytes());
    assert_eq!((front[0x64], &front[0x66..0x68]), (0xff, &[0x90, 0x90][..]));
    assert!(front[3..0x5a].iter().all(|&byte| byte == 0));
    assert!(front[0x1b8..].iter().all(|&byte| byte == 0x11), "the table is the disk's");
}

/// Expands a bare LZMA stream, by the header that GRUB does without.
fn expand(packed: &[u8], length: usize) -> Vec<u8> {
    let mut file = vec![0x5d, 0, 0, 1, 0];
    file.extend([0xff; 8]);
    file.extend(packed);
    let mut image = Vec::with_capacity(length);
    let mut stream = liblzma::stream::Stream::new_lzma_decoder(u64::MAX).unwrap();
    stream.process_vec(&file, &mut image, liblzma::stream::Action::Run).unwrap();
    image
}

#[test]
fn bytes_are_pinned() {
    let files = files();
    let core = Grub::new(&files).unwrap().core(Lba(2048), 2, "kiln").unwrap();
    assert_eq!(
        Sha256::of(&core).to_string(),
        "f4e74cd8485f13a624ed6ca0be16cc9189d8c8b9573cb82e1de463c5e33462d7"
    );
}

#[test]
fn files_that_are_not_grubs_are_refused() {
    type Edit<'a> = &'a dyn Fn(&mut BTreeMap<String, Vec<u8>>);
    let put = |name: &'static str, content: Vec<u8>| {
        move |files: &mut BTreeMap<String, Vec<u8>>| {
            files.insert(name.to_owned(), content.clone());
        }
    };
    let cases: [(&str, Edit<'_>); 9] = [
        ("no module", &|files| drop(files.remove("fshelp.mod"))),
        ("no boot sector", &put("boot.img", vec![0; 512])),
        ("short boot sector", &put("boot.img", vec![0x55, 0xaa])),
        ("no list", &put("diskboot.img", vec![0; 512])),
        ("list alone", &put("diskboot.img", [[0; 10].as_slice(), &[0x20, 8]].concat())),
        ("no ELF", &put("kernel.img", vec![0; 100])),
        ("linked elsewhere", &put("kernel.img", kernel(0x8000, 10))),
        ("large kernel", &put("kernel.img", kernel(0x9000, 0x6_0000))),
        ("large code", &put("lzma_decompress.img", vec![0; 4000])),
    ];
    for (case, edit) in cases {
        let mut files = files();
        edit(&mut files);
        let joined = Grub::new(&files).and_then(|grub| grub.core(Lba(2048), 2, "kiln"));
        assert!(joined.is_err(), "{case}");
    }
}

/// Compares with `grub-mkimage`, where it and its modules are installed. The compressor differs
/// (liblzma here, the LZMA SDK there), so what is compared is everything around it and what it
/// expands to.
#[test]
fn grub_mkimage_agrees() {
    let folder = Path::new("/").join(FOLDER);
    let Ok(dependencies) = std::fs::read_to_string(folder.join("moddep.lst")) else {
        assert!(std::env::var_os("CI").is_none(), "install grub-pc-bin and grub-common");
        return;
    };
    let files: BTreeMap<_, _> = Grub::needed(&dependencies)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap()))
        .collect();
    let grub = Grub::new(&files).unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut arguments: Vec<&std::ffi::OsStr> =
        ["-O", "i386-pc", "-p", "(,gpt2)/kiln", "-o"].map(AsRef::as_ref).into();
    arguments.push(output.path().as_ref());
    arguments.extend(MODULES.map(AsRef::<std::ffi::OsStr>::as_ref));
    if judge("grub-mkimage", &arguments).is_none() {
        return;
    }
    let theirs = std::fs::read(output.path()).unwrap();
    let ours = grub.core(Lba(2048), 2, "kiln").unwrap();
    let code = files["lzma_decompress.img"].len();
    // The list of blocks and the compressed length are what may differ.
    assert_eq!(ours[..0x1f4], theirs[..0x1f4]);
    assert_eq!(ours[512..520], theirs[512..520]);
    assert_eq!(ours[524..512 + code], theirs[524..512 + code]);
    let image = grub.memory_image("(,gpt2)/kiln").unwrap();
    assert_eq!(expand(&ours[512 + code..], image.len()), image);
    assert_eq!(expand(&theirs[512 + code..], image.len())[..], image[..]);
}
