//! The rules of a target file.

use std::ops::{Range, RangeInclusive};

use mailkiln_pin::Arch;

use super::file::{
    ArchValue, BootTable, ChainValue, DiskTable, FormatValue, KernelTable, StatusValue, TargetToml,
};
use super::{
    Boot, BootChain, Console, DiskSizes, Format, Kernel, Mib, ModulePattern, Modules, Status,
    Target,
};
use crate::document::{Located, read};
use crate::file::Text;
use crate::problem::{Flaw, Problems, Reported, SpecErrors, shown};
use crate::rules::{each, parsed};

/// Sizes of one partition that make sense, in MiB.
const SIZES: RangeInclusive<i64> = 1..=1 << 20;
/// Least size of an ESP in MiB: below, its clusters are too few for FAT32 (65525, Microsoft's FAT
/// specification, 3.5).
const LEAST_ESP: u32 = 34;
/// Words of the kernel's command line that others write.
const RESERVED: [&str; 4] = ["console", "init", "root", "roothash"];

/// Reads and checks a target file. `name` is the file's, without its ending.
///
/// # Errors
///
/// Everything that is wrong with it, in file order, each with its place, its reason and its cure.
pub fn parse(name: &str, text: &str) -> Result<Target, SpecErrors> {
    let mut problems = Problems::default();
    let target = read(text, &mut problems).and_then(|file| judge(name, file, &mut problems));
    problems.finish(target)
}

fn judge(name: &str, file: TargetToml, problems: &mut Problems) -> Result<Target, Reported> {
    let arch = value(file.arch, "arch", problems).map(|arch| match arch {
        ArchValue::X86_64 => Arch::X86_64,
        ArchValue::Aarch64 => Arch::Aarch64,
    });
    let status = value(file.status, "status", problems).map(|status| match status {
        StatusValue::BootedInCi => Status::BootedInCi,
        StatusValue::BootedInPart => Status::BootedInPart,
        StatusValue::BuiltOnly => Status::BuiltOnly,
    });
    let title = value(file.title, "title", problems);
    let consoles = consoles(file.consoles, problems);
    let formats = formats(file.formats, problems);
    let default_format = default_format(file.default_format, formats.as_deref().ok(), problems);
    let kernel = value(file.kernel, "kernel", problems).and_then(|it| kernel(it, problems));
    let extra = file.packages.map(|table| table.value).unwrap_or_default().extra;
    let packages = packages(extra, problems);
    let boot = value(file.boot, "boot", problems)
        .and_then(|table| boot(table, arch.as_ref().ok().copied(), problems));
    let disk = match file.disk {
        Some(table) => disk(table, boot.as_ref().ok(), problems),
        None => Err(problems.absent(&(0..0), "disk")),
    };
    Ok(Target {
        name: name.to_owned(),
        title: title?,
        status: status?,
        arch: arch?,
        consoles: consoles?,
        kernel: kernel?,
        packages: packages?,
        boot: boot?,
        disk: disk?,
        default_format: default_format?,
        formats: formats?,
    })
}

/// The value of a key that must be there.
fn value<T>(value: Option<Located<T>>, key: &str, problems: &mut Problems) -> Result<T, Reported> {
    value.map(|it| it.value).ok_or_else(|| problems.absent(&(0..0), key))
}

/// The entries of a list that must be there and must not be empty.
fn some<T>(
    list: Option<Located<Vec<T>>>,
    key: &str,
    problems: &mut Problems,
) -> Result<Vec<T>, Reported> {
    let Some(list) = list else { return Err(problems.absent(&(0..0), key)) };
    if list.value.is_empty() {
        let flaw = Flaw::new(format!("`{key}` is empty"), "one is needed", "write at least one");
        return Err(problems.add(flaw.at(&list.span)));
    }
    Ok(list.value)
}

/// Refuses an entry that was there before.
fn once<T: PartialEq + Copy>(
    seen: &mut Vec<T>,
    entry: T,
    span: &Range<usize>,
    problems: &mut Problems,
) -> Result<T, Reported> {
    if seen.contains(&entry) {
        let flaw = Flaw::new("this is there twice", "for the second time", "take it out");
        return Err(problems.add(flaw.at(span)));
    }
    seen.push(entry);
    Ok(entry)
}

