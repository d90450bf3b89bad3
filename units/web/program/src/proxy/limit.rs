//! How much of something one client has at the same time: DAV requests, event streams.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::Client;

/// What clients have. There are never more clients than connections.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    most: usize,
    taken: Arc<Mutex<BTreeMap<u128, usize>>>,
}

/// One of them; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    network: u128,
    taken: Arc<Mutex<BTreeMap<u128, usize>>>,
}

impl Shares {
    /// At most `most` for each client.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// One more for `client`, unless it has its share.
    pub(crate) fn take(&self, client: Client) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let network = client.network();
        let count = taken.get(&network).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        taken.insert(network, count + 1);
        Some(Share { network, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_its_share_and_others_theirs() {
        let shares = Shares::new(2);
        let client = |text: &str| Client { address: text.parse().unwrap(), secure: true };
        let (first, second) = (shares.take(client("192.0.2.1")), shares.take(client("192.0.2.1")));
        assert!(first.is_some() && second.is_some());
        assert!(shares.take(client("192.0.2.1")).is_none());
        assert!(shares.take(client("192.0.2.2")).is_some());
        drop(first);
        assert!(shares.take(client("192.0.2.1")).is_some());
        drop(second);
        assert!(shares.taken.lock().unwrap().is_empty());
    }
}
