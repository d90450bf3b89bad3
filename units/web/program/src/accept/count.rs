//! How many connections are open, of all and of each client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts in memory of a fixed size: there are no more clients than connections.
#[derive(Debug)]
pub(crate) struct Counter {
    most: usize,
    most_of_one: usize,
    open: Mutex<(usize, BTreeMap<u128, usize>)>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    counter: Arc<Counter>,
    network: Option<u128>,
}

impl Counter {
    /// `most` places, of which one client may take `most_of_one`.
    pub(crate) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, open: Mutex::default() })
    }

    /// A place for a client; one without a network counts only among all.
    pub(crate) fn enter(self: &Arc<Self>, network: Option<u128>) -> Option<Ticket> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.0 >= self.most {
            return None;
        }
        if let Some(network) = network {
            let of_one = open.1.entry(network).or_default();
            if *of_one >= self.most_of_one {
                return None;
            }
            *of_one += 1;
        }
        open.0 += 1;
        Some(Ticket { counter: Arc::clone(self), network })
    }

    /// How many places are taken.
    pub(crate) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.counter.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 -= 1;
        if let Some(network) = self.network
            && let Some(of_one) = open.1.get_mut(&network)
        {
            *of_one -= 1;
            if *of_one == 0 {
                open.1.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let counter = Counter::new(3, 2);
        let first = counter.enter(Some(1)).unwrap();
        let second = counter.enter(Some(1)).unwrap();
        assert!(counter.enter(Some(1)).is_none(), "one client has its share");
        let other = counter.enter(Some(2)).unwrap();
        assert!(counter.enter(Some(3)).is_none(), "all are taken");
        assert!(counter.enter(None).is_none());
        drop(first);
        assert!(counter.enter(Some(3)).is_some());
        drop((second, other));
        assert_eq!(counter.open(), 0);
        assert!(counter.open.lock().unwrap().1.is_empty(), "nobody is remembered");
    }
}
