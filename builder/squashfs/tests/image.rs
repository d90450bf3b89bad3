//! Writer, reader and squashfs-tools agree on what an image holds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use mailkiln_pin::Sha256;
use mailkiln_squashfs::{
    BadSquashfs, FileKind, Pack, PackWriter, Params, Plan, PlanError, Squashfs, write,
};
use mailkiln_tree::{Content, Entry, Kind, Owner, Tree, TreePath};
use proptest::prelude::*;

const MTIME: u32 = 1_700_000_000;
const SMALL: Params = Params { block_size: 4096, level: 3 };

fn entry(kind: Kind, mode: u16, uid: u32) -> Entry {
    Entry { kind, mode, owner: Owner { uid, gid: uid / 2 }, origin: "test".into() }
}

fn put(tree: &mut Tree, path: &str, entry: Entry) {
    tree.insert(TreePath::parse(path).unwrap(), entry).unwrap();
}

fn directory(tree: &mut Tree, path: &str) {
    put(tree, path, entry(Kind::Directory, 0o755, 0));
}

fn inline(bytes: &[u8]) -> Kind {
    Kind::File(Content::Inline(bytes.into()))
}

fn packed(bytes: &[u8]) -> Kind {
    Kind::File(Content::Packed { sha256: Sha256::of(bytes), size: bytes.len() as u64 })
}

/// Bytes that compress a little.
fn text(length: usize, seed: u32) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(seed | 1) >> 13) as u8 & 0x3f).collect()
}

fn pack(contents: &[&[u8]]) -> Pack {
    let mut writer = PackWriter::new(Vec::new(), SMALL).unwrap();
    for content in contents {
        writer.add(content).unwrap();
    }
    Pack::from_bytes(writer.finish().unwrap().into()).unwrap()
}

/// Every shape that the format has a special case for.
fn fixture() -> (Tree, Vec<Pack>) {
    let long = text(50_000, 77);
    let exact = text(8192, 5);
    let small = text(900, 3);
    let unused = text(70_000, 9);
    let mut tree = Tree::default();
    directory(&mut tree, "empty");
    directory(&mut tree, "etc");
    directory(&mut tree, "etc-twin");
    directory(&mut tree, "many");
    put(&mut tree, "etc/hostname", entry(inline(b"mail\n"), 0o644, 0));
    put(&mut tree, "etc/nothing", entry(inline(b""), 0o600, 801));
    put(&mut tree, "etc/long", entry(packed(&long), 0o640, 42));
    put(&mut tree, "etc/copy-of-long", entry(packed(&long), 0o4755, 65_536));
    put(&mut tree, "etc-twin/exact", entry(packed(&exact), 0o644, 0));
    put(&mut tree, "etc-twin/small", entry(packed(&small), 0o644, 0));
    put(&mut tree, "link", entry(Kind::Symlink("etc/hostname".into()), 0o777, 0));
    put(&mut tree, "umlaut-ä", entry(Kind::Directory, 0o1777, 801));
    for number in 0..1500 {
        let name = format!("many/a-name-that-is-long-enough-to-fill-blocks-{number:04}");
        put(&mut tree, &name, entry(inline(format!("{number}").as_bytes()), 0o644, 0));
    }
    (tree, vec![pack(&[&unused, &small]), pack(&[&long, &exact, &unused])])
}

