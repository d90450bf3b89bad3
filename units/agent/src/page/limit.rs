//! How often a client may be wrong: by IPv4 address or IPv6 /64, in memory of a fixed size.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many wrong attempts,
const MOST: u32 = 5;
/// in so much time.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Clients that are remembered; the oldest are forgotten first.
const CLIENTS: usize = 4096;

/// Who was wrong lately.
#[derive(Debug, Default)]
pub(super) struct Failures {
    clients: BTreeMap<u128, (u32, Instant)>,
}

impl Failures {
    /// Returns true when `client` may try.
    pub(super) fn allow(&self, client: IpAddr, now: Instant) -> bool {
        let found = self.clients.get(&network(client));
        found.is_none_or(|(count, last)| *count < MOST || now.duration_since(*last) > WINDOW)
    }

    /// Counts a wrong attempt.
    pub(super) fn count(&mut self, client: IpAddr, now: Instant) {
        self.clients.retain(|_, (_, last)| now.duration_since(*last) <= WINDOW);
        if self.clients.len() >= CLIENTS
            && let Some(oldest) = self.clients.iter().min_by_key(|(_, (_, last))| *last)
        {
            let oldest = *oldest.0;
            self.clients.remove(&oldest);
        }
        let entry = self.clients.entry(network(client)).or_insert((0, now));
        *entry = (entry.0.saturating_add(1), now);
    }
}

/// What one customer of a provider has: an IPv4 address, or an IPv6 /64.
pub(super) fn network(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_wrong_ones_close_the_page_for_one_network_and_a_quarter_of_an_hour() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for _ in 0..MOST {
            assert!(failures.allow(ip("2001:db8::1"), now));
            failures.count(ip("2001:db8::1"), now);
        }
        assert!(!failures.allow(ip("2001:db8::2"), now), "the same /64");
        assert!(failures.allow(ip("2001:db8:0:1::1"), now), "another /64");
        assert!(failures.allow(ip("192.0.2.1"), now));
        let later = now + WINDOW + Duration::from_secs(1);
        assert!(failures.allow(ip("2001:db8::1"), later));
    }

    #[test]
    fn memory_is_bounded_and_mapped_addresses_are_ipv4() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..20_000_u32 {
            failures.count(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(failures.clients.len(), CLIENTS);
        assert_eq!(network(ip("::ffff:192.0.2.1")), network(ip("192.0.2.1")));
    }
}
