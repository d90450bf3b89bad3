use super::*;

fn module(path: &str, depends: &[&str], aliases: &[&str]) -> Module {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let info =
        ModuleInfo { depends: owned(depends), aliases: owned(aliases), ..ModuleInfo::default() };
    Module { path: path.into(), info }
}

fn text(files: &[(&'static str, Vec<u8>)], name: &str) -> String {
    let (_, bytes) = files.iter().find(|(candidate, _)| *candidate == name).unwrap();
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn names_are_normalised_and_other_files_are_no_modules() {
    for (path, name) in [
        ("kernel/fs/ext4/ext4.ko", Some("ext4")),
        ("a/dm-verity.ko.xz", Some("dm_verity")),
        ("x.ko.zst", Some("x")),
        ("x.ko.tmp", None),
        ("modules.dep", None),
    ] {
        assert_eq!(module_name(path).as_deref(), name, "{path}");
    }
}

#[test]
fn dependencies_are_whole_and_each_comes_before_what_it_needs() {
    let modules = [
        module("k/jbd2.ko", &[], &[]),
        module("k/crc16.ko", &[], &[]),
        module("k/ext4.ko.xz", &["crc16", "jbd2", "mbcache"], &["fs-ext4", "[a-b]-c", "x]"]),
        module("k/mbcache.ko", &["crc16"], &[]),
        module("k/fuse.ko", &[], &["char-major-10-229", "devname:fuse"]),
    ];
    let order = "k/mbcache.ko\nk/ext4.ko\n";
    let indexes_made = indexes(&modules, KernelLists { order, ..KernelLists::default() }).unwrap();
    let files = indexes_made.files;
    let dep = text(&files, "modules.dep");
    assert_eq!(
        dep,
        "k/mbcache.ko: k/crc16.ko\nk/ext4.ko.xz: k/mbcache.ko k/crc16.ko k/jbd2.ko\n\
         k/crc16.ko:\nk/fuse.ko:\nk/jbd2.ko:\n"
    );
    assert!(text(&files, "modules.devname").ends_with("\nfuse fuse c10:229\n"));
    assert_eq!(normalise_alias("[a-b]-c").as_deref(), Some("[a-b]_c"));
    for wrong in ["x]", "[x", "a[b]]"] {
        assert_eq!(normalise_alias(wrong), None);
    }
}

#[test]
fn missing_circular_and_doubled_modules_are_named() {
    let lists = KernelLists::default();
    let missing = indexes(&[module("a.ko", &["b"], &[])], lists).unwrap_err().to_string();
    assert!(missing.contains("`a` needs `b`"), "{missing}");
    let circle = [module("a.ko", &["b"], &[]), module("b.ko", &["a"], &[])];
    assert!(
        matches!(indexes(&circle, lists), Err(DepmodError::Circle(names)) if names == ["a", "b"])
    );
    let twice = [module("x/a-b.ko", &[], &[]), module("y/a_b.ko.xz", &[], &[])];
    assert!(matches!(indexes(&twice, lists), Err(DepmodError::Twice(..))));
}

#[test]
fn garbage_is_no_module() {
    for bytes in [&b""[..], b"\x7fELF", &[0; 4096]] {
        assert!(ModuleInfo::parse(bytes).is_err());
    }
}