fn image(tree: &Tree, packs: &[Pack]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let size = write(tree, packs, MTIME, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

/// The content of every file of a tree, whoever holds it.
fn content(content: &Content, packs: &[Pack]) -> Vec<u8> {
    match content {
        Content::Inline(bytes) => bytes.to_vec(),
        Content::Packed { sha256, .. } => {
            packs.iter().find(|pack| pack.contains(sha256)).unwrap().read(sha256).unwrap()
        }
    }
}

fn assert_same(tree: &Tree, packs: &[Pack], image: &Squashfs<&[u8]>) {
    let found: BTreeMap<_, _> = image.items().iter().map(|item| (&item.path, item)).collect();
    assert_eq!(found.len(), tree.len() + 1, "every entry, and the root");
    for (path, entry) in tree.iter() {
        let item = found[path];
        assert_eq!((item.mode, item.mtime), (entry.mode, MTIME), "{path}");
        assert_eq!((item.uid, item.gid), (entry.owner.uid, entry.owner.gid), "{path}");
        match (&entry.kind, &item.kind) {
            (Kind::Directory, FileKind::Directory) => {}
            (Kind::Symlink(target), FileKind::Symlink(other)) => assert_eq!(target, other),
            (Kind::File(held), FileKind::File(_)) => {
                assert_eq!(content(held, packs), image.read(item, 1 << 20).unwrap(), "{path}");
            }
            (wanted, other) => panic!("{path}: {wanted:?} became {other:?}"),
        }
    }
}

/// Runs a judge. Where it is not installed the test passes, but not on CI.
fn judge(command: &mut Command) -> Option<String> {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {output:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("not judged by {command:?}: {error}");
            None
        }
        Err(error) => panic!("{command:?}: {error}; install squashfs-tools"),
    }
}

#[test]
fn the_reader_finds_what_the_writer_wrote() {
    let (tree, packs) = fixture();
    let bytes = image(&tree, &packs);
    assert_eq!(bytes.len() % 4096, 0);
    assert_same(&tree, &packs, &Squashfs::open(bytes.as_slice()).unwrap());
}

#[test]
fn unsquashfs_extracts_what_the_writer_wrote() {
    let (tree, packs) = fixture();
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("image"), folder.path().join("out"));
    fs::write(&file, image(&tree, &packs)).unwrap();
    let extract =
        judge(Command::new("unsquashfs").arg("-no-progress").arg("-d").arg(&out).arg(&file));
    if extract.is_none() {
        return;
    }
    for (path, entry) in tree.iter() {
        let there = out.join(path.as_str());
        match &entry.kind {
            Kind::File(held) => {
                let found = fs::read(&there).unwrap_or_else(|error| panic!("{path}: {error}"));
                assert_eq!(content(held, &packs), found, "{path}");
            }
            Kind::Symlink(target) => {
                assert_eq!(fs::read_link(&there).unwrap(), Path::new(target), "{path}");
            }
            Kind::Directory => assert!(there.is_dir(), "{path}"),
        }
    }
    let listing = judge(Command::new("unsquashfs").arg("-lln").arg(&file)).unwrap();
    for line in [
        "-rwsr-xr-x 65536/32768           50000 2023-11-14 ",
        "-rw-r----- 42/21                 50000 2023-11-14 ",
        "-rw------- 801/400                   0 2023-11-14 ",
        "drwxrwxrwt 801/400 ",
        "lrwxrwxrwx 0/0                      12 2023-11-14 ",
    ] {
        assert!(listing.contains(line), "no `{line}` in:\n{listing}");
    }
}

#[test]
fn the_reader_reads_what_mksquashfs_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (tree, file) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    let sparse = [text(10_000, 3), vec![0; 300_000], text(10_000, 3)].concat();
    fs::write(tree.join("deep/er/sparse"), &sparse).unwrap();
    fs::write(tree.join("deep/er/small"), b"small").unwrap();
    fs::hard_link(tree.join("deep/er/small"), tree.join("deep/hard")).unwrap();
    let mut command = Command::new("mksquashfs");
    command.arg(&tree).arg(&file).args(["-comp", "zstd", "-b", "64K", "-quiet", "-no-progress"]);
    if judge(&mut command).is_none() {
        return;
    }
    let bytes = fs::read(&file).unwrap();
    let image = Squashfs::open(bytes.as_slice()).unwrap();
    let read = |path: &str| {
        let item = image.item(&TreePath::parse(path).unwrap()).unwrap();
        image.read(item, 1 << 20).unwrap()
    };
    assert_eq!(read("deep/er/sparse"), sparse);
    assert_eq!(read("deep/er/small"), b"small");
    assert_eq!(read("deep/hard"), b"small");
}

#[test]
fn bytes_are_pinned() {
    // What this digest stands for is on disks of users: it changes only on purpose.
    let (tree, packs) = fixture();
    assert_eq!(
        Sha256::of(&image(&tree, &packs)).to_string(),
        "54bb78721959d682a6a3a1756ff790a6092cc62de24c90af7d5174792df9e9df"
    );
}

#[test]
fn blocks_that_nobody_refers_to_stay_out() {
    let (wanted, unwanted) = (text(40_000, 3), text(400_000, 5));
    let mut tree = Tree::default();
    put(&mut tree, "file", entry(packed(&wanted), 0o644, 0));
    let alone = image(&tree, &[pack(&[&wanted])]);
    assert_eq!(image(&tree, &[pack(&[&unwanted, &wanted])]), alone);
}

