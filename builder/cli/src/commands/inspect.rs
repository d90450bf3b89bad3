//! `mailkiln inspect`: what an image holds, and whether its root is the one it boots.
//!
//! Reads every format that `build` writes. Everything in an image may be foreign, so its texts are
//! escaped before they are printed.

use std::fmt;

use mailkiln_format::{BadImage, Format};
use mailkiln_image::gpt::{SECTOR, kind};
use mailkiln_image::inspect::{self, BadDisk, Inspection, Root};
use mailkiln_spec::display_size;
use mailkiln_squashfs::{FileKind, Item};
use mailkiln_tree::TreePath;
use serde::Serialize;

use crate::arguments::InspectArguments;
use crate::failure::Failure;
use crate::printer::Printer;

/// Prints what the image holds; fails when its root was altered.
pub(super) fn run(arguments: &InspectArguments, printer: &Printer) -> Result<(), Failure> {
    let below = match (&arguments.path, arguments.tree) {
        (Some(path), _) => Some(TreePath::parse(path).map_err(|error| Failure::input(&error))?),
        (None, true) => Some(TreePath::ROOT),
        (None, false) => None,
    };
    let opened = mailkiln_format::open_with_format(&arguments.image);
    let (format, disk) = opened.map_err(|error| match error {
        BadImage::Io { path, error } => Failure::file("read", &path)(error),
        error => Failure::input(&error),
    })?;
    let disk = &*disk;
    let inspection = inspect::inspect(&disk).map_err(|error| match error {
        BadDisk::System => Failure::input(&error),
        _ => Failure::input(&error).with_hint("is it a complete image from `mailkiln build`?"),
    })?;
    let mut altered = None;
    let mut roots = Vec::new();
    for root in &inspection.roots {
        let verification = match root.verify(&disk, &inspection) {
            Ok(Some(_)) => Verification::Matches,
            Ok(None) => Verification::Unprotected,
            Err(error) => {
                altered.get_or_insert_with(|| Failure::work(&error));
                Verification::Altered { reason: error.to_string() }
            }
        };
        roots.push(RootReport::of(root, &inspection, verification, below.as_ref())?);
    }
    let least =
        mailkiln_flash::least_disk(&disk).map_err(Failure::file("read", &arguments.image))?;
    let image = arguments.image.display().to_string();
    let report = Report::of(&image, format, &inspection, least, roots);
    // As JSON the failure is the one document; people want to see both.
    if altered.is_none() || !printer.is_json() {
        printer.result(&report)?;
    }
    altered.map_or(Ok(()), Err)
}

/// All that is printed.
#[derive(Serialize)]
struct Report {
    image: String,
    /// Format of the image file.
    format: String,
    /// Bytes of the disk.
    size: u64,
    /// Bytes of the least disk on which the first boot has room; `None` for other systems, and after the first boot.
    least_disk: Option<u64>,
    disk_guid: String,
    partitions: Vec<PartitionReport>,
    boot_files: Vec<BootFile>,
    kernels: Vec<KernelReport>,
    roots: Vec<RootReport>,
}

#[derive(Serialize)]
struct PartitionReport {
    number: usize,
    label: String,
    r#type: String,
    guid: String,
    /// Bytes from the disk's start.
    start: u64,
    size: u64,
}

#[derive(Serialize)]
struct BootFile {
    path: String,
    size: u32,
}

#[derive(Serialize)]
struct KernelReport {
    path: String,
    release: Option<String>,
    command_line: String,
    root_hash: Option<String>,
}

/// Whether a root partition is the one that its kernel's command line names.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum Verification {
    /// Every block has the hash it should have.
    Matches,
    /// No kernel on the disk names a root hash for it.
    Unprotected,
    /// Some block has not.
    Altered { reason: String },
}

#[derive(Serialize)]
struct RootReport {
    partition: usize,
    label: String,
    root_hash: Option<String>,
    verification: Verification,
    /// How many files, directories and links there are.
    entries: usize,
    packages: Vec<PackageReport>,
    /// The file tree, as far as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<Vec<EntryReport>>,
}

#[derive(Serialize)]
struct PackageReport {
    name: String,
    version: String,
    architecture: String,
}