fn consoles(
    list: Option<Located<Vec<Text>>>,
    problems: &mut Problems,
) -> Result<Vec<Console>, Reported> {
    let list = some(list, "consoles", problems)?;
    each(Some(list), |text| problems.check(&text.span, console(&text.value)))
}

fn console(text: &str) -> Result<Console, Flaw> {
    let (device, options) = match text.split_once(',') {
        Some((device, options)) => (device, Some(options)),
        None => (text, None),
    };
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    if !device.starts_with("tty") || !plain(device) || !options.is_none_or(plain) {
        return Err(Flaw::new(
            format!("`{}` is not a console", shown(text)),
            "not a terminal's name with its speed",
            "write it as in `console=`, like `tty0` or `ttyS0,115200n8`",
        ));
    }
    Ok(Console { device: device.to_owned(), options: options.map(str::to_owned) })
}

fn formats(
    list: Option<Located<Vec<Located<FormatValue>>>>,
    problems: &mut Problems,
) -> Result<Vec<Format>, Reported> {
    let list = some(list, "formats", problems)?;
    let mut seen = Vec::new();
    each(Some(list), |it| once(&mut seen, format(it.value), &it.span, problems))
}

fn format(value: FormatValue) -> Format {
    match value {
        FormatValue::Img => Format::Img,
        FormatValue::ImgZst => Format::ImgZst,
        FormatValue::Qcow2 => Format::Qcow2,
    }
}

fn default_format(
    value: Option<Located<FormatValue>>,
    formats: Option<&[Format]>,
    problems: &mut Problems,
) -> Result<Format, Reported> {
    let Some(Located { value, span }) = value else {
        return Err(problems.absent(&(0..0), "default_format"));
    };
    let format = format(value);
    if formats.is_some_and(|formats| !formats.contains(&format)) {
        let message = format!("the default format `{format}` is none of `formats`");
        let flaw = Flaw::new(message, "can't be made", "add it to `formats`, or choose another");
        return Err(problems.add(flaw.at(&span)));
    }
    Ok(format)
}

fn kernel(table: KernelTable, problems: &mut Problems) -> Result<Kernel, Reported> {
    let package = match &table.package {
        Some(text) => problems.check(&text.span, package(&text.value)),
        None => Err(problems.absent(&(0..0), "kernel.package")),
    };
    let arguments = each(table.arguments, |text| problems.check(&text.span, argument(&text.value)));
    let modules = modules(table.modules, "kernel.modules", None, problems);
    let initrd = match &modules {
        Ok(kept) => self::modules(table.initrd, "kernel.initrd", Some(kept), problems),
        Err(reported) => Err(*reported),
    };
    Ok(Kernel { package: package?, arguments: arguments?, modules: modules?, initrd: initrd? })
}

/// Patterns of modules, each once and, where `kept` is given, none that asks for more than is kept.
fn modules(
    list: Option<Located<Vec<Text>>>,
    key: &str,
    kept: Option<&Modules>,
    problems: &mut Problems,
) -> Result<Modules, Reported> {
    let list = some(list, key, problems)?;
    let mut seen: Vec<ModulePattern> = Vec::new();
    let patterns = each(Some(list), |text| {
        let pattern = parsed::<ModulePattern>(&text, problems)?;
        let flaw = if seen.contains(&pattern) {
            let message = format!("`{}` is there twice", pattern.as_str());
            Some(Flaw::new(message, "for the second time", "take it out"))
        } else if kept.is_some_and(|kept| !kept.covers(&pattern)) {
            let message = format!("the root does not keep `{}`", pattern.as_str());
            let cure = "add it to `kernel.modules`, or take it out";
            Some(Flaw::new(message, "the initrd takes its modules from the root", cure))
        } else {
            None
        };
        seen.push(pattern.clone());
        flaw.map_or(Ok(pattern), |flaw| Err(problems.add(flaw.at(&text.span))))
    })?;
    Ok(patterns.into_iter().collect())
}

fn argument(text: &str) -> Result<String, Flaw> {
    let flaw = |label| {
        let message = format!("`{}` can't be on the kernel's command line", shown(text));
        Flaw::new(message, label, "write one word of the kernel's parameters, like `quiet`")
    };
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic() && c != '"') {
        return Err(flaw("it is not one plain word"));
    }
    let key = text.split('=').next().unwrap_or_default();
    if RESERVED.contains(&key) || key.starts_with("mailkiln.") {
        return Err(flaw("the builder writes this one"));
    }
    Ok(text.to_owned())
}

