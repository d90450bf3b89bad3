//! What the disk of a machine hangs on, and which network card it has.
//!
//! In: names of the command line. Out: devices of QEMU. With other parts than virtio's an image shows whether it
//! has drivers of machines of metal.

use clap::ValueEnum;

/// What the disk hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Attachment {
    /// virtio-blk, as in most clouds.
    #[default]
    Virtio,
    /// An NVMe disk.
    Nvme,
    /// A stick on USB 3.
    Usb,
    /// A SATA disk.
    Ahci,
    /// A MegaRAID SAS controller; start it with --firmware bios.
    Megasas,
    /// An LSI 53C895A SCSI controller.
    Lsi,
    /// An LSI SAS1068 controller.
    Mptsas,
    /// VMware's SCSI controller.
    Pvscsi,
}

impl Attachment {
    /// Values of `-device`, for a drive that is called `disk`.
    pub(super) fn devices(self) -> Vec<String> {
        let behind = |controller: &str, disk: &str| {
            vec![format!("{controller},id=disks"), format!("{disk},bus=disks.0,drive=disk")]
        };
        match self {
            Self::Virtio => vec!["virtio-blk-pci,drive=disk".to_owned()],
            Self::Nvme => vec!["nvme,drive=disk,serial=mailkiln".to_owned()],
            Self::Usb => behind("qemu-xhci", "usb-storage"),
            Self::Ahci => behind("ich9-ahci", "ide-hd"),
            Self::Megasas => behind("megasas", "scsi-hd"),
            Self::Lsi => behind("lsi53c895a", "scsi-hd"),
            Self::Mptsas => behind("mptsas1068", "scsi-hd"),
            Self::Pvscsi => behind("pvscsi", "scsi-hd"),
        }
    }
}

/// A network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Card {
    /// virtio-net, as in most clouds.
    #[default]
    Virtio,
    /// Intel 82540EM.
    E1000,
    /// Intel 82574L.
    E1000e,
    /// Intel 82576.
    Igb,
    /// Realtek RTL8139.
    Rtl8139,
    /// VMware's.
    Vmxnet3,
}

impl Card {
    /// The name of QEMU's device.
    pub(super) const fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-net-pci",
            Self::E1000 => "e1000",
            Self::E1000e => "e1000e",
            Self::Igb => "igb",
            Self::Rtl8139 => "rtl8139",
            Self::Vmxnet3 => "vmxnet3",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_one_that_qemu_knows_by_its_name() {
        let Ok(said) =
            std::process::Command::new("qemu-system-x86_64").args(["-device", "help"]).output()
        else {
            return;
        };
        let known = String::from_utf8_lossy(&said.stdout).into_owned();
        let knows = |device: &str| {
            let name = device.split(',').next().unwrap_or_default();
            known.contains(&format!("name \"{name}\""))
        };
        for attachment in Attachment::value_variants() {
            for device in attachment.devices() {
                assert!(knows(&device), "{device}");
            }
        }
        for card in Card::value_variants() {
            assert!(knows(card.device()), "{card:?}");
        }
    }
}
