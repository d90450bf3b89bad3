use std::sync::atomic::AtomicUsize;

use mailkiln_pin::{Archive, PackageArch, PoolPath};

use super::*;
use crate::deb::samples::{deb, directory, file};

/// Counts packages that were unpacked.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Progress for Counter {
    fn unpacked(&self, _: &str, _: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn pin(cache: &Cache, deb: &[u8]) -> Pin {
    let pin = Pin {
        name: "sample".parse().unwrap(),
        arch: PackageArch::All,
        version: "1.0-1".parse().unwrap(),
        size: deb.len() as u64,
        sha256: Sha256::of(deb),
        path: PoolPath::new(Archive::Debian, "pool/sample.deb").unwrap(),
    };
    cache.insert("sample", pin.sha256, pin.size, deb).unwrap();
    pin
}

#[test]
fn a_package_is_unpacked_once_and_is_the_same_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let pins: Vec<Pin> = (0..5u8)
        .map(|number| pin(&cache, &deb(&[directory("./"), file("./usr/x", &[number; 100])])))
        .collect();
    let policy = Policy::default();
    let library = Library::new(&cache, &policy, Params::default());
    let counter = Counter::default();
    let first = library.layers(&pins, &counter).unwrap();
    assert_eq!(counter.0.load(Ordering::Relaxed), 5);
    let second = library.layers(&pins, &counter).unwrap();
    assert_eq!(counter.0.load(Ordering::Relaxed), 5);
    assert_eq!(first.layers, second.layers);
    for (number, content) in (0..5u8).map(|number| (number, [number; 100])) {
        let sha256 = Sha256::of(&content);
        assert_eq!(second.read(&sha256).unwrap(), content);
        assert!(second.packs[usize::from(number)].contains(&sha256));
    }
    assert!(second.read(&Sha256::of(b"other")).is_err());

    let other_policy =
        Policy::of([crate::Rule { verdict: crate::Verdict::Drop, pattern: "usr", reason: "test" }]);
    let pruned = Library::new(&cache, &other_policy, Params::default()).layers(&pins, &counter);
    assert_eq!(counter.0.load(Ordering::Relaxed), 10);
    assert!(pruned.unwrap().layers[0].size() < first.layers[0].size());
}

#[test]
fn what_cannot_be_unpacked_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let policy = Policy::default();
    let library = Library::new(&cache, &policy, Params::default());
    let broken = pin(&cache, b"!<arch>\nbroken");
    let error = library.layers(std::slice::from_ref(&broken), &Silent).unwrap_err();
    assert!(error.to_string().starts_with("sample 1.0-1 (all) can't be unpacked"), "{error}");
    assert!(cache.derived(KIND, &library.key(&broken)).is_none());
}

#[test]
fn an_altered_index_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let policy = Policy::default();
    let library = Library::new(&cache, &policy, Params::default());
    let pins = [pin(&cache, &deb(&[file("./x", b"x")]))];
    library.layers(&pins, &Silent).unwrap();
    let index = cache.derived(KIND, &library.key(&pins[0])).unwrap().join(INDEX);
    let mut bytes = fs::read(&index).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&index, bytes).unwrap();
    assert!(matches!(library.layers(&pins, &Silent), Err(LibraryError::Layer { .. })));
}