#[test]
fn trees_that_are_not_whole_are_refused() {
    let plan = |build: &dyn Fn(&mut Tree)| {
        let mut tree = Tree::default();
        build(&mut tree);
        Plan::new(&tree, &[], 0).unwrap_err()
    };
    let file = || entry(inline(b"x"), 0o644, 0);
    let link = |target: String| entry(Kind::Symlink(target), 0o777, 0);
    assert!(matches!(plan(&|t| put(t, "a/b", file())), PlanError::NoParent { .. }));
    assert!(matches!(plan(&|t| put(t, "", file())), PlanError::NotADirectory { .. }));
    let below_a_file = plan(&|t| {
        put(t, "a", file());
        put(t, "a/b", file());
    });
    assert!(matches!(below_a_file, PlanError::NotADirectory { .. }));
    let absent = plan(&|t| put(t, "a", entry(packed(b"absent"), 0o644, 0)));
    assert!(matches!(absent, PlanError::NoContent { .. }));
    assert!(matches!(plan(&|t| put(t, "a", link(String::new()))), PlanError::Target { .. }));
    assert!(matches!(plan(&|t| put(t, "a", link("x".repeat(4096)))), PlanError::Target { .. }));
    let mut tree = Tree::default();
    let kind = Kind::File(Content::Packed { sha256: Sha256::of(b"abc"), size: 4 });
    put(&mut tree, "a", entry(kind, 0o644, 0));
    assert!(matches!(Plan::new(&tree, &[pack(&[b"abc"])], 0), Err(PlanError::Size { .. })));
    let other = PackWriter::new(Vec::new(), Params { block_size: 8192, level: 1 }).unwrap();
    let packs = [pack(&[]), Pack::from_bytes(other.finish().unwrap().into()).unwrap()];
    assert!(matches!(Plan::new(&tree, &packs, 0), Err(PlanError::BlockSizes(4096, 8192))));
}

#[test]
fn a_damaged_pack_stops_the_image() {
    let content = text(50_000, 7);
    let mut writer = PackWriter::new(Vec::new(), SMALL).unwrap();
    writer.add(&content).unwrap();
    let mut bytes = writer.finish().unwrap();
    bytes[20] ^= 1;
    let mut tree = Tree::default();
    put(&mut tree, "a", entry(packed(&content), 0o644, 0));
    let error = write(&tree, &[Pack::from_bytes(bytes.into()).unwrap()], 0, Vec::new());
    assert!(error.unwrap_err().to_string().contains("is damaged at byte 8"));
}

#[test]
fn cut_and_altered_images_do_no_harm() {
    let mut tree = Tree::default();
    directory(&mut tree, "a");
    put(&mut tree, "a/b", entry(inline(&text(9000, 5)), 0o644, 0));
    put(&mut tree, "a/c", entry(Kind::Symlink("b".into()), 0o777, 0));
    let bytes = image(&tree, &[pack(&[])]);
    let used = Squashfs::open(bytes.as_slice()).unwrap().bytes_used() as usize;
    for end in 0..used {
        assert!(Squashfs::open(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..used {
        for flip in [1, 0x80, 0xff] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            mailkiln_squashfs::fuzz::squashfs(&altered);
        }
    }
}

#[test]
fn files_above_the_limit_are_not_read() {
    let mut tree = Tree::default();
    put(&mut tree, "a", entry(inline(b"12345"), 0o644, 0));
    let bytes = image(&tree, &[]);
    let image = Squashfs::open(bytes.as_slice()).unwrap();
    let [root, file] = image.items() else { panic!("two entries") };
    assert_eq!(image.read(file, 5).unwrap(), b"12345");
    assert!(matches!(image.read(file, 4), Err(BadSquashfs::TooLong { size: 5, .. })));
    assert!(matches!(image.read(root, 5), Err(BadSquashfs::NotAFile(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn trees_come_back(
        files in prop::collection::btree_map(
            "[a-c]{1,3}(/[a-e.-]{1,12}x){0,4}", (0_usize..15_000, 0_u16..0o10000, any::<u32>()), 0..60,
        ),
        packs_wanted in any::<bool>(),
    ) {
        let mut tree = Tree::default();
        let contents: Vec<_> = files.values().map(|&(size, _, seed)| text(size, seed)).collect();
        for ((path, &(_, mode, uid)), bytes) in files.iter().zip(&contents) {
            let path = TreePath::parse(path).unwrap();
            let mut above = path.parent();
            while let Some(parent) = above {
                if parent != TreePath::ROOT {
                    tree.replace(parent.clone(), entry(Kind::Directory, 0o750, 7));
                }
                above = parent.parent();
            }
            if tree.get(&path).is_none() && !path.as_str().is_empty() {
                let kind = if packs_wanted { packed(bytes) } else { inline(bytes) };
                tree.replace(path, entry(kind, mode, uid));
            }
        }
        let packs = [pack(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>())];
        let bytes = image(&tree, &packs);
        assert_same(&tree, &packs, &Squashfs::open(bytes.as_slice()).unwrap());
    }
}
