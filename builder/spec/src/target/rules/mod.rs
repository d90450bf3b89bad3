//! The rules of a target file.

mod boot;
mod disk;
mod hardware;
mod kernel;
mod provider;

use std::ops::Range;

use mailkiln_pin::Arch;

use super::file::{ArchValue, PackagesTable, StatusValue, TargetToml};
use super::{Console, FormatName, Packages, Shared, Status, Target, bases};
use crate::document::{Located, parse_table, read_table};
use crate::file::Text;
use crate::problem::{Flaw, Problems, Reported, SpecErrors, shown};
use crate::rules::each;

/// Reads and checks a target file. `name` is the file's, without its ending; `shared` is what it may
/// name: bases that it extends, and classes of kernel modules.
///
/// # Errors
///
/// Everything that is wrong with it, in file order, each with its place, its reason and its cure.
pub fn parse(name: &str, text: &str, shared: &Shared) -> Result<Target, SpecErrors> {
    let mut problems = Problems::default();
    let source = Source { name, text, shared };
    let target = read(&source, &mut problems).and_then(|file| judge(&source, file, &mut problems));
    problems.finish(target)
}

/// The file with what its bases say.
fn read(source: &Source<'_>, problems: &mut Problems) -> Result<TargetToml, Reported> {
    let mut table = parse_table(source.text, problems)?;
    bases::complete(&mut table, &source.shared.bases, problems)?;
    read_table(source.text, table, problems)
}

/// What is judged, and what it may refer to.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    shared: &'a Shared,
}

impl Source<'_> {
    /// The bytes of a line.
    fn span(&self, line: usize) -> Range<usize> {
        let before: usize = self.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let length = self.text[before..].lines().next().unwrap_or_default().len();
        before..before + length
    }

    /// The line of a span, from 1, for what only the build can find wrong.
    fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
    }
}