#[derive(Serialize)]
struct EntryReport {
    path: String,
    r#type: &'static str,
    /// Permission bits in octal.
    mode: String,
    uid: u32,
    gid: u32,
    size: Option<u64>,
    target: Option<String>,
}

impl Report {
    fn of(
        image: &str,
        format: Format,
        inspection: &Inspection<'_>,
        least_disk: Option<u64>,
        roots: Vec<RootReport>,
    ) -> Self {
        let partitions =
            (1..).zip(&inspection.table.partitions).map(|(number, partition)| PartitionReport {
                number,
                label: escaped(&partition.name),
                r#type: kind::name(partition.kind)
                    .map_or_else(|| partition.kind.to_string(), str::to_owned),
                guid: partition.guid.to_string(),
                start: partition.start.0.saturating_mul(SECTOR),
                size: partition.sectors.saturating_mul(SECTOR),
            });
        let files = inspection.boot_files.iter().filter(|item| !item.directory);
        let kernels = inspection.kernels.iter().map(|kernel| KernelReport {
            path: escaped(&kernel.path),
            release: kernel.uname.as_deref().map(escaped),
            command_line: escaped(&kernel.command_line),
            root_hash: kernel.root_hash.map(|hash| hash.to_string()),
        });
        Self {
            image: image.to_owned(),
            format: format.name().to_owned(),
            size: inspection.size,
            least_disk,
            disk_guid: inspection.table.disk.to_string(),
            partitions: partitions.collect(),
            boot_files: files
                .map(|item| BootFile { path: escaped(&item.path), size: item.size })
                .collect(),
            kernels: kernels.collect(),
            roots,
        }
    }
}

impl RootReport {
    fn of(
        root: &Root<'_>,
        inspection: &Inspection<'_>,
        verification: Verification,
        below: Option<&TreePath>,
    ) -> Result<Self, Failure> {
        let label = inspection.table.partitions.get(root.partition);
        let tree = below.map(|path| root.below(path).map(EntryReport::of).collect::<Vec<_>>());
        if let (Some([]), Some(path)) = (tree.as_deref(), below) {
            return Err(Failure::Input {
                message: format!("there is no {path} in the image"),
                causes: Vec::new(),
                hint: Some("`--tree` lists every file".to_owned()),
            });
        }
        let packages = root.packages.iter().map(|package| PackageReport {
            name: escaped(&package.name),
            version: escaped(&package.version),
            architecture: escaped(&package.architecture),
        });
        Ok(Self {
            partition: root.partition + 1,
            label: label.map(|partition| escaped(&partition.name)).unwrap_or_default(),
            root_hash: root.root_hash.map(|hash| hash.to_string()),
            verification,
            entries: root.files.items().len(),
            packages: packages.collect(),
            tree,
        })
    }
}

