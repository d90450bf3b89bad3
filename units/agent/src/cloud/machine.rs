//! Which cloud a machine is in, by what its firmware says about it.
//!
//! In: files of `/sys/class/dmi/id`, which cost nothing. Out: a [`Cloud`], or none; then nobody is asked
//! and nothing is waited for. The words are those that cloud-init's `ds-identify` looks for.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A cloud with a source of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon EC2, and what is compatible with it on purpose.
    Ec2,
    /// Google Compute Engine.
    Gce,
    /// Microsoft Azure.
    Azure,
    /// OpenStack.
    OpenStack,
    /// Hetzner Cloud.
    Hetzner,
    /// DigitalOcean.
    DigitalOcean,
    /// Oracle Cloud Infrastructure.
    Oracle,
}

/// What the firmware says. What a machine does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dmi {
    /// `sys_vendor`.
    pub vendor: String,
    /// `product_name`.
    pub product: String,
    /// `product_uuid`, which root alone may read.
    pub uuid: String,
    /// `product_serial`, which root alone may read.
    pub serial: String,
    /// `chassis_asset_tag`.
    pub asset: String,
}

/// A field of [`Dmi`], how it must begin, and what that means. The first that fits counts.
type Row = (fn(&Dmi) -> &str, &'static str, Cloud);

const ROWS: &[Row] = &[
    (|it| &it.asset, "7783-7084-3265-9085-8269-3286-77", Cloud::Azure),
    (|it| &it.asset, "OracleCloud.com", Cloud::Oracle),
    (|it| &it.vendor, "Amazon EC2", Cloud::Ec2),
    // On Xen nothing else tells; some machines write the number the other way round.
    (|it| &it.uuid, "ec2", Cloud::Ec2),
    (|it| &it.product, "Google Compute Engine", Cloud::Gce),
    (|it| &it.serial, "GoogleCloud-", Cloud::Gce),
    (|it| &it.vendor, "Hetzner", Cloud::Hetzner),
    (|it| &it.vendor, "DigitalOcean", Cloud::DigitalOcean),
    (|it| &it.product, "OpenStack Nova", Cloud::OpenStack),
    (|it| &it.product, "OpenStack Compute", Cloud::OpenStack),
    (|it| &it.asset, "OpenTelekomCloud", Cloud::OpenStack),
    (|it| &it.asset, "SAP CCloud VM", Cloud::OpenStack),
    (|it| &it.asset, "HUAWEICLOUD", Cloud::OpenStack),
];

impl Dmi {
    /// Reads what there is below `sys`, which is `/sys` but in tests.
    pub fn read(sys: &Path) -> Self {
        let folder = sys.join("class/dmi/id");
        let field = |name: &str| {
            let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        Self {
            vendor: field("sys_vendor"),
            product: field("product_name"),
            uuid: field("product_uuid").to_ascii_lowercase(),
            serial: field("product_serial"),
            asset: field("chassis_asset_tag"),
        }
    }

    /// The number that a hypervisor gave this machine; `None` where it gave none. A copy of a machine has
    /// another one, and a machine whose settings were changed has the same: Proxmox makes the `instance-id` of
    /// NoCloud from the settings.
    pub fn machine(&self) -> Option<&str> {
        let digits = self.uuid.bytes().filter(u8::is_ascii_hexdigit);
        let is_none = digits.clone().all(|b| b == b'0') || digits.clone().all(|b| b == b'f');
        (digits.count() == 32 && !is_none).then_some(self.uuid.as_str())
    }

    /// Whether VMware made this machine, by what it says; its processor is asked before anything is done about it.
    pub fn is_vmware(&self) -> bool {
        self.vendor.starts_with("VMware")
    }

    /// The cloud that this is a machine of.
    pub fn cloud(&self) -> Option<Cloud> {
        let fits = |(field, word, _): &&Row| field(self).starts_with(word);
        ROWS.iter().find(fits).map(|(.., cloud)| *cloud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dmi(fields: &[(&str, &str)]) -> Dmi {
        let sys = tempfile::tempdir().unwrap();
        let folder = sys.path().join("class/dmi/id");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in fields {
            fs::write(folder.join(name), format!("{text}\n")).unwrap();
        }
        Dmi::read(sys.path())
    }

    #[test]
    fn a_number_that_every_machine_has_is_none() {
        for (uuid, known) in [
            ("4C4C4544-0001-4a10-8000-b2c04f000001", true),
            ("00000000-0000-0000-0000-000000000000", false),
            ("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", false),
            ("Not Settable", false),
            ("", false),
        ] {
            assert_eq!(dmi(&[("product_uuid", uuid)]).machine().is_some(), known, "{uuid}");
        }
    }

    #[test]
    fn clouds_are_known_by_their_firmware_and_other_machines_are_none() {
        for (fields, cloud) in [
            (&[("sys_vendor", "Amazon EC2")][..], Some(Cloud::Ec2)),
            (&[("sys_vendor", "Xen"), ("product_uuid", "EC2C0FFE-1")], Some(Cloud::Ec2)),
            (
                &[("sys_vendor", "Google"), ("product_name", "Google Compute Engine")],
                Some(Cloud::Gce),
            ),
            (
                &[
                    ("sys_vendor", "Microsoft Corporation"),
                    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),
                ],
                Some(Cloud::Azure),
            ),
            (&[("product_name", "OpenStack Nova")], Some(Cloud::OpenStack)),
            (&[("chassis_asset_tag", "HUAWEICLOUD")], Some(Cloud::OpenStack)),
            (&[("sys_vendor", "Hetzner"), ("product_name", "vServer")], Some(Cloud::Hetzner)),
            (&[("sys_vendor", "DigitalOcean")], Some(Cloud::DigitalOcean)),
            (&[("chassis_asset_tag", "OracleCloud.com")], Some(Cloud::Oracle)),
            // VMware has no service; Hyper-V at home, QEMU, a laptop, and a board that has no DMI.
            (&[("sys_vendor", "VMware, Inc."), ("product_name", "VMware20,1")], None),
            (&[("sys_vendor", "Microsoft Corporation")], None),
            (&[("sys_vendor", "QEMU"), ("product_name", "Standard PC (Q35 + ICH9, 2009)")], None),
            (&[("sys_vendor", "LENOVO"), ("product_uuid", "4c4c4544-ec2d")], None),
            (&[], None),
        ] {
            assert_eq!(dmi(fields).cloud(), cloud, "{fields:?}");
        }
    }
}
