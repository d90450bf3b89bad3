//! Numbers for accounts that a package wants without saying which.
//!
//! In: a name. Out: its number, the same on every architecture, for every set of packages and
//! in every release: `/var` outlives the image, and its files carry numbers, not names.

use std::collections::BTreeSet;

use mailkiln_pin::Sha256;

/// Debian's system accounts with numbers of our own, from 901 on. Append only.
const KNOWN: [(&str, u32); 25] = [
    ("clock", 901),
    ("crontab", 902),
    ("input", 903),
    ("kvm", 904),
    ("messagebus", 905),
    ("netdev", 906),
    ("polkitd", 907),
    ("render", 908),
    ("sgx", 909),
    ("sshd", 910),
    ("systemd-coredump", 911),
    ("systemd-journal", 912),
    ("systemd-journal-gateway", 913),
    ("systemd-journal-remote", 914),
    ("systemd-journal-upload", 915),
    ("systemd-network", 916),
    ("systemd-oom", 917),
    ("systemd-resolve", 918),
    ("systemd-timesync", 919),
    ("tcpdump", 920),
    ("tss", 921),
    ("uuidd", 922),
    ("_chrony", 923),
    ("_ssh", 924),
    ("gpio", 925),
];

/// Where names that nobody has listed get theirs: below ours (801 …) and above Debian's fixed ones.
const DERIVED: std::ops::Range<u32> = 600..800;

/// The number for `name`; `None` only when all 200 derived ones are `taken`.
///
/// An unlisted name starts at a place made from its digest and takes the next free number, so
/// that adding a package moves the others only if they collide.
pub(super) fn number_for(name: &str, taken: &BTreeSet<u32>) -> Option<u32> {
    if let Some((_, number)) = KNOWN.iter().find(|(known, _)| *known == name) {
        return (!taken.contains(number)).then_some(*number);
    }
    let count = DERIVED.end - DERIVED.start;
    let digest = *Sha256::of(name.as_bytes()).as_bytes();
    let start = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % count;
    let mut candidates = (0..count).map(|step| DERIVED.start + (start + step) % count);
    candidates.find(|number| !taken.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_names_keep_their_numbers_and_no_number_is_given_twice() {
        let mut seen = BTreeSet::new();
        for (name, number) in KNOWN {
            assert!(seen.insert(number), "{name}");
            assert_eq!(number_for(name, &BTreeSet::new()), Some(number));
        }
        // Published images depend on these.
        assert_eq!(number_for("systemd-resolve", &BTreeSet::new()), Some(918));
        assert_eq!(number_for("sshd", &BTreeSet::new()), Some(910));
    }

    #[test]
    fn unlisted_names_get_a_number_from_their_name() {
        let mut taken = BTreeSet::new();
        let first = number_for("fresh", &taken).unwrap();
        assert!(DERIVED.contains(&first));
        assert_eq!(number_for("fresh", &taken), Some(first));
        taken.insert(first);
        assert_ne!(number_for("fresh", &taken), Some(first));
        assert_eq!(number_for("fresh", &DERIVED.collect()), None);
    }
}
