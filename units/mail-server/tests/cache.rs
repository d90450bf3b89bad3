//! The library's caches: what is larger than a share of one has to stay, since making the index
//! of a large mailbox for every command is the dearer thing.

use stalwart_lib::utils::cache::{Cache, CacheItemWeight};

#[derive(Clone)]
struct Index(u64);

impl CacheItemWeight for Index {
    fn weight(&self) -> u64 {
        self.0
    }
}

const CAPACITY: u64 = 16 << 20;

#[test]
fn cache_keeps_what_is_larger_than_a_share() {
    // The last one is larger than the whole cache
    for weight in [1 << 10, 3 << 20, 8 << 20, 15 << 20, 64 << 20] {
        let cache = Cache::new(1000, CAPACITY);
        cache.insert(1_u32, Index(weight));
        assert!(cache.get(&1).is_some(), "{weight} bytes were not kept");
    }
}

#[test]
fn cache_stays_within_its_size_when_entries_are_small() {
    let cache = Cache::new(1000, CAPACITY);
    for key in 0..64_u32 {
        cache.insert(key, Index(1 << 20));
    }
    let kept = (0..64).filter(|key| cache.get(key).is_some()).count();
    assert!((8..=16).contains(&kept), "{kept} of 64 MiB in a cache of 16");
}
