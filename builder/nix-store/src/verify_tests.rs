//! Caches that were tampered with: each flaw is found, and only it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use nix_derivation::{NixHash, StoreDir};
use nix_narinfo::NarInfo;
use sha2::{Digest as _, Sha256};

use crate::TrustedPublicKey;
use crate::entry::{Entry, add_signature};
use crate::info::{CacheInfo, INFO_NAME};
use crate::key::SecretKey;
use crate::object::StoreObject;
use crate::tree::Node;
use crate::verify::{CacheFiles, verify};

struct Cache(BTreeMap<String, Vec<u8>>);

impl CacheFiles for Cache {
    fn records(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().filter(|name| name.ends_with(".narinfo")).cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(&bytes[..]))
    }
}

fn key(name: &str) -> SecretKey {
    SecretKey::new(name, [name.len() as u8; 32]).unwrap()
}

fn object(name: &str, references: &[&StoreObject]) -> StoreObject {
    let mut tree = Node::directory();
    let contents = name.repeat(50).into_bytes();
    tree.insert("bin/x", Node::File { executable: true, contents });
    let references = references.iter().map(|object| object.path().clone()).collect();
    StoreObject::new(name, tree, references).unwrap()
}

impl Cache {
    /// Two paths, of which the second refers to the first.
    fn new() -> (Self, Entry, Entry) {
        let first = object("first-1", &[]);
        let second = object("second-1", &[&first]);
        let mut files = BTreeMap::new();
        files.insert(INFO_NAME.to_owned(), CacheInfo::default().to_string().into_bytes());
        let entries = [first, second].map(|object| Entry::new(&object, &key("own")).unwrap());
        for entry in &entries {
            files.insert(entry.record_name.clone(), entry.record.clone());
            files.insert(entry.nar_name.clone(), entry.nar.clone());
        }
        let [first, second] = entries;
        (Self(files), first, second)
    }

    /// Changes the text of a record.
    fn edit(&mut self, name: &str, from: &str, to: &str) {
        let file = self.0.get_mut(name).unwrap();
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        *file = text.replace(from, to).into_bytes();
    }

    fn flaws(&self, trusted: &str) -> Vec<String> {
        let keys = [TrustedPublicKey::parse(&key(trusted).public_text()).unwrap()];
        let found = verify(self, &keys).unwrap().faults;
        found.iter().map(ToString::to_string).collect()
    }

    /// The one flaw, whose words begin as said.
    fn only(&self, expected: &str) {
        let flaws = self.flaws("own");
        let [flaw] = &flaws[..] else { panic!("{flaws:#?}") };
        let words = flaw.split_once(": ").unwrap().1;
        assert!(words.starts_with(expected), "{flaw}");
    }
}

#[test]
fn what_is_exported_is_whole() {
    let (cache, ..) = Cache::new();
    assert_eq!(cache.flaws("own"), [""; 0]);
    let (again, ..) = Cache::new();
    assert_eq!(cache.0, again.0);
}

#[test]
fn another_key_of_the_same_name_or_of_another_is_not_enough() {
    let (mut cache, first, _) = Cache::new();
    assert_eq!(cache.flaws("foreign").len(), 2);
    cache.edit(&first.record_name, "Sig: own:", "Sig: own:A");
    cache.only("has no signature of a trusted key");
}

#[test]
fn every_flipped_byte_is_found() {
    let (mut cache, first, second) = Cache::new();
    for place in 0..first.nar.len() {
        let file = cache.0.get_mut(&first.nar_name).unwrap();
        file[place] ^= 1;
        cache.only("has not the digest that its record says");
        cache.0.get_mut(&first.nar_name).unwrap()[place] ^= 1;
    }
    // Without a content address, a path stands by its signature: that name may become another.
    let text = String::from_utf8(second.record.clone()).unwrap();
    let address = text.find("\nCA:").unwrap() + 1;
    for place in (0..text.len()).filter(|place| !(address..address + 3).contains(place)) {
        let file = cache.0.get_mut(&second.record_name).unwrap();
        file[place] ^= 1;
        assert_ne!(cache.flaws("own"), [""; 0], "byte {place} of\n{text}");
        cache.0.get_mut(&second.record_name).unwrap()[place] ^= 1;
    }
}

#[test]
fn what_is_cut_missing_or_too_long_is_found() {
    let (mut cache, first, second) = Cache::new();
    cache.0.get_mut(&first.nar_name).unwrap().pop();
    cache.only("has not the length that its record says");
    cache.0.remove(&first.nar_name);
    cache.only("can't be read");
    cache.0.insert(first.nar_name, first.nar);
    let record = cache.0.remove(&first.record_name).unwrap();
    cache.only("refers to /nix/store/");
    cache.0.insert(first.record_name, record);
    cache.0.remove(INFO_NAME);
    cache.only("can't be read: entity not found; name the folder of a cache");
    let info = b"StoreDir: /gnu/store\n".to_vec();
    cache.0.insert(INFO_NAME.to_owned(), info);
    cache.only("it is for the store /gnu/store");
    drop(second);
}

