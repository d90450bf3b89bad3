//! A target file as it is written, before any rule has judged it.
//!
//! In: TOML, through serde. Out: values with their spans; what is missing is `None` and reported.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::Located;
use crate::file::Text;

/// A board or a cloud.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetToml {
    #[schemars(required, example = "x86_64 machine or cloud")]
    pub(super) title: Option<Text>,
    #[schemars(required, example = &"booted-in-ci")]
    pub(super) status: Option<Located<StatusValue>>,
    #[schemars(required, example = &"x86_64")]
    pub(super) arch: Option<Located<ArchValue>>,
    #[schemars(required, extend("examples" = [["tty0", "ttyS0,115200n8"]]))]
    pub(super) consoles: Option<Located<Vec<Text>>>,
    #[schemars(extend("examples" = [["ttyS0"]]))]
    pub(super) recorded_consoles: Option<Vec<Text>>,
    #[schemars(required, extend("examples" = [["img", "img.zst"]]))]
    pub(super) formats: Option<Located<Vec<Text>>>,
    #[schemars(required, example = &"img")]
    pub(super) default_format: Option<Text>,
    #[schemars(extend("examples" = [["pi4-64bit"]]))]
    pub(super) imager_devices: Option<Vec<Text>>,
    #[schemars(required)]
    pub(super) kernel: Option<Located<KernelTable>>,
    pub(super) packages: Option<Located<PackagesTable>>,
    #[schemars(required)]
    pub(super) boot: Option<Located<BootTable>>,
    #[schemars(required)]
    pub(super) disk: Option<Located<DiskTable>>,
    pub(super) hardware: Option<Located<HardwareTable>>,
    pub(super) provider: Option<Located<ProviderTable>>,
    pub(super) qemu: Option<Located<QemuTable>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StatusValue {
    BootedInCi,
    BootedInPart,
    BuiltOnly,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) enum ArchValue {
    #[serde(rename = "x86_64")]
    X86_64,
    #[serde(rename = "aarch64")]
    Aarch64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KernelTable {
    #[schemars(required, example = "linux-image-cloud-amd64")]
    pub(super) package: Option<Text>,
    #[schemars(example = "kernel-backports")]
    pub(super) set: Option<Text>,
    #[schemars(extend("examples" = [["quiet"]]))]
    pub(super) arguments: Option<Vec<Text>>,
    #[schemars(extend("examples" = [["base", "hypervisor"]]))]
    pub(super) classes: Option<Vec<Text>>,
    #[schemars(extend("examples" = [["drivers/virtio", "fs/squashfs"]]))]
    pub(super) modules: Option<Vec<Text>>,
    #[schemars(extend("examples" = [["drivers/md/dm-verity", "fs/squashfs"]]))]
    pub(super) initrd: Option<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PackagesTable {
    #[schemars(extend("examples" = [["firmware-atheros"]]))]
    pub(super) extra: Option<Vec<Text>>,
    #[schemars(extend("examples" = [["wifi"]]))]
    pub(super) sets: Option<Vec<Text>>,
    #[schemars(extend("examples" = [["iwd.service"]]))]
    pub(super) enable: Option<Vec<Text>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BootTable {
    #[schemars(required, extend("examples" = [["uefi"]]))]
    pub(super) chain: Option<Located<Vec<Located<ChainValue>>>>,
    #[schemars(extend("examples" = [["systemd-boot-efi"]]))]
    pub(super) packages: Option<Vec<Text>>,
    pub(super) device_trees: Option<Located<DeviceTreesTable>>,
    pub(super) files: Option<Vec<Located<FileTable>>>,
    pub(super) blobs: Option<Vec<Located<BlobTable>>>,
}

/// Device trees of the kernel's package, put on the ESP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceTreesTable {
    #[schemars(example = "dtb/rockchip")]
    pub(super) folder: Option<Text>,
    #[schemars(required, extend("examples" = [["rockchip/rk3399-rockpro64.dtb"]]))]
    pub(super) files: Option<Located<Vec<Text>>>,
}

/// A file on the ESP: out of one of `packages`, or as written here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTable {
    #[schemars(required, example = "config.txt")]
    pub(super) path: Option<Text>,
    #[schemars(example = "usr/lib/raspi-firmware/start.elf")]
    pub(super) source: Option<Text>,
    #[schemars(extend("examples" = [["arm_64bit=1"]]))]
    pub(super) lines: Option<Vec<Text>>,
}

/// A file out of one of `packages` at a fixed place before the first partition.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BlobTable {
    #[schemars(required, example = "usr/lib/u-boot/rockpro64-rk3399/idbloader.img")]
    pub(super) source: Option<Text>,
    #[schemars(required, example = 64)]
    pub(super) lba: Option<Located<i64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChainValue {
    GrubBios,
    Uefi,
}

/// Sizes in MiB.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiskTable {
    #[schemars(example = 16)]
    pub(super) start: Option<Located<i64>>,
    pub(super) hybrid_mbr: Option<bool>,
    #[schemars(example = 1)]
    pub(super) bios: Option<Located<i64>>,
    #[schemars(required, example = 128)]
    pub(super) esp: Option<Located<i64>>,
    #[schemars(required, example = 256)]
    pub(super) root: Option<Located<i64>>,
    #[schemars(required, example = 4)]
    pub(super) verity: Option<Located<i64>>,
    #[schemars(example = 1024)]
    pub(super) size_multiple: Option<Located<i64>>,
}

/// What the machine is like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HardwareTable {
    #[schemars(example = 15)]
    pub(super) watchdog: Option<Located<i64>>,
    pub(super) worn_by_writes: Option<bool>,
}

/// What the cloud or hypervisor has and expects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderTable {
    #[schemars(example = &"on")]
    pub(super) secure_boot: Option<Located<SwitchValue>>,
    #[schemars(example = "Set-VMFirmware -VMName mail -EnableSecureBoot Off")]
    pub(super) secure_boot_switch: Option<Text>,
    #[schemars(extend("examples" = [["169.254.169.123"]]))]
    pub(super) time_servers: Option<Vec<Text>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SwitchValue {
    On,
    Off,
}

/// The machine of QEMU that stands for this one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QemuTable {
    #[schemars(required, example = &"raspi3b")]
    pub(super) machine: Option<Text>,
    #[schemars(required, example = 1024)]
    pub(super) memory: Option<Located<i64>>,
    #[schemars(required, example = "u-boot.bin")]
    pub(super) kernel: Option<Text>,
    #[schemars(required, example = "bcm2837-rpi-3-b.dtb")]
    pub(super) device_tree: Option<Text>,
    #[schemars(extend("examples" = [["brcm,bcm2835-pm"]]))]
    pub(super) without: Option<Vec<Text>>,
    #[schemars(example = "usb-net")]
    pub(super) network: Option<Text>,
    #[schemars(required, example = 1)]
    pub(super) serial: Option<Located<i64>>,
}
