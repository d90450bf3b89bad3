//! The descriptor of a virtual machine (DMTF DSP0243, OVF 1.1).
//!
//! In: names and sizes. Out: XML. Elements of an `Item` stand in the order of their names, as the schema of
//! CIM_ResourceAllocationSettingData has them.

use mailkiln_pin::Arch;

/// A machine with one disk and one network card.
pub(crate) struct Machine<'a> {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub(crate) name: &'a str,
    /// The file with its disk, beside the descriptor.
    pub(crate) disk_file: &'a str,
    /// Bytes of that file.
    pub(crate) file_size: u64,
    /// Bytes of the disk.
    pub(crate) capacity: u64,
    /// Its processor, where the disk says so.
    pub(crate) arch: Option<Arch>,
}

/// Memory and processors that the machine starts with.
const MEMORY_MIB: u32 = 1024;
const PROCESSORS: u32 = 2;

/// Virtual hardware of ESXi 6.7 and later.
const HARDWARE: &str = "vmx-14";

/// Types of resources (CIM_ResourceAllocationSettingData.ResourceType).
const PROCESSOR: u32 = 3;
const MEMORY: u32 = 4;
const SCSI: u32 = 6;
const NETWORK: u32 = 10;
const DISK: u32 = 17;
const OTHER_STORAGE: u32 = 20;

/// A resource: all that an `Item` may say of it, and what VMware adds.
#[derive(Default)]
struct Item<'a> {
    id: u32,
    kind: u32,
    name: &'a str,
    subtype: &'a str,
    quantity: Option<(u32, &'a str)>,
    parent: Option<(u32, u32)>,
    address: bool,
    connection: &'a str,
    host: &'a str,
}

impl Item<'_> {
    fn xml(&self) -> String {
        let mut lines = Vec::new();
        let mut add = |tag: &str, value: &str| {
            lines.push(format!("        <rasd:{tag}>{value}</rasd:{tag}>\n"))
        };
        if self.address {
            add("Address", "0");
        }
        if let Some((_, place)) = self.parent {
            add("AddressOnParent", &place.to_string());
        }
        if let Some((_, unit)) = self.quantity {
            add("AllocationUnits", unit);
        }
        if !self.connection.is_empty() {
            add("AutomaticAllocation", "true");
            add("Connection", self.connection);
        }
        add("ElementName", self.name);
        if !self.host.is_empty() {
            add("HostResource", self.host);
        }
        add("InstanceID", &self.id.to_string());
        if let Some((parent, _)) = self.parent {
            add("Parent", &parent.to_string());
        }
        if !self.subtype.is_empty() {
            add("ResourceSubType", self.subtype);
        }
        add("ResourceType", &self.kind.to_string());
        if let Some((quantity, _)) = self.quantity {
            add("VirtualQuantity", &quantity.to_string());
        }
        format!("      <Item>\n{}      </Item>\n", lines.concat())
    }
}

fn items(machine: &Machine<'_>) -> String {
    // VMware's machines with ARM processors have no paravirtual SCSI.
    let (kind, subtype) = match machine.arch {
        Some(Arch::Aarch64) => (OTHER_STORAGE, "vmware.nvme.controller"),
        _ => (SCSI, "VirtualSCSI"),
    };
    [
        Item {
            id: 1,
            kind: PROCESSOR,
            name: "processors",
            quantity: Some((PROCESSORS, "hertz * 10^6")),
            ..Item::default()
        },
        Item {
            id: 2,
            kind: MEMORY,
            name: "memory",
            quantity: Some((MEMORY_MIB, "byte * 2^20")),
            ..Item::default()
        },
        Item { id: 3, kind, name: "disk controller", subtype, address: true, ..Item::default() },
        Item {
            id: 4,
            kind: DISK,
            name: "disk",
            parent: Some((3, 0)),
            host: "ovf:/disk/disk1",
            ..Item::default()
        },
        Item {
            id: 5,
            kind: NETWORK,
            name: "network card",
            subtype: "VmxNet3",
            connection: "network",
            ..Item::default()
        },
    ]
    .iter()
    .map(Item::xml)
    .collect()
}

/// The descriptor. Its operating system, 96, is Debian with 64 bits (CIM_OperatingSystem.OSType).
pub(crate) fn descriptor(machine: &Machine<'_>) -> String {
    // VMware's own name of the system; those for ARM differ between its products.
    let system = match machine.arch {
        Some(Arch::Aarch64) => "",
        _ => " vmw:osType=\"other4xLinux64Guest\"",
    };
    let Machine { name, disk_file, file_size, capacity, .. } = machine;
    let items = items(machine);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:href="{disk_file}" ovf:id="file1" ovf:size="{file_size}"/>
  </References>
  <DiskSection>
    <Info>The disk</Info>
    <Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The network</Info>
    <Network ovf:name="network">
      <Description>Where mail comes from</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>A mail appliance</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="96"{system}>
      <Info>The operating system</Info>
      <Description>Debian 13, 64 bits</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo">
      <Info>The hardware</Info>
      <System>
        <vssd:ElementName>hardware</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>{HARDWARE}</vssd:VirtualSystemType>
      </System>
{items}      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
      <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="false"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
    )
}