#[test]
fn a_record_that_lies_is_found() {
    let lies = [
        ("References: ", "References: 00000000000000000000000000000000-x ", "has not the path"),
        (
            "CA: fixed:r:sha256:",
            "CA: fixed:r:sha256:0000000000000000000000000000000000000000000000000000\nX: ",
            "has not the path",
        ),
        ("URL: ", "URL: ../", "names the file `../"),
        ("URL: ", "URL: /", "names the file `/"),
        ("URL: ", "URL: https://example.org/", "names the file `https:"),
        ("Compression: zstd", "Compression: br", "is compressed by `br`"),
        ("FileHash: ", "Later: ", "does not say the digest"),
        ("NarSize: ", "NarSize: 9", "has no signature"),
        ("NarSize: ", "NarSize: -", "is not a record of a store path: invalid NarSize"),
        ("StorePath: /nix/store/", "StorePath: /nix/store/../", "is not a record of a store path"),
    ];
    for (from, to, expected) in lies {
        let (mut cache, _, second) = Cache::new();
        cache.edit(&second.record_name, from, to);
        let flaws = cache.flaws("own");
        assert!(flaws.iter().any(|flaw| flaw.contains(expected)), "{to}: {flaws:#?}");
        assert!(flaws.iter().all(|flaw| !flaw.contains('\n')), "{flaws:#?}");
    }
    let (mut cache, first, _) = Cache::new();
    let record = cache.0[&first.record_name].clone();
    cache.0.insert("00000000000000000000000000000000.narinfo".to_owned(), record);
    cache.only("describes a path whose record is called");
}

/// An archive that unpacks to more than was announced is not unpacked.
#[test]
fn a_bomb_is_not_unpacked() {
    let (mut cache, first, _) = Cache::new();
    // A file of one folder that is endless, in a record that is honest about the compressed file.
    let tokens = ["nix-archive-1", "(", "type", "regular", "contents"].map(token).concat();
    let endless = [tokens, (1_u64 << 40).to_le_bytes().to_vec(), vec![0; 1 << 26]].concat();
    let bomb = zstd::encode_all(&endless[..], 3).unwrap();
    let info = NarInfo::parse_in(&StoreDir::default(), &first.record).unwrap();
    let told = NixHash::Sha256(Sha256::digest(&bomb).into()).to_nix_nixbase32_string();
    let hash = info.file_hash().unwrap().to_nix_nixbase32_string();
    cache.edit(&first.record_name, &hash, &told);
    let size = |size: usize| format!("FileSize: {size}\n");
    cache.edit(&first.record_name, &size(first.nar.len()), &size(bomb.len()));
    cache.0.insert(first.nar_name, bomb);
    cache.only("does not unpack to the archive that its record says: another length");
}

#[test]
fn another_signature_is_added_once_and_nothing_else_changes() {
    let (mut cache, first, second) = Cache::new();
    let foreign = key("foreign");
    for entry in [&first, &second] {
        let record = add_signature(&entry.record, entry, &foreign).unwrap().unwrap();
        assert!(add_signature(&record, entry, &foreign).unwrap().is_none());
        assert!(add_signature(&record, entry, &key("own")).unwrap().is_none());
        cache.0.insert(entry.record_name.clone(), record);
    }
    assert_eq!([cache.flaws("own"), cache.flaws("foreign")], [[""; 0]; 2]);
    let other = Entry::new(&object("other-1", &[]), &foreign).unwrap();
    let error = add_signature(&first.record, &other, &foreign).unwrap_err().to_string();
    assert!(error.contains("other-1") && error.contains(&other.record_name), "{error}");
    assert!(add_signature(b"rubbish", &first, &foreign).is_err());
}

/// A word of an archive: its length, its bytes, zeros up to a multiple of 8.
fn token(word: &str) -> Vec<u8> {
    let mut bytes = (word.len() as u64).to_le_bytes().to_vec();
    bytes.extend(word.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Names that lead out of a store path, and what else no archive of Nix has.
#[test]
fn hostile_archives_are_refused() {
    let folder = |names: &[&str]| -> Vec<u8> {
        let mut nar: Vec<u8> = ["nix-archive-1", "(", "type", "directory"].map(token).concat();
        for name in names {
            let entry = ["entry", "(", "name", name, "node", "(", "type", "regular"].map(token);
            nar.extend(entry.concat());
            nar.extend(["contents", "hi", ")", ")"].map(token).concat());
        }
        nar.extend(token(")"));
        nar
    };
    let read = |nar: &[u8]| crate::verify::check_nar(&mut &*nar);
    read(&folder(&["a", "b"])).unwrap();
    for names in
        [&["../x"][..], &[".."], &["."], &[""], &["a/b"], &["b", "a"], &["a", "a"], &["a\0"]]
    {
        assert!(read(&folder(names)).is_err(), "{names:?}");
    }
    let mut longer = folder(&["a"]);
    longer.push(0);
    assert!(read(&longer).is_err());
    let whole = folder(&["a"]);
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    let mut deep = token("nix-archive-1");
    for _ in 0..100_000 {
        let level = ["(", "type", "directory", "entry", "(", "name", "a", "node"].map(token);
        deep.extend(level.concat());
    }
    assert!(read(&deep).is_err());
    let huge = [token("nix-archive-1"), token("("), token("type"), u64::MAX.to_le_bytes().to_vec()]
        .concat();
    assert!(read(&huge).is_err());
}

#[test]
fn a_hundred_thousand_files_are_an_archive() {
    let mut tree = Node::directory();
    for number in 0..100_000 {
        let node = Node::File { executable: false, contents: Vec::new() };
        tree.insert(&format!("file-{number:06}"), node);
    }
    let object = StoreObject::new("many-1", tree, BTreeSet::new()).unwrap();
    let entry = Entry::new(&object, &key("own")).unwrap();
    let mut cache = Cache(BTreeMap::new());
    cache.0.insert(INFO_NAME.to_owned(), CacheInfo::default().to_string().into_bytes());
    cache.0.insert(entry.record_name, entry.record);
    cache.0.insert(entry.nar_name, entry.nar);
    assert_eq!(cache.flaws("own"), [""; 0]);
}
