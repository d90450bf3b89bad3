//! `.oci`: what Oracle Cloud imports with its launch options.
//!
//! In: a disk with holes. Out: an archive of `image_metadata.json` and a qcow2. Without the metadata an
//! image for ARM can't be started there: firmware and shapes can be named nowhere else (Oracle Cloud
//! Infrastructure, "Importing Custom Linux Images"; the fields are those of images that it exports).

use std::io::{self, Write};

use mailkiln_pin::Arch;

use crate::codec::{Block, Codec};
use crate::container::{Container, Plan, padded, zeros};
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened, member};
use crate::qcow2::{Clusters, Layout, Qcow2};
use crate::registry::{Description, Magic};
use crate::stretch::Stretch;
use crate::tar;

/// Members, as Oracle names them.
const METADATA: &str = "image_metadata.json";
const DISK: &str = "output.QCOW2";

/// An archive ends with two blocks of zeros.
const END: u64 = 2 * tar::BLOCK;

/// Bytes of qcow2's clusters.
const CLUSTER: u64 = 64 << 10;

/// For Oracle Cloud.
pub(crate) static OCI: Description = Description {
    name: "oci",
    suffix: "oci",
    title: "Oracle Cloud: qcow2 with launch options",
    magic: Magic::Tar(METADATA),
    step: 512,
    most: LARGEST_DISK,
    qemu: None,
    stream: None,
    codec: Codec::Plain,
    start,
    open,
};

/// Shapes with ARM processors: name, most OCPUs, most GB of memory.
const ARM_SHAPES: [(&str, u32, u32); 2] =
    [("VM.Standard.A1.Flex", 80, 512), ("VM.Standard.A2.Flex", 78, 946)];

fn metadata(arch: Option<Arch>) -> String {
    // Machines with x86 processors have both firmwares; what is on a disk that is not ours is not known,
    // and every machine there starts from a BIOS unless it is told otherwise.
    let (firmware, shapes) = match arch {
        Some(Arch::Aarch64) => ("UEFI_64", ARM_SHAPES.as_slice()),
        Some(Arch::X86_64) => ("UEFI_64", &[][..]),
        None => ("BIOS", &[][..]),
    };
    let shapes: Vec<String> = shapes
        .iter()
        .map(|(name, processors, memory)| {
            format!(
                "\n      {{\n        \"internalShapeName\": \"{name}\",\n        \
                 \"ocpuConstraints\": {{\"min\": 1, \"max\": {processors}}},\n        \
                 \"memoryConstraints\": {{\"minInGBs\": 1, \"maxInGBs\": {memory}}}\n      }}"
            )
        })
        .collect();
    let shapes = if shapes.is_empty() {
        "null".to_owned()
    } else {
        format!("{{\n    \"shapeCompatibilities\": [{}\n    ]\n  }}", shapes.join(","))
    };
    let paravirtualized: String = [
        "networkType",
        "bootVolumeType",
        "remoteDataVolumeType",
        "localDataVolumeType",
        "launchOptionsSource",
    ]
    .iter()
    .map(|key| format!("    \"{key}\": \"PARAVIRTUALIZED\",\n"))
    .collect();
    format!(
        "{{\n  \"version\": 2,\n  \"externalLaunchOptions\": {{\n    \"firmware\": \"{firmware}\",\n\
         {paravirtualized}    \"pvAttachmentVersion\": 2,\n    \
         \"pvEncryptionInTransitEnabled\": false,\n    \
         \"consistentVolumeNamingEnabled\": false\n  }},\n  \
         \"imageCapabilityData\": null,\n  \"imageCapsFormatVersion\": null,\n  \
         \"operatingSystem\": \"Debian\",\n  \"operatingSystemVersion\": \"13\",\n  \
         \"additionalMetadata\": {shapes}\n}}\n"
    )
}

fn start(plan: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    let metadata = metadata(plan.arch);
    out.write_all(&tar::header(METADATA, metadata.len() as u64))?;
    padded(out, metadata.as_bytes(), (metadata.len() as u64).next_multiple_of(tar::BLOCK))?;
    let used = plan.used(CLUSTER);
    let data = used.len() as u64;
    let layout = Layout::new(plan.disk.size(), used, data);
    // Whole clusters, so nothing pads it.
    out.write_all(&tar::header(DISK, layout.length()))?;
    Ok(Box::new(Archive(Clusters::start(&layout, plan.size, out)?)))
}

struct Archive(Clusters);

impl Container for Archive {
    fn take(
        &mut self,
        stretch: &Stretch<'_>,
        blocks: &[Block],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.0.take(stretch, blocks, out)
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.0.finish(out)?;
        zeros(out, END)
    }
}

fn open(file: Foreign) -> Result<Opened, BadFormat> {
    let disk = member(file, DISK)?;
    Ok(Box::new(Qcow2::open(disk.source)?))
}
