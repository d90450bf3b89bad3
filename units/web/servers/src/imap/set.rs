//! Sets of UIDs, each short enough for a command.

/// No command has a longer set of UIDs.
const LONGEST_SET: usize = 6000;

/// UIDs as IMAP writes them: `1:3,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UidSet(String);

impl UidSet {
    /// The sets that hold these UIDs, each short enough for a command.
    pub fn of(uids: &[u32]) -> Vec<UidSet> {
        let mut sorted = uids.iter().copied().filter(|&uid| uid > 0).collect::<Vec<_>>();
        sorted.sort_unstable();
        sorted.dedup();
        let (mut sets, mut current) = (Vec::new(), String::new());
        for run in sorted.chunk_by(|one, next| one + 1 == *next) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            if current.len() > LONGEST_SET {
                sets.push(UidSet(std::mem::take(&mut current)));
            }
            if !current.is_empty() {
                current.push(',');
            }
            current.push_str(&first.to_string());
            if last > first {
                current.push_str(&format!(":{last}"));
            }
        }
        if !current.is_empty() {
            sets.push(UidSet(current));
        }
        sets
    }

    /// As IMAP writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The numbers of a set, as long as they are not more than a mailbox holds.
pub(crate) fn expand(set: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else { continue };
        let (first, last) = (first.min(last), first.max(last));
        if numbers.len() as u64 + u64::from(last - first) > 1_000_000 {
            return Vec::new();
        }
        numbers.extend(first..=last);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sets_are_short() {
        assert_eq!(UidSet::of(&[7, 1, 3, 2, 2, 0]), [UidSet("1:3,7".into())]);
        assert!(UidSet::of(&[]).is_empty());
        let scattered = (1..20_000).map(|number| number * 2).collect::<Vec<u32>>();
        let sets = UidSet::of(&scattered);
        assert!(sets.iter().all(|set| set.0.len() < LONGEST_SET + 20));
        assert_eq!(sets.iter().flat_map(|set| expand(&set.0)).collect::<Vec<_>>(), scattered);
    }

    proptest! {
        #[test]
        fn sets_hold_what_was_put_in(mut uids in proptest::collection::vec(1_u32.., 0..50)) {
            let sets = UidSet::of(&uids);
            uids.sort_unstable();
            uids.dedup();
            prop_assert_eq!(sets.iter().flat_map(|set| expand(&set.0)).collect::<Vec<_>>(), uids);
        }
    }
}
