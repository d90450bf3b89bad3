use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};

use super::*;
use crate::Rules;

fn cache() -> (TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    (folder, cache)
}

fn names_below(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn what_was_inserted_is_found_by_its_digest() {
    let (_folder, cache) = cache();
    let digest = Sha256::of(b"mail");
    assert_eq!(cache.blob(&digest), None);
    let path = cache.insert("a file", digest, 4, &b"mail"[..]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"mail");
    assert_eq!(cache.blob(&digest), Some(path));
    assert_eq!(cache.read_blob(&digest).unwrap(), b"mail");
}

/// A folder that nobody can write to, root either, is not had without mounting one.
#[test]
fn a_cache_that_can_only_be_read_serves_for_what_it_has() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, first) = cache();
    let digest = Sha256::of(b"mail");
    first.insert("a file", digest, 4, &b"mail"[..]).unwrap();
    drop(first);
    for path in ["", "blobs", "derived", "partial", "tmp", "lock", "CACHEDIR.TAG"] {
        let path = folder.path().join(path);
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let opened = as_nobody(|| {
        let cache = Cache::open(folder.path()).unwrap();
        assert_eq!(cache.read_blob(&digest).unwrap(), b"mail");
        let error = cache.insert("another", Sha256::of(b"x"), 1, &b"x"[..]).unwrap_err();
        error.to_string()
    });
    assert!(opened.contains("partial"), "{opened}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// As a user without privileges: to root no folder is closed.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Of this thread alone (setfsuid(2)); it takes the privileges with files too.
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65_534));
            work()
        });
        worker.join().unwrap()
    })
}

#[test]
fn wrong_bytes_leave_nothing_behind() {
    let (_folder, cache) = cache();
    let digest = Sha256::of(b"mail");
    for wrong in [&b"maim"[..], b"mai", b"mails", b""] {
        let error = cache.insert("sed 4.9", digest, 4, wrong).unwrap_err();
        assert!(matches!(error, CacheError::Altered { .. }), "{error}");
        assert!(error.to_string().contains("sed 4.9"));
        assert_eq!(cache.blob(&digest), None);
        assert!(names_below(&cache.root().join("partial")).is_empty(), "{wrong:?}");
    }
}

#[test]
fn an_interrupted_file_is_taken_up_where_it_stopped() {
    let (folder, first) = cache();
    let digest = Sha256::of(b"mail");
    let mut incoming = first.receive(digest, 4).unwrap().unwrap();
    incoming.append("x", b"ma").unwrap();
    drop((incoming, first));
    let cache = Cache::open(folder.path()).unwrap();
    let mut incoming = cache.receive(digest, 4).unwrap().unwrap();
    assert_eq!(incoming.received(), 2);
    incoming.append("x", b"il").unwrap();
    let path = incoming.publish("x").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"mail");
    assert!(cache.receive(digest, 4).unwrap().is_none());
}

#[test]
fn two_that_receive_the_same_file_get_one() {
    let (_folder, cache) = cache();
    let digest = Sha256::of(b"mail");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| cache.insert("x", digest, 4, &b"mail"[..]).unwrap());
        }
    });
    assert_eq!(cache.read_blob(&digest).unwrap(), b"mail");
    assert!(names_below(&cache.root().join("partial")).is_empty());
}

#[test]
fn a_rotten_file_is_removed() {
    let (_folder, cache) = cache();
    let digest = Sha256::of(b"mail");
    let path = cache.insert("x", digest, 4, &b"mail"[..]).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"rust").unwrap();
    assert!(matches!(cache.read_blob(&digest), Err(CacheError::Damaged { .. })));
    assert_eq!(cache.blob(&digest), None);
}

#[test]
fn a_full_disk_says_so() {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let error = CacheError::io("write", Path::new("/cache/x"))(full);
    assert!(matches!(&error, CacheError::Full { .. }));
    assert!(error.to_string().contains("/cache/x"));
}

#[test]
fn derived_items_appear_whole_or_not_at_all() {
    let (_folder, cache) = cache();
    let key = Sha256::of(b"inputs");
    let failed = cache.publish_derived::<CacheError>("pack", &key, |file| {
        file.write_all(b"half").unwrap();
        Err(CacheError::NoHome)
    });
    assert!(failed.is_err());
    assert_eq!(cache.derived("pack", &key), None);
    assert!(names_below(&cache.root().join("tmp")).is_empty());

    let path = cache
        .publish_derived::<CacheError>("pack", &key, |file| {
            file.write_all(b"whole").unwrap();
            Ok(())
        })
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(cache.derived("pack", &key), Some(path));
    assert_eq!(cache.derived("unit", &key), None);
}

