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
    #[schemars(required, extend("examples" = [["img", "img.zst"]]))]
    pub(super) formats: Option<Located<Vec<Located<FormatValue>>>>,
    #[schemars(required, example = &"img")]
    pub(super) default_format: Option<Located<FormatValue>>,
    #[schemars(required)]
    pub(super) kernel: Option<Located<KernelTable>>,
    pub(super) packages: Option<Located<PackagesTable>>,
    #[schemars(required)]
    pub(super) boot: Option<Located<BootTable>>,
    #[schemars(required)]
    pub(super) disk: Option<Located<DiskTable>>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum FormatValue {
    #[serde(rename = "img")]
    Img,
    #[serde(rename = "img.zst")]
    ImgZst,
    #[serde(rename = "qcow2")]
    Qcow2,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KernelTable {
    #[schemars(required, example = "linux-image-cloud-amd64")]
    pub(super) package: Option<Text>,
    #[schemars(extend("examples" = [["quiet"]]))]
    pub(super) arguments: Option<Vec<Text>>,
    #[schemars(required, extend("examples" = [["drivers/virtio", "fs/squashfs"]]))]
    pub(super) modules: Option<Located<Vec<Text>>>,
    #[schemars(required, extend("examples" = [["drivers/md/dm-verity", "fs/squashfs"]]))]
    pub(super) initrd: Option<Located<Vec<Text>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PackagesTable {
    #[schemars(extend("examples" = [["firmware-atheros"]]))]
    pub(super) extra: Option<Vec<Text>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BootTable {
    #[schemars(required, extend("examples" = [["uefi"]]))]
    pub(super) chain: Option<Located<Vec<Located<ChainValue>>>>,
    #[schemars(extend("examples" = [["systemd-boot-efi"]]))]
    pub(super) packages: Option<Vec<Text>>,
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
    #[schemars(example = 1)]
    pub(super) bios: Option<Located<i64>>,
    #[schemars(required, example = 128)]
    pub(super) esp: Option<Located<i64>>,
    #[schemars(required, example = 256)]
    pub(super) root: Option<Located<i64>>,
    #[schemars(required, example = 4)]
    pub(super) verity: Option<Located<i64>>,
}
