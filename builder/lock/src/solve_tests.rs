use mailkiln_pin::Archive;

use super::*;

/// An index from lines `name version[ arch][; Field: value]…`.
fn index(lines: &[&str]) -> Vec<Package> {
    let mut text = String::new();
    for line in lines {
        let mut parts = line.split(';');
        let head: Vec<_> = parts.next().unwrap().split_whitespace().collect();
        let (name, version) = (head[0], head[1]);
        let arch = head.get(2).unwrap_or(&"amd64");
        text += &format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {arch}\nSize: 1\nSHA256: {}\n\
             Filename: pool/main/x/{name}/{name}_{version}_{arch}.deb\n",
            mailkiln_pin::Sha256::of(line.as_bytes())
        );
        for field in parts {
            text += &format!("{}\n", field.trim());
        }
        text.push('\n');
    }
    Package::read_plain(Archive::Debian, text.as_bytes()).unwrap()
}

fn chosen(lines: &[&str], wanted: &[&str], without: &[&str]) -> Result<Vec<String>, SolveError> {
    let index = index(lines);
    let universe = Universe::new(Arch::X86_64, &index)?;
    let wanted = Wanted {
        packages: wanted.iter().map(|name| (*name).to_owned()).collect(),
        excluded: without.iter().map(|name| name.parse().unwrap()).collect(),
        present: Vec::new(),
    };
    let pins = universe.solve(&wanted)?;
    Ok(pins.iter().map(|pin| format!("{}:{} {}", pin.name, pin.arch, pin.version)).collect())
}

#[test]
fn what_is_needed_comes_along() {
    type Case =
        (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
    // What it shows; the index; what is wanted; what comes of it.
    let cases: &[Case] = &[
        ("nothing else", &["aa 1", "bb 1"], &["aa"], &["aa:amd64 1"]),
        (
            "dependencies of dependencies",
            &["aa 1; Depends: bb", "bb 1; Pre-Depends: cc", "cc 1"],
            &["aa"],
            &["aa:amd64 1", "bb:amd64 1", "cc:amd64 1"],
        ),
        (
            "a circle",
            &["aa 1; Depends: bb", "bb 1; Depends: aa"],
            &["aa"],
            &["aa:amd64 1", "bb:amd64 1"],
        ),
        ("no Recommends", &["aa 1; Recommends: bb", "bb 1"], &["aa"], &["aa:amd64 1"]),
        ("the highest version", &["aa 1.9", "aa 1.10", "aa 1.10~rc1"], &["aa"], &["aa:amd64 1.10"]),
        (
            "the first alternative",
            &["aa 1; Depends: bb | cc", "bb 1", "cc 1"],
            &["aa"],
            &["aa:amd64 1", "bb:amd64 1"],
        ),
        (
            "an alternative that can be had",
            &["aa 1; Depends: bb (>= 2) | cc", "bb 1", "cc 1"],
            &["aa"],
            &["aa:amd64 1", "cc:amd64 1"],
        ),
        (
            "an alternative that is wanted anyway",
            &["aa 1; Depends: bb | cc", "bb 1; Conflicts: cc", "cc 1"],
            &["aa", "cc"],
            &["aa:amd64 1", "cc:amd64 1"],
        ),
        (
            "a virtual package",
            &["aa 1; Depends: vv", "bb 1; Provides: vv"],
            &["aa"],
            &["aa:amd64 1", "bb:amd64 1"],
        ),
        (
            "a real package before a virtual one",
            &["aa 1; Depends: vv", "bb 1; Provides: vv", "vv 1"],
            &["aa"],
            &["aa:amd64 1", "vv:amd64 1"],
        ),
        (
            "a provided version",
            &["aa 1; Depends: vv (>= 2)", "bb 1; Provides: vv", "cc 1; Provides: vv (= 3)"],
            &["aa"],
            &["aa:amd64 1", "cc:amd64 1"],
        ),
        (
            "one that conflicts with what it provides",
            &["aa 1; Provides: vv; Conflicts: vv"],
            &["aa"],
            &["aa:amd64 1"],
        ),
        (
            "one that breaks older versions only",
            &["aa 1; Breaks: bb (<< 2); Depends: bb", "bb 2"],
            &["aa"],
            &["aa:amd64 1", "bb:amd64 2"],
        ),
        (
            "packages without machine code",
            &["aa 1; Depends: bb", "bb 1 all; Depends: cc", "cc 1"],
            &["aa"],
            &["aa:amd64 1", "bb:all 1", "cc:amd64 1"],
        ),
        (
            "the own architecture",
            &["aa 1; Depends: bb", "bb 1", "bb 2 arm64"],
            &["aa"],
            &["aa:amd64 1", "bb:amd64 1"],
        ),
        (
            "another architecture that is asked for",
            &["aa 1 arm64; Depends: bb", "bb 1", "bb 1 arm64"],
            &["aa:arm64"],
            &["aa:arm64 1", "bb:arm64 1"],
        ),
        (
            "both architectures side by side",
            &["bb 1; Multi-Arch: same", "bb 1 arm64; Multi-Arch: same"],
            &["bb", "bb:arm64"],
            &["bb:amd64 1", "bb:arm64 1"],
        ),
        (
            "one that serves any architecture",
            &["aa 1 arm64; Depends: bb", "bb 1; Multi-Arch: foreign"],
            &["aa:arm64"],
            &["aa:arm64 1", "bb:amd64 1"],
        ),
        (
            ":any",
            &["aa 1 arm64; Depends: bb:any", "bb 1; Multi-Arch: allowed"],
            &["aa:arm64"],
            &["aa:arm64 1", "bb:amd64 1"],
        ),
    ];
    for (what, lines, wanted, result) in cases {
        assert_eq!(
            chosen(lines, wanted, &[]).as_deref(),
            Ok(&result.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()[..]),
            "{what}"
        );
    }
}

#[test]
fn what_cannot_be_had_is_explained() {
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (&["aa 1"], &["bb"], &["no suite has the package `bb` for x86_64"]),
        (&["aa 1 arm64"], &["aa"], &["no suite has the package `aa`"]),
        (&["aa 1; Depends: bb (>= 2)", "bb 1"], &["aa"], &["aa:amd64", "bb (>= 2)"]),
        (&["aa 1; Conflicts: bb", "bb 1"], &["aa", "bb"], &["aa:amd64", "bb:amd64"]),
        (
            &["aa 1; Depends: cc", "bb 1; Breaks: cc (<< 2)", "cc 1"],
            &["aa", "bb"],
            &["bb:amd64", "cc:amd64"],
        ),
        (&["aa 1; Depends: vv", "bb 1; Provides: vv; Conflicts: aa"], &["aa"], &["bb:amd64"]),
        (&["aa 1", "aa 1 arm64"], &["aa", "aa:arm64"], &["aa:amd64", "aa:arm64"]),
        (&["aa 1; Depends: !!"], &["aa"], &["`!!` is not a relation"]),
        (
            &["aa 1; Multi-Arch: same", "aa 2 arm64; Multi-Arch: same"],
            &["aa", "aa:arm64"],
            &["aa:arm64"],
        ),
    ];
    for (lines, wanted, words) in cases {
        let error = chosen(lines, wanted, &[]).unwrap_err().to_string();
        for word in *words {
            assert!(error.contains(word), "{lines:?}: {error}");
        }
    }
}