impl EntryReport {
    fn of(item: &Item) -> Self {
        let (kind, size, target) = match &item.kind {
            FileKind::Directory => ("directory", None, None),
            FileKind::File(data) => ("file", Some(data.size), None),
            FileKind::Symlink(target) => ("symlink", None, Some(escaped(target))),
            FileKind::Special(_) => ("special", None, None),
        };
        Self {
            path: item.path.to_string(),
            r#type: kind,
            mode: format!("{:04o}", item.mode),
            uid: item.uid,
            gid: item.gid,
            size,
            target,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, format, disk_guid, .. } = self;
        writeln!(f, "{image}: a disk of {}, {disk_guid}, as {format}", display_size(self.size))?;
        if let Some(least) = self.least_disk {
            writeln!(f, "The first boot needs a disk of {} or more", display_size(least))?;
        }
        writeln!(f, "\nPartitions")?;
        for partition in &self.partitions {
            let PartitionReport { number, label, r#type, guid, size, .. } = partition;
            writeln!(
                f,
                "{number:>3}  {label:<14}  {:>10}  {:<22}  {guid}",
                display_size(*size),
                r#type
            )?;
        }
        writeln!(f, "\nBoot files")?;
        for file in &self.boot_files {
            writeln!(f, "  {:>10}  {}", display_size(file.size.into()), file.path)?;
        }
        for kernel in &self.kernels {
            let release = kernel.release.as_deref().unwrap_or("of unknown release");
            writeln!(f, "\nKernel {release} in {}\n  {}", kernel.path, kernel.command_line)?;
        }
        self.roots.iter().try_for_each(|root| write!(f, "\n{root}"))
    }
}

impl fmt::Display for RootReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Root file system {}: {} entries, {} packages",
            self.label,
            self.entries,
            self.packages.len()
        )?;
        match (&self.verification, &self.root_hash) {
            (Verification::Matches, Some(hash)) => {
                writeln!(f, "  root hash {hash}: every block matches")?;
            }
            (Verification::Altered { .. }, Some(hash)) => {
                writeln!(f, "  root hash {hash}: DOES NOT MATCH")?;
            }
            _ => writeln!(f, "  not protected: no kernel on this disk names its root hash")?,
        }
        for package in &self.packages {
            let PackageReport { name, version, architecture } = package;
            writeln!(f, "  {name} {version} {architecture}")?;
        }
        let Some(tree) = &self.tree else { return Ok(()) };
        writeln!(f, "\nFiles of {}", self.label)?;
        tree.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for EntryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.r#type {
            "directory" => 'd',
            "symlink" => 'l',
            "special" => '?',
            _ => '-',
        };
        let owner = format!("{}:{}", self.uid, self.gid);
        let size = self.size.map(|size| size.to_string()).unwrap_or_default();
        write!(f, "{letter} {} {owner:>9} {size:>10} {}", self.mode, self.path)?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, " -> {target}"))
    }
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verification: Verification) -> Report {
        let entry = |kind, path: &str, size, target: Option<&str>| EntryReport {
            path: path.to_owned(),
            r#type: kind,
            mode: "0755".to_owned(),
            uid: 0,
            gid: 42,
            size,
            target: target.map(str::to_owned),
        };
        Report {
            image: "mail.img".to_owned(),
            format: "img".to_owned(),
            size: 3 << 20,
            least_disk: Some(600 << 20),
            disk_guid: "1-2".to_owned(),
            partitions: vec![PartitionReport {
                number: 1,
                label: "root-a".to_owned(),
                r#type: "root (x86_64)".to_owned(),
                guid: "3-4".to_owned(),
                start: 1 << 20,
                size: 1 << 20,
            }],
            boot_files: vec![BootFile { path: "EFI/BOOT/BOOTX64.EFI".to_owned(), size: 2048 }],
            kernels: vec![KernelReport {
                path: "EFI/BOOT/BOOTX64.EFI".to_owned(),
                release: None,
                command_line: "roothash=ab".to_owned(),
                root_hash: Some("ab".to_owned()),
            }],
            roots: vec![RootReport {
                partition: 1,
                label: "root-a".to_owned(),
                root_hash: Some("ab".to_owned()),
                verification,
                entries: 2,
                packages: vec![PackageReport {
                    name: "acl".to_owned(),
                    version: "2".to_owned(),
                    architecture: "amd64".to_owned(),
                }],
                tree: Some(vec![
                    entry("file", "/etc/hostname", Some(5), None),
                    entry("symlink", "/bin", None, Some("usr/bin")),
                ]),
            }],
        }
    }

    #[test]
    fn people_read_it_in_the_order_of_booting() {
        insta::assert_snapshot!(report(Verification::Matches).to_string(), @r"
        mail.img: a disk of 3 MiB, 1-2, as img
        The first boot needs a disk of 600 MiB or more

        Partitions
          1  root-a               1 MiB  root (x86_64)           3-4

        Boot files
               2 KiB  EFI/BOOT/BOOTX64.EFI

        Kernel of unknown release in EFI/BOOT/BOOTX64.EFI
          roothash=ab

        Root file system root-a: 2 entries, 1 packages
          root hash ab: every block matches
          acl 2 amd64

        Files of root-a
        - 0755      0:42          5 /etc/hostname
        l 0755      0:42            /bin -> usr/bin
        ");
    }

    #[test]
    fn an_altered_root_is_not_overlooked() {
        let reason = "block 7".to_owned();
        let report = report(Verification::Altered { reason });
        assert!(report.to_string().contains("root hash ab: DOES NOT MATCH"));
        let json = serde_json::to_value(&report.roots[0].verification).unwrap();
        assert_eq!(json, serde_json::json!({"state": "altered", "reason": "block 7"}));
        let unprotected = serde_json::to_value(Verification::Unprotected).unwrap();
        assert_eq!(unprotected, serde_json::json!({"state": "unprotected"}));
    }
}
