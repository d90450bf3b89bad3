use mailkiln_squashfs::{Pack, Params};

use super::*;
use crate::assemble;
use crate::deb::samples::{Sample, deb, directory, file, member, module};
use crate::prune::{KernelChoice, Rule};
use crate::{BuildLists, Unpacked};

fn unpack(members: &[Sample], policy: &Policy) -> Result<(Layer, Pack), UnpackError> {
    let mut writer = PackWriter::new(Vec::new(), Params::default())?;
    let layer = unpack_deb(&deb(members), policy, &mut writer)?;
    let pack = Pack::from_bytes(writer.finish()?.into()).map_err(io::Error::other)?;
    Ok((layer, pack))
}

fn refusal(members: &[Sample]) -> String {
    unpack(members, &Policy::default()).unwrap_err().to_string()
}

fn paths(layer: &Layer) -> Vec<&str> {
    layer.entries.iter().map(|entry| entry.path.as_str()).collect()
}

const COPYRIGHT: &[u8] = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+\n";

#[test]
fn a_package_becomes_a_layer_in_the_merged_usr() {
    let policy =
        Policy::of([Rule { verdict: Verdict::Drop, pattern: "usr/share/man", reason: "test" }]);
    let shadow = Sample { mode: 0o102755, gid: 42, ..file("./sbin/tool", b"program") };
    let members = [
        directory("./"),
        directory("./sbin/"),
        shadow,
        member(b'1', "./usr/bin/other", "./sbin/tool", b""),
        member(b'2', "./usr/bin/link", "other", b""),
        file("./usr/share/man/man1/tool.1.gz", b"text"),
        file("./usr/share/doc/sample/copyright", COPYRIGHT),
    ];
    let (layer, pack) = unpack(&members, &policy).unwrap();
    assert_eq!(
        paths(&layer),
        [
            "usr/bin/link",
            "usr/bin/other",
            "usr/sbin",
            "usr/sbin/tool",
            "usr/share/doc/sample/copyright",
            "var/lib/dpkg/info/sample.list",
        ]
    );
    assert_eq!(layer.package.licences, ["GPL-2.0-or-later"]);
    let tool = &layer.entries[3];
    assert_eq!((tool.mode, tool.gid), (0o2755, 42));
    assert_eq!(tool.kind, layer.entries[1].kind);
    let LayerKind::File(sha256, 7) = tool.kind else { panic!("{:?}", tool.kind) };
    assert_eq!(pack.read(&sha256).unwrap(), b"program");
    assert_eq!(Layer::decode(&layer.encode().unwrap()).unwrap(), layer);

    let tree = assemble(std::slice::from_ref(&layer)).unwrap();
    assert_eq!(tree.len(), 7);
    assert!(matches!(
        tree.get(&TreePath::parse("usr/bin/link").unwrap()).unwrap().kind,
        Kind::Symlink(_)
    ));
}

#[test]
fn a_hard_link_to_a_pruned_file_keeps_its_content() {
    let policy =
        Policy::of([Rule { verdict: Verdict::Drop, pattern: "usr/share/man", reason: "test" }]);
    let members = [
        file("./usr/share/man/tool", b"program"),
        member(b'1', "./usr/bin/tool", "./usr/share/man/tool", b""),
    ];
    let (layer, pack) = unpack(&members, &policy).unwrap();
    assert_eq!(paths(&layer)[0], "usr/bin/tool");
    let LayerKind::File(sha256, 7) = layer.entries[0].kind else { panic!("{:?}", layer.entries) };
    assert_eq!(pack.read(&sha256).unwrap(), b"program");
}

#[test]
fn ways_around_a_place_are_refused() {
    for (members, why) in [
        (vec![file("./a", b""), file("./a", b"")], "the same path"),
        (vec![directory("./a"), file("./a", b"")], "the same path"),
        (vec![file("./bin/a", b""), file("./usr/bin/a", b"")], "the same path"),
        (vec![member(b'2', "./a", "/etc", b""), file("./a/passwd", b"")], "not a directory"),
        (vec![file("./a/b/passwd", b""), member(b'2', "./a", "etc", b"")], "not a directory"),
        (vec![file("./a", b""), file("./a/b", b"")], "not a directory"),
        (vec![member(b'1', "./a", "./b", b"")], "not a file before it"),
        (vec![member(b'1', "./a", "./b", b""), member(b'1', "./b", "./a", b"")], "not a file"),
        (
            vec![member(b'2', "./b", "/etc/shadow", b""), member(b'1', "./a", "./b", b"")],
            "not a file",
        ),
        (vec![file("./usr/lib/modules/6/kernel/x.ko", b"no ELF")], "not a kernel module"),
    ] {
        let message = refusal(&members);
        assert!(message.contains(why), "{why}: {message}");
    }
}

#[test]
fn links_in_circles_are_only_links() {
    let circle = [member(b'2', "./a", "b", b""), member(b'2', "./b", "a", b"")];
    let (layer, _) = unpack(&circle, &Policy::default()).unwrap();
    let tree = assemble(&[layer]).unwrap();
    assert_eq!(tree.resolve(&TreePath::parse("a").unwrap()), None);
}

#[test]
fn two_packages_may_not_bring_different_files_to_one_path() {
    let layer = |name: &str, content| {
        let (mut layer, _) = unpack(&[file("./etc/x", content)], &Policy::default()).unwrap();
        layer.package.name = name.parse().unwrap();
        layer.entries.retain(|entry| entry.path.as_str() == "etc/x");
        layer
    };
    let message = assemble(&[layer("one", b"1"), layer("two", b"2")]).unwrap_err().to_string();
    assert!(message.contains("/etc/x comes from both `one` and `two`"), "{message}");
    assert!(assemble(&[layer("one", b"1"), layer("two", b"1")]).is_ok());
}