#[test]
fn the_excluded_counts_as_present() {
    let lines = ["aa 1; Depends: bb (>= 9), cc", "bb 1", "cc 1; Depends: vv", "dd 1; Provides: vv"];
    let wanted = &["aa"];
    assert_eq!(chosen(&lines, wanted, &["bb", "dd"]).unwrap(), ["aa:amd64 1", "cc:amd64 1"]);
}

#[test]
fn a_set_over_another_lists_only_what_is_new() {
    let index = index(&[
        "aa 1; Depends: bb",
        "bb 1",
        "cc 1; Depends: bb, dd",
        "dd 1",
        "ee 1; Conflicts: bb",
    ]);
    let universe = Universe::new(Arch::X86_64, &index).unwrap();
    let below =
        universe.solve(&Wanted { packages: vec!["aa".into()], ..Wanted::default() }).unwrap();
    let over = |name: &str| {
        universe.solve(&Wanted {
            packages: vec![name.to_owned()],
            present: below.clone(),
            ..Wanted::default()
        })
    };
    let names: Vec<_> = over("cc").unwrap().iter().map(|pin| pin.name.to_string()).collect();
    assert_eq!(names, ["cc", "dd"]);
    assert!(matches!(over("ee"), Err(SolveError::Conflict { .. })));
}

#[test]
fn of_equal_versions_that_of_the_first_suite_is_taken() {
    let (first, second) = (index(&["aa 1"]), index(&["aa 1; Depends: bb", "bb 1"]));
    let universe = Universe::new(Arch::X86_64, first.iter().chain(&second)).unwrap();
    assert_eq!(universe.pin("aa").unwrap(), first[0].pin);
    let wanted = Wanted { packages: vec!["aa".into()], ..Wanted::default() };
    assert_eq!(universe.solve(&wanted).unwrap().len(), 1);
}

