//! Caches in folders, sound and not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mailkiln_fetch::{Base, Cache, Fetcher, Mirrors, Silent};
use mailkiln_nix_store::{CacheInfo, Entry, INFO_NAME, Node, SecretKey, StoreObject, StorePath};

use super::*;

/// A store path with one file, which refers to others.
fn object(name: &str, content: &[u8], references: &[&StoreObject]) -> StoreObject {
    let mut tree = Node::directory();
    tree.insert("file", Node::File { executable: false, contents: content.to_vec() });
    let references: BTreeSet<StorePath> =
        references.iter().map(|object| object.path().clone()).collect();
    StoreObject::new(name, tree, references).unwrap()
}

fn key(seed: u8) -> SecretKey {
    SecretKey::new("example-1", [seed; 32]).unwrap()
}

/// Writes a cache of store paths, and says where each record is.
fn write(folder: &Path, objects: &[&StoreObject], key: &SecretKey) -> Vec<Entry> {
    fs::create_dir_all(folder.join("nar")).unwrap();
    fs::write(folder.join(INFO_NAME), CacheInfo::default().to_string()).unwrap();
    let entries = objects.iter().map(|object| Entry::new(object, key).unwrap());
    entries
        .inspect(|entry| {
            fs::write(folder.join(&entry.record_name), &entry.record).unwrap();
            fs::write(folder.join(&entry.nar_name), &entry.nar).unwrap();
        })
        .collect()
}

/// The closure of `top`, out of caches in these folders.
fn fetch(
    folders: &[&Path],
    trusted: &SecretKey,
    top: &StoreObject,
) -> Result<Closure, ClosureError> {
    let kept = tempfile::tempdir().unwrap();
    let cache = Cache::open(kept.path()).unwrap();
    let mirrors = Mirrors::default();
    let pauses: [Duration; 0] = [];
    let fetcher = Fetcher::new(&cache, &mirrors).with_pauses(&pauses);
    let address = |folder: &&Path| Base::parse(&format!("file://{}", folder.display())).unwrap();
    let bases: Vec<Base> = folders.iter().map(address).collect();
    let keys = [mailkiln_nix_store::TrustedPublicKey::parse(&trusted.public_text()).unwrap()];
    let caches = Caches { bases: &bases, keys: &keys, fetcher: &fetcher };
    let closure = caches.closure(top.path(), &Silent)?;
    // What was fetched is gone after this, so it is read before.
    for object in closure.objects().values() {
        closure.each_file(object, &mut |_, size, contents| {
            let mut bytes = Vec::new();
            contents.read_to_end(&mut bytes)?;
            assert_eq!(bytes.len() as u64, size);
            Ok(())
        })?;
        let path = format!("{}/file", object.path.to_absolute_path());
        assert!(!closure.read(&path, 100)?.is_empty());
    }
    Ok(closure)
}

#[test]
fn what_is_referred_to_is_fetched_from_whichever_cache_has_it() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = object("library", b"abc", &[]);
    let program = object("program", b"abcd", &[&library]);
    write(one.path(), &[&program], &key(1));
    write(two.path(), &[&library], &key(1));
    let closure = fetch(&[one.path(), two.path()], &key(1), &program).unwrap();
    assert_eq!(closure.objects().len(), 2);
    let said = fetch(&[one.path()], &key(1), &program).unwrap_err().to_string();
    let path = library.path().to_absolute_path();
    assert!(said.contains(&format!("no cache has {path}, and {}", program.path())), "{said}");
    assert!(said.contains(&format!("nix copy --to CACHE {path}")), "{said}");
}

#[test]
fn a_foreign_key_is_refused_unless_another_cache_is_sound() {
    let (foreign, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = object("program", b"abc", &[]);
    write(foreign.path(), &[&program], &key(2));
    let said = fetch(&[foreign.path()], &key(1), &program).unwrap_err().to_string();
    assert!(said.contains("no signature of a trusted key"), "{said}");
    assert!(said.contains(&foreign.path().display().to_string()), "{said}");
    write(own.path(), &[&program], &key(1));
    fetch(&[foreign.path(), own.path()], &key(1), &program).unwrap();
}

#[test]
fn a_cache_that_cannot_be_reached_is_passed_over() {
    let (broken, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = object("program", b"abc", &[]);
    let entries = write(broken.path(), &[&program], &key(1));
    write(own.path(), &[&program], &key(1));
    // A folder in place of the record can be opened and not be read.
    let record = broken.path().join(&entries[0].record_name);
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    fetch(&[broken.path(), own.path()], &key(1), &program).unwrap();
    let said = fetch(&[broken.path()], &key(1), &program).unwrap_err();
    assert!(!matches!(said, ClosureError::NotInCache { .. }), "{said}");
}

#[test]
fn archives_that_are_not_their_records_are_refused() {
    let program = object("program", &[b'x'; 5000], &[]);
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let folder = tempfile::tempdir().unwrap();
        let entries = write(folder.path(), &[&program], &key(1));
        let mut nar = entries[0].nar.clone();
        change(&mut nar);
        fs::write(folder.path().join(&entries[0].nar_name), nar).unwrap();
        fetch(&[folder.path()], &key(1), &program).unwrap_err().to_string()
    };
    let cut = broken(&|nar| nar.truncate(nar.len() - 1));
    assert!(cut.contains("can't fetch") && cut.contains("-program"), "{cut}");
    let flipped = broken(&|nar| nar[20] ^= 1);
    assert!(flipped.contains("its pin says"), "{flipped}");
    let longer = broken(&|nar| nar.push(0));
    assert!(longer.contains("its pin says"), "{longer}");
}

#[test]
fn what_is_no_cache_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = object("program", b"abc", &[]);
    let said = fetch(&[folder.path()], &key(1), &program).unwrap_err().to_string();
    assert!(said.contains("it has no nix-cache-info"), "{said}");
    fs::write(folder.path().join(INFO_NAME), "StoreDir: /gnu/store\n").unwrap();
    let said = fetch(&[folder.path()], &key(1), &program).unwrap_err().to_string();
    assert!(said.contains("/gnu/store"), "{said}");
}
