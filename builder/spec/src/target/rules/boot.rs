//! What of a target's disk is between firmware and kernel.

use std::ops::Range;

use mailkiln_pin::Arch;

use super::super::file::{BlobTable, BootTable, ChainValue, DeviceTreesTable, FileTable};
use super::super::{Blob, Boot, BootChain, BootContent, BootFile, DeviceTree};
use super::{Source, once, packages, some};
use crate::document::Located;
use crate::problem::{Flaw, Problems, Reported, shown};
use crate::rules::each;

/// The first sector behind a GPT at the disk's start: MBR, header and 128 entries (UEFI 2.10 §5.3).
const BEHIND_GPT: i64 = 34;

pub(super) fn judge(
    table: BootTable,
    arch: Option<Arch>,
    source: &Source<'_>,
    problems: &mut Problems,
) -> Result<Boot, Reported> {
    let packages = packages(table.packages, problems);
    let chain = chain(table.chain, arch, problems);
    let device_trees = match table.device_trees {
        Some(table) => device_trees(table, source, problems),
        None => Ok(Vec::new()),
    };
    let files = each(table.files, |table| file(table, source, problems));
    let blobs = each(table.blobs, |table| blob(table, source, problems));
    let boot = Boot {
        chain: chain?,
        packages: packages?,
        device_trees: device_trees?,
        files: files?,
        blobs: blobs?,
    };
    match twice(&boot) {
        Some((line, path)) => {
            let message = format!("`{path}` is on the ESP twice");
            let flaw = Flaw::new(message, "for the second time", "take one out");
            Err(problems.add(flaw.at(&source.span(line))))
        }
        None => Ok(boot),
    }
}

fn chain(
    chain: Option<Located<Vec<Located<ChainValue>>>>,
    arch: Option<Arch>,
    problems: &mut Problems,
) -> Result<Vec<BootChain>, Reported> {
    let span = chain.as_ref().map_or(0..0, |chain| chain.span.clone());
    let list = some(chain, "boot.chain", problems)?;
    let mut seen = Vec::new();
    let chain = each(Some(list), |it| {
        let chain = match it.value {
            ChainValue::GrubBios => BootChain::GrubBios,
            ChainValue::Uefi => BootChain::Uefi,
        };
        if chain == BootChain::GrubBios && arch.is_some_and(|arch| arch != Arch::X86_64) {
            let label = "only x86_64 machines have a BIOS";
            let flaw = Flaw::new("`grub-bios` can't boot this target", label, "take it out");
            return Err(problems.add(flaw.at(&it.span)));
        }
        once(&mut seen, chain, &it.span, problems)
    })?;
    if !chain.contains(&BootChain::Uefi) {
        let label = "the UKI on the ESP is what updates replace";
        let flaw = Flaw::new("`boot.chain` has no `uefi`", label, "add `\"uefi\"`");
        return Err(problems.add(flaw.at(&span)));
    }
    Ok(chain)
}

fn device_trees(
    table: Located<DeviceTreesTable>,
    source: &Source<'_>,
    problems: &mut Problems,
) -> Result<Vec<DeviceTree>, Reported> {
    let Located { value: table, span } = table;
    let folder = match &table.folder {
        Some(text) => problems.check(&text.span, esp_path(&text.value))? + "/",
        None => String::new(),
    };
    let list = match table.files {
        Some(list) => some(Some(list), "boot.device_trees.files", problems)?,
        None => return Err(problems.absent(&span, "files")),
    };
    each(Some(list), |text| {
        let tree = problems.check(&text.span, tree_path(&text.value))?;
        let name = tree.rsplit('/').next().unwrap_or_default();
        let path = format!("{folder}{name}");
        Ok(DeviceTree { path, source: tree, line: source.line(&text.span) })
    })
}