#[test]
fn one_package_is_updated_with_what_it_demands() {
    use std::collections::BTreeMap;

    use crate::{Lock, Offered, Scope, SetName, Universes, WantedFile, check_scope, update_only};

    let before = index(&["aa 1; Depends: bb", "bb 1", "cc 1", "gone 1"]);
    let today = index(&["aa 2; Depends: bb (>= 2)", "bb 2", "cc 2"]);
    let set = SetName("image".to_owned());
    let pins = |index: &[Package]| index.iter().map(|one| one.pin.clone()).collect::<Vec<_>>();
    let old = BTreeMap::from([((set.clone(), Arch::X86_64), pins(&before))]);
    let old = Lock::new(jiff::Timestamp::UNIX_EPOCH, None, vec![], vec![], old).unwrap();
    let offered = [Offered { suite: "stable".to_owned(), packages: today.clone() }];
    let list = WantedFile::parse("suite = []\nset = {}").unwrap();
    let universes = Universes::new(&list, Arch::X86_64, &offered).unwrap();
    let fresh = BTreeMap::from([(set.clone(), pins(&today))]);
    let update = |name: &str| {
        let scope = Scope::Named(name);
        check_scope(scope, &old, fresh.values().flatten())?;
        let sets = update_only(scope, &old, fresh.clone(), &universes)?;
        let shown = sets[&set].iter().map(|pin| format!("{} {}", pin.name, pin.version));
        Ok::<_, crate::UpdateError>(shown.collect::<Vec<_>>())
    };
    assert_eq!(update("cc").unwrap(), ["aa 1", "bb 1", "cc 2", "gone 1"]);
    assert_eq!(update("bb").unwrap(), ["aa 1", "bb 2", "cc 1", "gone 1"]);
    assert_eq!(update("aa").unwrap(), ["aa 2", "bb 2", "cc 1", "gone 1"]);
    assert!(update("zz").unwrap_err().to_string().contains("zz"));
}

/// A lock of `before`, updated to `today` for `scope`; names with versions.
fn updated(before: &[Package], today: &[Package], scope: crate::Scope<'_>) -> Vec<String> {
    use std::collections::BTreeMap;

    use crate::{Lock, Offered, SetName, Universes, WantedFile, twice, update_only};

    let set = SetName("image".to_owned());
    let pins = |index: &[Package]| index.iter().map(|one| one.pin.clone()).collect::<Vec<_>>();
    let lock = |pins: Vec<mailkiln_pin::Pin>| {
        let sets = BTreeMap::from([((set.clone(), Arch::X86_64), pins)]);
        Lock::new(jiff::Timestamp::UNIX_EPOCH, None, vec![], vec![], sets).unwrap()
    };
    let offered = [Offered { suite: "stable".to_owned(), packages: today.to_vec() }];
    let list = WantedFile::parse("suite = []\nset = {}").unwrap();
    let universes = Universes::new(&list, Arch::X86_64, &offered).unwrap();
    let fresh = BTreeMap::from([(set.clone(), pins(today))]);
    let sets = update_only(scope, &lock(pins(before)), fresh, &universes).unwrap();
    let new = lock(sets[&set].clone());
    assert_eq!(twice(&new), [""; 0], "two versions of one package");
    sets[&set].iter().map(|pin| format!("{} {}", pin.name, pin.version)).collect()
}

/// Packages that are built from the source `linux-signed-amd64`, whose names hold their version.
fn kernel(version: &str, more: &[&str]) -> Vec<Package> {
    let image = format!("linux-image-6.12.{version}-amd64");
    let meta = format!("linux-image-amd64 {version}; Depends: {image}");
    let mut packages = index(&[&meta, &format!("{image} {version}")]);
    for package in &mut packages {
        let path = format!("pool/main/l/linux-signed-amd64/{}.deb", package.pin.name);
        package.pin.path = mailkiln_pin::PoolPath::new(Archive::Debian, &path).unwrap();
    }
    packages.extend(index(more));
    packages
}

#[test]
fn a_kernel_whose_name_holds_its_version_is_there_once() {
    use crate::Scope::Named;

    let (before, today) = (kernel("7", &["kmod 1"]), kernel("8", &["kmod 2"]));
    let new = ["kmod 1", "linux-image-6.12.8-amd64 8", "linux-image-amd64 8"];
    for name in ["linux", "linux-image-amd64", "linux-image-6.12.7-amd64", "linux-signed-amd64"] {
        assert_eq!(updated(&before, &today, Named(name)), new, "{name}");
    }
    // The kernel stays where something else moves.
    let old = ["kmod 2", "linux-image-6.12.7-amd64 7", "linux-image-amd64 7"];
    assert_eq!(updated(&before, &today, Named("kmod")), old);
}

