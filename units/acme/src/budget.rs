//! How much may be asked of an authority: well below the limits that Let's Encrypt publishes.
//!
//! In: when orders were made and certificates given. Out: from when on another order may be made.
//! An administrator who insists (`renew`) skips pauses, but not this: a limit that is reached locks
//! the appliance out for days.

use crate::clock::{DAY, HOUR, Seconds};
use crate::state::State;

/// Orders in an hour and in a day; Let's Encrypt takes 300 in three hours from one account.
const ORDERS_AN_HOUR: usize = 10;
const ORDERS_A_DAY: usize = 40;
/// Orders in an hour for all certificates together: 180 in three hours.
const ALL_ORDERS_AN_HOUR: usize = 60;
/// Certificates for the same names in a week; Let's Encrypt gives five.
const SAME_NAMES_A_WEEK: usize = 4;
/// Failed validations of one name in an hour; Let's Encrypt allows five.
const REFUSALS_AN_HOUR: usize = 4;

/// Whether an order may be made now, after those at `orders` for any certificate of this account. Each domain
/// has its own certificate, and its own count of the hour.
pub fn allows(orders: &[Seconds], now: Seconds) -> bool {
    free_again(orders, ALL_ORDERS_AN_HOUR, HOUR, now) <= now
}

/// From when on an order for `names` (sorted) may be made: `now`, or later.
pub fn next_order(state: &State, names: &[String], now: Seconds) -> Seconds {
    let given: Vec<Seconds> =
        state.given.iter().filter(|(_, those)| those == names).map(|(at, _)| *at).collect();
    let mut next = now;
    for (times, most, span) in [
        (&state.orders, ORDERS_AN_HOUR, HOUR),
        (&state.orders, ORDERS_A_DAY, DAY),
        (&given, SAME_NAMES_A_WEEK, 7 * DAY),
    ] {
        next = next.max(free_again(times, most, span, now));
    }
    next
}

/// From when on a name that was refused at `refused` may be validated again.
pub fn next_validation(refused: &[Seconds], now: Seconds) -> Seconds {
    free_again(refused, REFUSALS_AN_HOUR, HOUR, now)
}

fn free_again(times: &[Seconds], most: usize, span: Seconds, now: Seconds) -> Seconds {
    let mut recent: Vec<Seconds> =
        times.iter().copied().filter(|at| *at <= now && now - at < span).collect();
    recent.sort_unstable();
    match recent.len().checked_sub(most).and_then(|index| recent.get(index)) {
        Some(oldest) => oldest + span,
        None => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["a.org".to_owned()]
    }

    #[test]
    fn four_certificates_a_week_for_the_same_names() {
        let mut state = State::default();
        for day in 0..4 {
            assert_eq!(next_order(&state, &names(), day * DAY), day * DAY);
            state.given.push((day * DAY, names()));
        }
        assert_eq!(next_order(&state, &names(), 4 * DAY), 7 * DAY);
        assert_eq!(next_order(&state, &["b.org".to_owned()], 4 * DAY), 4 * DAY);
        assert_eq!(next_order(&state, &names(), 7 * DAY), 7 * DAY);
    }

    #[test]
    fn orders_and_refusals_are_counted_by_the_hour() {
        let state = State { orders: (0..10).collect(), ..State::default() };
        assert_eq!(next_order(&state, &names(), 100), HOUR);
        assert_eq!(next_order(&state, &names(), HOUR), HOUR);
        let all: Vec<Seconds> = (0..60).collect();
        assert!(allows(&all[1..], 100) && !allows(&all, 100) && allows(&all, HOUR));
        assert_eq!(next_validation(&[10, 20, 30], 40), 40);
        assert_eq!(next_validation(&[10, 20, 30, 35], 40), 10 + HOUR);
    }
}