fn judge(
    source: &Source<'_>,
    file: TargetToml,
    problems: &mut Problems,
) -> Result<Target, Reported> {
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
    let consoles = consoles(file.consoles, file.recorded_consoles.unwrap_or_default(), problems);
    let formats = formats(file.formats, problems);
    let default_format = default_format(file.default_format, formats.as_deref().ok(), problems);
    let kernel = value(file.kernel, "kernel", problems)
        .and_then(|table| kernel::judge(table, &source.shared.classes, problems));
    let packages = installed(file.packages.map(|it| it.value).unwrap_or_default(), problems);
    let boot = value(file.boot, "boot", problems)
        .and_then(|table| boot::judge(table, arch.as_ref().ok().copied(), source, problems));
    let disk = match file.disk {
        Some(table) => disk::judge(table, boot.as_ref().ok(), problems),
        None => Err(problems.absent(&(0..0), "disk")),
    };
    let hardware = hardware::judge(file.hardware, problems);
    let imager_devices =
        each(file.imager_devices, |text| problems.check(&text.span, package(&text.value)));
    let provider = provider::judge(file.provider, problems);
    let qemu = hardware::qemu(file.qemu, boot.as_ref().ok(), problems);
    Ok(Target {
        name: source.name.to_owned(),
        title: title?,
        status: status?,
        arch: arch?,
        consoles: consoles?,
        kernel: kernel?,
        packages: packages?,
        boot: boot?,
        disk: disk?,
        hardware: hardware?,
        provider: provider?,
        imager_devices: imager_devices?,
        qemu: qemu?,
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
fn once<T: PartialEq + Clone>(
    seen: &mut Vec<T>,
    entry: T,
    span: &Range<usize>,
    problems: &mut Problems,
) -> Result<T, Reported> {
    if seen.contains(&entry) {
        let flaw = Flaw::new("this is there twice", "for the second time", "take it out");
        return Err(problems.add(flaw.at(span)));
    }
    seen.push(entry.clone());
    Ok(entry)
}

fn consoles(
    list: Option<Located<Vec<Text>>>,
    recorded: Vec<Text>,
    problems: &mut Problems,
) -> Result<Vec<Console>, Reported> {
    let list = some(list, "consoles", problems)?;
    let mut consoles: Vec<Console> =
        each(Some(list), |text| problems.check(&text.span, console(&text.value)))?;
    for text in recorded {
        let found = consoles.iter_mut().find(|console| console.device == text.value);
        let known = found.map(|console| console.recorded = true).ok_or_else(|| {
            Flaw::new(
                format!("`{}` is not one of `consoles`", shown(&text.value)),
                "not a console of this target",
                "name the device alone, like `ttyS0`",
            )
        });
        problems.check(&text.span, known)?;
    }
    Ok(consoles)
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
    Ok(Console { device: device.to_owned(), options: options.map(str::to_owned), recorded: false })
}

fn formats(
    list: Option<Located<Vec<Text>>>,
    problems: &mut Problems,
) -> Result<Vec<FormatName>, Reported> {
    let list = some(list, "formats", problems)?;
    let mut seen = Vec::new();
    each(Some(list), |it| {
        problems.check(&it.span, format(&it.value))?;
        once(&mut seen, it.value, &it.span, problems).map(FormatName)
    })
}

/// A word that can be a format's name; whether it is one, the list of formats says.
fn format(text: &str) -> Result<(), Flaw> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    if text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(Flaw::new(
        format!("`{}` is not the name of a format", shown(text)),
        "not lower-case letters, digits, `.` and `-`",
        "write it as `mailkiln build --help` lists it, like `img.zst`",
    ))
}

fn default_format(
    value: Option<Text>,
    formats: Option<&[FormatName]>,
    problems: &mut Problems,
) -> Result<FormatName, Reported> {
    let Some(Located { value, span }) = value else {
        return Err(problems.absent(&(0..0), "default_format"));
    };
    let name = FormatName(value);
    if formats.is_some_and(|formats| !formats.contains(&name)) {
        let message = format!("the default format `{}` is none of `formats`", shown(name.as_str()));
        let flaw = Flaw::new(message, "can't be made", "add it to `formats`, or choose another");
        return Err(problems.add(flaw.at(&span)));
    }
    Ok(name)
}

fn installed(table: PackagesTable, problems: &mut Problems) -> Result<Packages, Reported> {
    let extra = packages(table.extra, problems);
    let sets = each(table.sets, |text| problems.check(&text.span, package(&text.value)));
    let enable = each(table.enable, |text| problems.check(&text.span, unit(&text.value)));
    Ok(Packages { extra: extra?, sets: sets?, enable: enable? })
}

/// A unit that a package brings.
fn unit(text: &str) -> Result<String, Flaw> {
    let name = text.strip_suffix(".service").or_else(|| text.strip_suffix(".timer"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-@.".contains(c);
    match name {
        Some(name) if !name.is_empty() && name.chars().all(plain) => Ok(text.to_owned()),
        _ => Err(Flaw::new(
            format!("`{}` is not a unit", shown(text)),
            "not a name that ends with `.service` or `.timer`",
            "write it as systemctl does, like `iwd.service`",
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::super::builtin::builtin_shared;
    use super::super::{BootChain, BootContent, Mib};
    use super::*;

    const X86_64: &str = include_str!("../../../../../images/x86_64.toml");
    const BOARD: &str = include_str!("../../../../../images/rockpro64.toml");
    const PI: &str = include_str!("../../../../../images/rpi3.toml");

    fn parse(name: &str, text: &str) -> Result<Target, SpecErrors> {
        super::parse(name, text, &builtin_shared().unwrap())
    }

    #[test]
    fn the_target_of_the_first_image_is_read() {
        let target = parse("x86_64", X86_64).unwrap();
        let words: Vec<String> = target.consoles.iter().map(Console::argument).collect();
        assert_eq!(words, ["console=tty0", "console=ttyS0,115200n8"]);
        let devices: Vec<String> = target.consoles.iter().map(Console::path).collect();
        assert_eq!(devices, ["/dev/tty1", "/dev/ttyS0"]);
        let recorded: Vec<bool> = target.consoles.iter().map(Console::is_recorded).collect();
        assert_eq!(recorded, [false, true]);
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
            (
                "recorded_consoles = [\"ttyS0\"]",
                "recorded_consoles = [\"ttyS1\"]",
                "not a console of this target",
            ),
            ("default_format = \"img\"", "default_format = \"qcow2\"\n#", ""),
            ("formats = [\"img\", ", "formats = [\"img\", \"img\", ", "second time"),
            ("formats = [\"img\", ", "formats = [\"img\", \"IMG\", ", "not the name of a format"),
            ("formats = [\"img\", ", "formats = [", "none of `formats`"),
            ("arguments = []", "arguments = [\"root=/dev/sda\"]", "the builder writes"),
            ("arguments = []", "arguments = [\"a b\"]", "one plain word"),
            ("\"drivers/rtc\"", "\"drivers/rtc.ko\"", "not a path"),
            ("\"drivers/rtc\"", "\"drivers/rtc\", \"drivers/rtc\"", "`drivers/rtc` is there twice"),
            ("\"drivers/rtc\"", "\"fs/fat\"", "`fs/fat` is there twice"),
            ("\"base\", ", "\"bass\", ", "did you mean `base`?"),
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
            ("verity = 4", "verity = 4\nhybrid_mbr = true", "want the same sector"),
        ] {
            expect(X86_64, from, to, reason);
        }
    }

    #[test]
    fn each_rule_of_boards_gives_its_reason() {
        for (from, to, reason) in [
            ("lba = 64", "lba = 2", "the partition table is there"),
            ("lba = 64", "lba = -1", "the partition table is there"),
            ("lba = 16384", "lba = 32768", "write `start = 17` or more"),
            ("lba = 64\n", "", "has no `lba`"),
            ("source = \"usr/", "source = \"/usr/", "not a path in a package"),
            ("source = \"usr/", "source = \"../usr/", "not a path in a package"),
            ("folder = \"dtb/rockchip\"", "folder = \"EFI\"", "the builder writes this folder"),
            ("rk3399-rockpro64.dtb\"", "rk3399-rockpro64\"", "ends with `.dtb`"),
            ("watchdog = 15", "watchdog = 3", "out of range"),
        ] {
            expect(BOARD, from, to, reason);
        }
        for (from, to, reason) in [
            ("path = \"config.txt\"", "path = \"start.ELF\"", "on the ESP twice"),
            ("path = \"config.txt\"", "path = \"/config.txt\"", "can't be on the ESP"),
            (
                "lines = [",
                "source = \"usr/x\"
lines = [",
                "both `source` and `lines`",
            ),
            ("kernel = \"u-boot.bin\"", "kernel = \"vmlinuz\"", "is not on the ESP"),
            ("machine = \"raspi3b\"", "machine = \"raspi3b,x=1\"", "not a name that QEMU has"),
            ("serial = 1", "serial = 1\nnetwork = \"-x\"", "not a name that QEMU has"),
            ("memory = 1024", "memory = 1", "out of range"),
            ("enable = [\"iwd.service\"]", "enable = [\"iwd\"]", "is not a unit"),
        ] {
            expect(PI, from, to, reason);
        }
    }

    /// That `text` with `to` for `from` is refused with `reason`; with none, that it is not.
    fn expect(text: &str, from: &str, to: &str, reason: &str) {
        assert!(text.contains(from), "{from}");
        let result = parse("x", &text.replacen(from, to, 1));
        let said = result.err().map(|errors| errors.to_string()).unwrap_or_default();
        assert!(said.contains(reason), "{to}: {reason:?} is not in {said:?}");
        assert_eq!(said.is_empty(), reason.is_empty(), "{said}");
    }

    #[test]
    fn boards_are_read() {
        let board = parse("rockpro64", BOARD).unwrap();
        let sectors: Vec<u64> = board.boot.blobs.iter().map(|blob| blob.lba).collect();
        assert_eq!((sectors, board.disk.start), (vec![64, 16384], Mib(16)));
        let tree = &board.boot.device_trees[0];
        assert_eq!(tree.source, "rockchip/rk3399-rockpro64.dtb");
        assert_eq!(tree.path, "dtb/rockchip/rk3399-rockpro64.dtb");
        assert!(BOARD.lines().nth(tree.line - 1).unwrap().contains(&tree.source));
        let pi = parse("rpi3", PI).unwrap();
        let config = pi.boot.files.iter().find(|file| file.path == "config.txt").unwrap();
        assert!(matches!(&config.content, BootContent::Text(text) if text.contains("u-boot.bin")));
        assert!(pi.disk.hybrid_mbr && pi.hardware.worn_by_writes);
        assert_eq!(pi.qemu.unwrap().machine, "raspi3b");
    }
}