/// Names of packages, sorted, each once.
fn packages(list: Option<Vec<Text>>, problems: &mut Problems) -> Result<Vec<String>, Reported> {
    let mut packages = each(list, |text| problems.check(&text.span, package(&text.value)))?;
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// A package's name (Debian Policy, 5.6.7).
fn package(text: &str) -> Result<String, Flaw> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && text.len() > 1 && text.chars().all(inner) {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(
        format!("`{}` is not a package's name", shown(text)),
        "lower-case letters, digits, `+`, `-` and `.`",
        "write it as apt does, like `linux-image-cloud-amd64`",
    ))
}

fn boot(table: BootTable, arch: Option<Arch>, problems: &mut Problems) -> Result<Boot, Reported> {
    let packages = packages(table.packages, problems);
    let span = table.chain.as_ref().map_or(0..0, |chain| chain.span.clone());
    let list = some(table.chain, "boot.chain", problems)?;
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
    Ok(Boot { chain, packages: packages? })
}

fn disk(
    table: Located<DiskTable>,
    boot: Option<&Boot>,
    problems: &mut Problems,
) -> Result<DiskSizes, Reported> {
    let Located { value: table, span } = table;
    let mut size = |size: Option<&Located<i64>>, key: &str| match size {
        Some(size) => problems.check(&size.span, mib(size.value)),
        None => Err(problems.absent(&span, key)),
    };
    let bios = table.bios.as_ref().map(|bios| size(Some(bios), "disk.bios")).transpose();
    let esp = size(table.esp.as_ref(), "disk.esp");
    let root = size(table.root.as_ref(), "disk.root");
    let verity = size(table.verity.as_ref(), "disk.verity");
    let sizes = DiskSizes { bios: bios?, esp: esp?, root: root?, verity: verity? };
    let needs_bios = boot.map(|boot| boot.chain.contains(&BootChain::GrubBios));
    match contradiction(&sizes, needs_bios) {
        Some(flaw) => Err(problems.add(flaw.at(&span))),
        None => Ok(sizes),
    }
}

fn mib(size: i64) -> Result<Mib, Flaw> {
    let fits = SIZES.contains(&size).then(|| u32::try_from(size).ok()).flatten();
    fits.map(Mib).ok_or_else(|| {
        let message = format!("{size} MiB can't be the size of a partition");
        Flaw::new(message, "out of range", format!("write MiB between 1 and {}", SIZES.end()))
    })
}

/// What is wrong with sizes that are each in range.
fn contradiction(sizes: &DiskSizes, needs_bios: Option<bool>) -> Option<Flaw> {
    if needs_bios.is_some_and(|needs| needs != sizes.bios.is_some()) {
        return Some(Flaw::new(
            "`disk.bios` and `boot.chain` disagree",
            "a BIOS boot partition belongs to `grub-bios`",
            "write `bios = 1` and `\"grub-bios\"`, or neither",
        ));
    }
    if sizes.esp.0 < LEAST_ESP {
        return Some(Flaw::new(
            format!("an ESP of {} MiB is too small", sizes.esp.0),
            "too few clusters for FAT32",
            format!("write {LEAST_ESP} or more"),
        ));
    }
    let tree = hash_tree_bytes(sizes.root.bytes());
    if tree > sizes.verity.bytes() {
        let needed = tree.div_ceil(1 << 20);
        return Some(Flaw::new(
            format!("{} MiB can't hold the hash tree of {} MiB", sizes.verity.0, sizes.root.0),
            "`disk.verity` is too small for `disk.root`",
            format!("write `verity = {needed}` or more"),
        ));
    }
    None
}

