//! How much work one message may cause, and the account of what it caused so far.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Bounds of one inspection. Each is enforced while decoding, before memory or time is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside containers. Real mail stays below 5: a message forwarded in a message, a
    /// zip in it, a document (a zip too), a picture in that.
    pub depth: u32,
    /// Things looked at in one message. A zip of a small software project has a thousand.
    pub entries: u32,
    /// Unpacked bytes per packed byte, once more than [`Limits::RATIO_FROM`] came out. Text and
    /// spreadsheets reach 50, bombs start at 1000.
    pub ratio: u64,
    /// Unpacked bytes of the whole message: what 2 cores read through in a few seconds.
    pub bytes: u64,
    /// Unpacked bytes of one member. It is held in memory, and so are those around it.
    pub part_bytes: u64,
    /// Time for one message, also where the caller's deadline is later. Clients wait for minutes
    /// after DATA; a filter that takes that long is one that an attacker can occupy.
    pub time: Duration,
}

impl Limits {
    /// Bytes that come out before [`Limits::ratio`] is looked at: a megabyte of zeros is no bomb.
    pub const RATIO_FROM: u64 = 4 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 12,
            entries: 5000,
            ratio: 250,
            bytes: 256 << 20,
            part_bytes: 64 << 20,
            time: Duration::from_secs(20),
        }
    }
}

/// Why unpacking stopped before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A limit, in words.
    Limit(String),
    /// The decoder's complaint about data that end too early.
    Damaged(String),
    /// The decoder's complaint about what another program may well read.
    Unseen(String),
}

/// What is left of the limits.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    pub(crate) deadline: Instant,
    pub(crate) entries: u32,
    pub(crate) unpacked: u64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, deadline: Instant) -> Self {
        let own = Instant::now().checked_add(limits.time).unwrap_or(deadline);
        let deadline = deadline.min(own);
        Budget { limits: limits.clone(), deadline, entries: 0, unpacked: 0 }
    }

    pub(crate) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Counts one more thing; false when there are too many.
    pub(crate) fn enter(&mut self) -> bool {
        self.entries = self.entries.saturating_add(1);
        self.entries <= self.limits.entries
    }

    /// What one member may become, given `packed` bytes of it.
    pub(crate) fn allowance(&self, packed: u64) -> u64 {
        let by_ratio = packed.saturating_mul(self.limits.ratio).max(Limits::RATIO_FROM);
        let left = self.limits.bytes.saturating_sub(self.unpacked);
        by_ratio.min(self.limits.part_bytes).min(left)
    }

    /// Says which limit [`Budget::allowance`] was made by.
    pub(crate) fn excess(&self, packed: u64) -> String {
        let allowance = self.allowance(packed);
        if allowance == self.limits.bytes.saturating_sub(self.unpacked) {
            format!("the message unpacks to more than {} bytes", self.limits.bytes)
        } else if allowance == self.limits.part_bytes {
            format!("it unpacks to more than {} bytes", self.limits.part_bytes)
        } else {
            format!("it unpacks to more than {} times its size", self.limits.ratio)
        }
    }

    /// Reads `reader` to its end or to the first limit. What came out before a limit or a defect is
    /// returned too, since a victim's program would read that much as well.
    pub(crate) fn unpack(&mut self, reader: impl Read, packed: u64) -> (Vec<u8>, Option<Stop>) {
        let mut output = Vec::new();
        let stop = self.unpack_into(reader, packed, &mut output).err();
        self.unpacked = self.unpacked.saturating_add(output.len() as u64);
        (output, stop)
    }

    fn unpack_into(
        &self,
        mut reader: impl Read,
        packed: u64,
        output: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let allowance = self.allowance(packed);
        let mut chunk = vec![0; 64 << 10];
        loop {
            if self.is_late() {
                return Err(Stop::Limit("the time for one message is over".to_owned()));
            }
            let read = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Stop::Damaged(error.to_string()));
                }
                Err(error) => return Err(Stop::Unseen(error.to_string())),
            };
            output.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if output.len() as u64 > allowance {
                return Err(Stop::Limit(self.excess(packed)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limits: Limits) -> Budget {
        Budget::new(&limits, Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn every_limit_stops_and_says_which_it_was() {
        let small = Limits { part_bytes: 1000, ..Limits::default() };
        let (output, stop) = budget(small).unpack(io::repeat(0), 10);
        assert!(output.len() >= 1000);
        assert_eq!(stop, Some(Stop::Limit("it unpacks to more than 1000 bytes".to_owned())));

        let (_, stop) = budget(Limits::default()).unpack(io::repeat(0), 10);
        assert_eq!(stop, Some(Stop::Limit("it unpacks to more than 250 times its size".into())));

        let mut budget = budget(Limits { bytes: 100_000, ..Limits::default() });
        assert_eq!(budget.unpack(io::repeat(0).take(90_000), 90_000).1, None);
        let (_, stop) = budget.unpack(io::repeat(0), 90_000);
        assert_eq!(stop, Some(Stop::Limit("the message unpacks to more than 100000 bytes".into())));
    }

    #[test]
    fn a_reader_without_end_is_left_at_the_deadline() {
        let limits =
            Limits { time: Duration::from_millis(50), part_bytes: u64::MAX, ..Limits::default() };
        let mut budget = budget(limits);
        struct Slow;
        impl Read for Slow {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                std::thread::sleep(Duration::from_millis(5));
                Err(io::ErrorKind::Interrupted.into())
            }
        }
        let (_, stop) = budget.unpack(Slow, 1);
        assert_eq!(stop, Some(Stop::Limit("the time for one message is over".into())));
    }
}