#[test]
fn control_files_are_checked() {
    let control = |text: &[u8]| {
        let files = BTreeMap::from([("control".to_owned(), text.to_vec())]);
        read_control(&files, Sha256::of(b"")).map(|package| package.control)
    };
    let good = "Package: sample\nVersion: 1\nArchitecture: all\n";
    assert_eq!(control(format!("{good}\n").as_bytes()).unwrap(), good);
    for bad in [
        "",
        "Package: sample\nVersion: 1\n",
        "Package: ../x\nVersion: 1\nArchitecture: all\n",
        "Package: sample\nVersion: 1\nArchitecture: all\n\nPackage: other\n",
        "Package: sample\nVersion: 1\nArchitecture: all\n \t\nPackage: other\n",
    ] {
        assert!(control(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(control(b"Package: \xff\n").is_err());
    assert!(read_control(&BTreeMap::new(), Sha256::of(b"")).is_err());
}

/// A kernel's modules; another package has their lists.
fn kernel() -> Vec<Sample> {
    let at = |path: &str| format!("./lib/modules/6.1/{path}");
    vec![
        file(&at("kernel/drivers/md/dm-bufio.ko"), &module("")),
        file(&at("kernel/drivers/md/dm-verity.ko"), &module("dm-bufio,reed_solomon")),
        file(&at("kernel/drivers/md/raid1.ko"), &module("")),
        file(&at("kernel/lib/reed_solomon/reed_solomon.ko"), &module("")),
        file(&at("kernel/net/netfilter/nf_tables.ko"), &module("")),
    ]
}

/// What its build says: one module is built in.
fn lists(builtin: &[u8]) -> BuildLists {
    let package = [
        file("./lib/modules/6.1/modules.builtin", builtin),
        file("./lib/modules/6.1/vmlinuz", b"the kernel"),
        file("./lib/modules/6.1/dtb/a/b.dtb", b"a device tree"),
    ];
    let (layer, pack) = unpack(&package, &Policy::kernel_data()).unwrap();
    let kept = ["usr/lib/modules/6.1/dtb/a/b.dtb", "usr/lib/modules/6.1/modules.builtin"];
    assert!(kept.iter().all(|path| paths(&layer).contains(path)), "{:?}", paths(&layer));
    assert!(!paths(&layer).contains(&"usr/lib/modules/6.1/vmlinuz"));
    BuildLists::read(&Unpacked { layers: vec![layer], packs: vec![pack] }).unwrap()
}

fn modules(named: &[&str], needed: &[&str]) -> Policy {
    let lists = lists(b"kernel/fs/ext4/ext4.ko\n");
    Policy::appliance().with_modules(KernelChoice {
        lists,
        named: named.iter().flat_map(|pattern| pattern.parse()).collect(),
        needed: needed.iter().map(|name| (*name).to_owned()).collect(),
        file: "images/sample.toml".into(),
    })
}

#[test]
fn of_a_kernel_stay_named_and_needed_modules_and_what_these_depend_on() {
    let policy = modules(&["drivers/md/dm-verity", "fs/ext4"], &["nf_tables"]);
    let (layer, pack) = unpack(&kernel(), &policy).unwrap();
    let kept: Vec<&str> = paths(&layer).into_iter().filter(|path| path.ends_with(".ko")).collect();
    assert_eq!(
        kept,
        [
            "usr/lib/modules/6.1/kernel/drivers/md/dm-bufio.ko",
            "usr/lib/modules/6.1/kernel/drivers/md/dm-verity.ko",
            "usr/lib/modules/6.1/kernel/lib/reed_solomon/reed_solomon.ko",
            "usr/lib/modules/6.1/kernel/net/netfilter/nf_tables.ko",
        ]
    );
    let dep = layer.entries.iter().find(|entry| entry.path.name() == "modules.dep").unwrap();
    let LayerKind::File(sha256, _) = dep.kind else { panic!("{:?}", dep.kind) };
    let dep = String::from_utf8(pack.read(&sha256).unwrap()).unwrap();
    assert_eq!(dep.lines().count(), 4, "{dep}");
}

#[test]
fn modules_that_a_kernel_does_not_have_are_named_with_the_file_that_asks_for_them() {
    let refusal = |policy: Policy| unpack(&kernel(), &policy).unwrap_err().to_string();
    let message = refusal(modules(&["fs/ext4", "fs/ext5", "drivers/md/dm-*", "net/n*/x_*"], &[]));
    for words in ["images/sample.toml keeps `fs/ext5`, `net/n*/x_*`,", "kernel 6.1", "correct"] {
        assert!(message.contains(words), "{message}");
    }
    let message = refusal(modules(&["fs/ext4"], &["loop", "nf_tables"]));
    assert!(message.contains("the services need `loop`,"), "{message}");
}

#[test]
fn a_choice_of_modules_is_another_policy() {
    let digest = |named, needed| modules(named, needed).digest();
    let own = digest(&["fs/ext4"], &["loop"]);
    assert_eq!(own, digest(&["fs/ext4"], &["loop"]));
    assert_ne!(own, digest(&["fs/ext4"], &[]));
    assert_ne!(own, digest(&["fs/ext4", "loop"], &[]));
    assert_ne!(own, Policy::appliance().digest());
}
