//! OVA: a VMDK with the description of its machine, as one archive.
//!
//! In: grains, deflated. Out: descriptor, manifest and VMDK (DMTF DSP0243, *Open Virtualization Format
//! Specification* 1.1, §5.3: the descriptor comes first, the manifest after it). How long the VMDK becomes, and its
//! digest, are known at the end only, so it waits in a temporary file.

use std::io::{self, Write};

use mailkiln_pin::{Arch, Sha256};

use crate::codec::{Block, Codec};
use crate::container::{Container, Plan, padded, zeros};
use crate::hashing::Hashing;
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened, member};
use crate::ovf::{self, Machine};
use crate::registry::{Description, Magic};
use crate::spool::Spool;
use crate::stretch::Stretch;
use crate::tar;
use crate::vmdk::{self, Grains};

/// An archive ends with two blocks of zeros.
const END: u64 = 2 * tar::BLOCK;

/// For VMware.
pub(crate) static OVA: Description = Description {
    name: "ova",
    suffix: "ova",
    title: "VMware, VirtualBox: the machine and its disk",
    magic: Magic::Tar(".ovf"),
    step: 1 << 20,
    most: LARGEST_DISK,
    qemu: None,
    stream: None,
    codec: Codec::Deflate,
    start,
    open,
};

struct Archive {
    name: String,
    arch: Option<Arch>,
    capacity: u64,
    grains: Grains,
    /// Given back at the end.
    disk: Option<Hashing<Spool>>,
}

fn start(plan: &Plan<'_>, _: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    let mut disk = Hashing::new(Spool::new(plan.scratch)?);
    let grains = Grains::start(plan, &mut disk)?;
    Ok(Box::new(Archive {
        name: plain(plan.name),
        arch: plan.arch,
        capacity: plan.size,
        grains,
        disk: Some(disk),
    }))
}

/// A name that every archive and file system takes: 60 characters, so that members fit a header.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().take(60).map(plain).collect();
    if name.is_empty() { "mail".to_owned() } else { name }
}

impl Container for Archive {
    fn take(
        &mut self,
        stretch: &Stretch<'_>,
        blocks: &[Block],
        _: &mut dyn Write,
    ) -> io::Result<()> {
        self.disk.as_mut().map_or(Ok(()), |disk| self.grains.take(stretch, blocks, disk))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(mut disk) = self.disk.take() else { return Ok(()) };
        self.grains.finish(&mut disk)?;
        let (mut disk, digest, size) = disk.finish()?;
        let file = format!("{}-disk1.vmdk", self.name);
        let machine = Machine {
            name: &self.name,
            disk_file: &file,
            file_size: size,
            capacity: self.capacity,
            arch: self.arch,
        };
        let descriptor = ovf::descriptor(&machine);
        let manifest = format!(
            "SHA256({}.ovf)= {}\nSHA256({file})= {digest}\n",
            self.name,
            Sha256::of(descriptor.as_bytes())
        );
        for (ending, text) in [("ovf", &descriptor), ("mf", &manifest)] {
            let length = text.len() as u64;
            out.write_all(&tar::header(&format!("{}.{ending}", self.name), length))?;
            padded(out, text.as_bytes(), length.next_multiple_of(tar::BLOCK))?;
        }
        out.write_all(&tar::header(&file, size))?;
        // A VMDK is whole sectors, so nothing pads it.
        disk.copy_to(out)?;
        zeros(out, END)
    }
}

fn open(file: Foreign) -> Result<Opened, BadFormat> {
    vmdk::open(member(file, ".vmdk")?)
}