#[test]
fn a_soname_that_goes_takes_along_what_was_linked_with_it() {
    use crate::Scope::Named;

    let mut before = index(&["app 1; Depends: libfoo1", "libfoo1 1", "other 1"]);
    let mut today = index(&["app 2; Depends: libfoo2", "libfoo2 2", "other 2"]);
    for package in before.iter_mut().chain(&mut today) {
        if package.pin.name.as_str().starts_with("libfoo") {
            let path = format!("pool/main/f/foo/{}.deb", package.pin.name);
            package.pin.path = mailkiln_pin::PoolPath::new(Archive::Debian, &path).unwrap();
        }
    }
    let both = ["app 2", "libfoo2 2", "other 1"];
    for name in ["foo", "libfoo1", "libfoo2", "app"] {
        assert_eq!(updated(&before, &today, Named(name)), both, "{name}");
    }
    assert_eq!(updated(&before, &today, Named("other")), ["app 1", "libfoo1 1", "other 2"]);
}

proptest::proptest! {
    /// Universes of up to six packages in two versions, each with dependencies on others by name; some names
    /// hold their version. Whatever is updated: nothing is there twice, and what is new finds what it needs.
    #[test]
    fn an_updated_lock_holds_what_its_new_packages_need(
        kinds in proptest::collection::vec((proptest::bool::ANY, 0_usize..6, 0_usize..6), 2..6),
        which in 0_usize..6,
    ) {
        let name = |number: usize, version: usize| match kinds[number % kinds.len()].0 {
            true => format!("lib{}-{version}", char::from(b'a' + (number % kinds.len()) as u8)),
            false => format!("tool{}", char::from(b'a' + (number % kinds.len()) as u8)),
        };
        let universe = |version: usize| -> Vec<Package> {
            let lines: Vec<String> = (0..kinds.len())
                .map(|number| {
                    let (_, first, second) = kinds[number];
                    let needs = [name(first, version), name(second, version)].join(", ");
                    format!("{} {version}; Depends: {needs}", name(number, version))
                })
                .collect();
            let mut packages = index(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            for (number, package) in packages.iter_mut().enumerate() {
                let path = format!("pool/main/s/source{number}/{}.deb", package.pin.name);
                package.pin.path = mailkiln_pin::PoolPath::new(Archive::Debian, &path).unwrap();
            }
            packages
        };
        let (before, today) = (universe(1), universe(2));
        let chosen = name(which, 2);
        let now = updated(&before, &today, crate::Scope::Named(&chosen));
        proptest::prop_assert!(now.contains(&format!("{chosen} 2")), "{now:?}");
        for (number, (_, first, second)) in kinds.iter().enumerate() {
            for version in [1, 2] {
                if now.contains(&format!("{} {version}", name(number, version))) {
                    for needed in [name(*first, version), name(*second, version)] {
                        proptest::prop_assert!(
                            now.iter().any(|line| line.starts_with(&format!("{needed} "))),
                            "{} lacks {needed}: {now:?}", name(number, version)
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn indexes_are_read_and_hostile_ones_refused() {
    let good = "Package: sed\nVersion: 4.9-2\nArchitecture: amd64\nSize: 12\nFilename: pool/main/s/sed/sed_4.9-2_amd64.deb\n\
        SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nDepends: aa,\n bb\nDescription: x\n y\n";
    let read = |text: &str| Package::read_plain(Archive::Debian, text.as_bytes());
    let packages = read(&format!("{good}\n\n\n{good}")).unwrap();
    assert_eq!(packages.len(), 2);
    assert_eq!(packages[0].relations.depends.replace('\n', " "), "aa, bb");
    assert_eq!(read("").unwrap().len(), 0);
    assert_eq!(read(&good.replace("amd64\nSize", "riscv64\nSize")).unwrap().len(), 0);
    for (from, to, reason) in [
        ("Size: 12", "Size: -12", "no size"),
        ("Size: 12", "Size: 99999999999999999999", "no size"),
        ("Package: sed", "Package: ../sed", "package name"),
        ("Version: 4.9-2", "Version: 4 9", "version"),
        ("pool/main", "../main", "pool path"),
        ("SHA256: e3", "SHA256: zz", "SHA-256"),
        ("SHA256: e3", "MD5Sum: e3", "SHA-256"),
    ] {
        let error = read(&good.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(reason), "{to}: {error}");
    }
    let endless = format!("Package: {}", "x".repeat(2 << 20));
    assert!(read(&endless).unwrap_err().to_string().contains("more than"));
    assert!(Package::read_index(Archive::Debian, b"no xz").is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_index_reader_panic(text in "((Package|Version|Size|SHA256|Filename|Architecture): (amd64|all|[a-z0-9]{0,9})\n|\\PC|\n){0,20}", bytes: Vec<u8>) {
        let _ = Package::read_plain(Archive::Debian, text.as_bytes());
        let _ = Package::read_index(Archive::Debian, &bytes);
    }
}