#[test]
fn a_derived_folder_that_was_made_twice_is_kept_once() {
    let (_folder, cache) = cache();
    let key = Sha256::of(b"inputs");
    let make = |text: &'static str| {
        cache.publish_derived_directory::<CacheError>("unit", &key, move |folder| {
            fs::write(folder.join("program"), text).unwrap();
            Ok(())
        })
    };
    let first = make("first").unwrap();
    assert_eq!(make("second").unwrap(), first);
    assert_eq!(fs::read_to_string(first.join("program")).unwrap(), "first");
    assert!(names_below(&cache.root().join("tmp")).is_empty());
}

/// Three blobs of 4 bytes, used 1, 10 and 100 days ago, and a leftover.
fn aged() -> (TempDir, Cache, [Sha256; 3]) {
    let (folder, cache) = cache();
    let digests = [b"aaaa", b"bbbb", b"cccc"].map(|bytes| {
        let digest = Sha256::of(bytes);
        cache.insert("x", digest, 4, &bytes[..]).unwrap();
        digest
    });
    for (digest, days) in digests.iter().zip([1, 10, 100]) {
        let then = SystemTime::now() - Duration::from_secs(days * 86_400);
        File::open(cache.blob_path(digest)).unwrap().set_modified(then).unwrap();
    }
    fs::write(cache.root().join("tmp/left"), b"12").unwrap();
    (folder, cache, digests)
}

#[test]
fn prune_keeps_what_a_rule_keeps() {
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    let cases = [
        (Rules::default(), None, vec![]),
        (Rules { younger_than: days(5), at_most: None }, None, vec![0]),
        (Rules { younger_than: days(50), at_most: None }, None, vec![0, 1]),
        (Rules { younger_than: None, at_most: Some(8) }, None, vec![0, 1]),
        (Rules { younger_than: days(5), at_most: Some(8) }, None, vec![0]),
        (Rules { younger_than: days(5), at_most: None }, Some(2), vec![0, 2]),
        (Rules { younger_than: None, at_most: Some(8) }, Some(2), vec![0, 2]),
    ];
    for (rules, named, left) in cases {
        let (folder, cache, digests) = aged();
        let keep: BTreeSet<_> = named.map(|index: usize| digests[index]).into_iter().collect();
        let pruned = cache.prune(rules, &keep).unwrap();
        assert_eq!(pruned.left, 4 * left.len() as u64, "{rules:?}");
        assert_eq!(pruned.freed, 2 + 4 * (3 - left.len() as u64), "{rules:?}");
        let cache = Cache::open(folder.path()).unwrap();
        for (index, digest) in digests.iter().enumerate() {
            assert_eq!(cache.blob(digest).is_some(), left.contains(&index), "{rules:?} {index}");
        }
        assert!(names_below(&cache.root().join("tmp")).is_empty());
        assert_eq!(cache.list().unwrap().len(), left.len());
    }
}

#[test]
fn an_older_item_does_not_outlive_a_younger_one_that_is_too_large() {
    let (folder, cache) = cache();
    let digests = [&b"new"[..], b"large and newer", b"old"].map(|bytes| {
        let digest = Sha256::of(bytes);
        cache.insert("x", digest, bytes.len() as u64, bytes).unwrap();
        digest
    });
    for (digest, days) in digests.iter().zip([1, 10, 100]) {
        let then = SystemTime::now() - Duration::from_secs(days * 86_400);
        File::open(cache.blob_path(digest)).unwrap().set_modified(then).unwrap();
    }
    let rules = Rules { younger_than: None, at_most: Some(8) };
    assert_eq!(cache.prune(rules, &BTreeSet::new()).unwrap().left, 3);
    let cache = Cache::open(folder.path()).unwrap();
    assert_eq!(digests.map(|digest| cache.blob(&digest).is_some()), [true, false, false]);
}

#[test]
fn nothing_is_pruned_under_a_build() {
    let (folder, build) = cache();
    let other = Cache::open(folder.path()).unwrap();
    assert!(matches!(
        other.prune(Rules::default(), &BTreeSet::new()),
        Err(CacheError::InUse { .. })
    ));
    drop(build);
    let cache = Cache::open(folder.path()).unwrap();
    assert!(cache.prune(Rules::default(), &BTreeSet::new()).is_ok());
}

#[test]
fn a_folder_with_read_only_folders_can_be_pruned() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, cache) = cache();
    cache
        .publish_derived_directory::<CacheError>("unit", &Sha256::of(b""), |folder| {
            fs::create_dir(folder.join("usr")).unwrap();
            fs::write(folder.join("usr/x"), b"123").unwrap();
            let mode = fs::Permissions::from_mode(0o555);
            fs::set_permissions(folder.join("usr"), mode).unwrap();
            Ok(())
        })
        .unwrap();
    assert_eq!(cache.prune(Rules::default(), &BTreeSet::new()).unwrap().freed, 3);
}