/// Bytes of dm-verity's tree over a root of so many bytes, with its superblock: SHA-256, blocks of
/// 4096 bytes (kernel documentation, device-mapper/verity).
fn hash_tree_bytes(root: u64) -> u64 {
    let mut level = root.div_ceil(4096);
    let mut blocks = 1;
    while level > 1 {
        level = level.div_ceil(4096 / 32);
        blocks += level;
    }
    blocks * 4096
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: &str = include_str!("../../../../images/x86_64.toml");

    #[test]
    fn the_target_of_the_first_image_is_read() {
        let target = parse("x86_64", X86_64).unwrap();
        let words: Vec<String> = target.consoles.iter().map(Console::argument).collect();
        assert_eq!(words, ["console=tty0", "console=ttyS0,115200n8"]);
        let devices: Vec<String> = target.consoles.iter().map(Console::path).collect();
        assert_eq!(devices, ["/dev/tty1", "/dev/ttyS0"]);
        assert_eq!(target.kernel.package, "linux-image-cloud-amd64");
        assert_eq!(target.boot.chain, [BootChain::GrubBios, BootChain::Uefi]);
        assert_eq!(target.disk.root.bytes(), 256 << 20);
        for (module, kept) in [
            ("drivers/md/dm-verity.ko.xz", true),
            ("drivers/net/ethernet/amazon/ena/ena.ko.xz", true),
            ("net/netfilter/nf_tables.ko.xz", true),
            ("fs/btrfs/btrfs.ko.xz", false),
            ("drivers/md/raid1.ko.xz", false),
        ] {
            assert_eq!(target.kernel.modules.keeps(module), kept, "{module}");
        }
    }

    #[test]
    fn each_rule_gives_its_reason() {
        for (from, to, reason) in [
            ("status = \"booted-in-ci\"", "status = \"perfect\"", "write one of `booted-in-ci`"),
            ("arch = \"x86_64\"", "arch = \"x86-64\"", "did you mean `\"x86_64\"`?"),
            ("arch = \"x86_64\"", "arch = \"aarch64\"", "only x86_64 machines have a BIOS"),
            ("\"tty0\"", "\"tty0 quiet\"", "not a terminal's name"),
            ("default_format = \"img\"", "default_format = \"qcow2\"\n#", ""),
            ("\"img.zst\", \"qcow2\"]", "\"img\"]", "second time"),
            ("formats = [\"img\", ", "formats = [", "none of `formats`"),
            ("arguments = []", "arguments = [\"root=/dev/sda\"]", "the builder writes"),
            ("arguments = []", "arguments = [\"a b\"]", "one plain word"),
            ("\"fs/fat\"", "\"fs/fat.ko\"", "not a path"),
            ("\"fs/fat\"", "\"fs/fat\", \"fs/fat\"", "`fs/fat` is there twice"),
            ("initrd = [", "initrd = [\n\"fs/btrfs\",", "the root does not keep `fs/btrfs`"),
            ("initrd = [", "initrd = [\n\"fs/*s\",", "the root does not keep `fs/*s`"),
            ("extra = []", "extra = [\"Nano\"]", "lower-case"),
            ("extra = []", "extras = []", "did you mean `extra`?"),
            ("\"grub-bios\", \"uefi\"", "\"grub-bios\"", "no `uefi`"),
            ("\"grub-bios\", \"uefi\"", "\"uefi\"", "disagree"),
            ("bios = 1", "", "disagree"),
            ("esp = 128", "esp = 32", "FAT32"),
            ("esp = 128", "esp = 0", "out of range"),
            ("verity = 4", "verity = 2", "write `verity = 3`"),
            ("verity = 4", "verity = 4\nvirtual = 8192", "`virtual`"),
            ("[kernel]", "[kernels]", "did you mean `kernel`?"),
        ] {
            assert!(X86_64.contains(from), "{from}");
            let result = parse("x86_64", &X86_64.replacen(from, to, 1));
            let said = result.err().map(|errors| errors.to_string()).unwrap_or_default();
            assert!(said.contains(reason), "{to}: {reason:?} is not in {said:?}");
            assert_eq!(said.is_empty(), reason.is_empty(), "{said}");
        }
    }

    #[test]
    fn hash_trees_have_the_size_that_veritysetup_gives_them() {
        // `veritysetup format` on files of these sizes, in blocks, the superblock included.
        for (root, blocks) in
            [(4096, 1), (8192, 2), (128 * 4096, 2), (129 * 4096, 4), (256 << 20, 518)]
        {
            assert_eq!(hash_tree_bytes(root), blocks * 4096, "{root}");
        }
    }
}