fn file(
    table: Located<FileTable>,
    source: &Source<'_>,
    problems: &mut Problems,
) -> Result<BootFile, Reported> {
    let Located { value: table, span } = table;
    let path = needed(table.path, "path", &span, problems)
        .and_then(|text| problems.check(&text.span, esp_path(&text.value)))?;
    let content = match (table.source, table.lines) {
        (Some(text), None) => {
            BootContent::Package(problems.check(&text.span, package_path(&text.value))?)
        }
        (None, Some(lines)) => {
            BootContent::Text(lines.iter().map(|line| format!("{}\n", line.value)).collect())
        }
        _ => {
            let message = format!("`{path}` has both `source` and `lines`, or neither");
            let cure = "write `source`, a path in a package, or `lines`, the contents";
            return Err(problems.add(Flaw::new(message, "one is needed", cure).at(&span)));
        }
    };
    Ok(BootFile { path, content, line: source.line(&span) })
}

fn blob(
    table: Located<BlobTable>,
    source: &Source<'_>,
    problems: &mut Problems,
) -> Result<Blob, Reported> {
    let Located { value: table, span } = table;
    let path = needed(table.source, "source", &span, problems)
        .and_then(|text| problems.check(&text.span, package_path(&text.value)))?;
    let lba = needed(table.lba, "lba", &span, problems)?;
    let behind = u64::try_from(lba.value).ok().filter(|_| lba.value >= BEHIND_GPT);
    let behind = behind.ok_or_else(|| {
        let message = format!("a blob can't start at sector {}", lba.value);
        let cure = format!("write a sector of 512 bytes from {BEHIND_GPT} on");
        Flaw::new(message, "the partition table is there", cure)
    });
    Ok(Blob { source: path, lba: problems.check(&lba.span, behind)?, line: source.line(&span) })
}

fn needed<T>(
    value: Option<Located<T>>,
    key: &str,
    span: &Range<usize>,
    problems: &mut Problems,
) -> Result<Located<T>, Reported> {
    value.ok_or_else(|| problems.absent(span, key))
}

/// The first path that two things of the ESP want, with its line. FAT knows no case.
fn twice(boot: &Boot) -> Option<(usize, &str)> {
    let trees = boot.device_trees.iter().map(|tree| (tree.line, tree.path.as_str()));
    let files = boot.files.iter().map(|file| (file.line, file.path.as_str()));
    let mut seen = Vec::new();
    trees.chain(files).find(|(_, path)| {
        let folded = path.to_ascii_lowercase();
        let known = seen.contains(&folded);
        seen.push(folded);
        known
    })
}

/// Whether every name of a path is plain, and none leads elsewhere.
fn is_plain(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
    };
    path.split('/').all(is_name)
}

fn esp_path(text: &str) -> Result<String, Flaw> {
    let flaw =
        |label, cure| Flaw::new(format!("`{}` can't be on the ESP", shown(text)), label, cure);
    let first = text.split('/').next().unwrap_or_default();
    if ["efi", "kiln"].contains(&first.to_ascii_lowercase().as_str()) {
        return Err(flaw("the builder writes this folder", "choose another"));
    }
    match is_plain(text) {
        true => Ok(text.to_owned()),
        false => Err(flaw(
            "not a path of letters, digits, `.`, `_`, `+` and `-`",
            "write it without `/` at its ends, like `overlays/disable-bt.dtbo`",
        )),
    }
}

fn package_path(text: &str) -> Result<String, Flaw> {
    match is_plain(text) {
        true => Ok(text.to_owned()),
        false => Err(Flaw::new(
            format!("`{}` is not a path in a package", shown(text)),
            "letters, digits, `.`, `_`, `+` and `-`",
            "write it without the `/` in front, like `usr/lib/u-boot/rpi_3/u-boot.bin`",
        )),
    }
}

fn tree_path(text: &str) -> Result<String, Flaw> {
    match is_plain(text) && text.ends_with(".dtb") {
        true => Ok(text.to_owned()),
        false => Err(Flaw::new(
            format!("`{}` is not a device tree", shown(text)),
            "not a path that ends with `.dtb`",
            "write it as in the kernel's package, like `rockchip/rk3399-rockpro64.dtb`",
        )),
    }
}
