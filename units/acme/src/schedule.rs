//! What is due.
//!
//! In: the certificate in use, what is wanted, what earlier runs left, the time. Out: whether to order
//! one, and why; or when to look again. Pure.

use mailkiln_store::certificate::Facts;

use crate::clock::{DAY, HOUR, Seconds};
use crate::settings::{Certificate, Settings};
use crate::state::State;

/// How often names that are left out are looked at again.
const NAMES: Seconds = HOUR;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this time.
    Nothing(Seconds),
    /// The certificate is somebody else's, and good: it is not ours to replace.
    Foreign,
    /// See whether names that the certificate lacks point here by now.
    Names,
    /// A certificate, because of this.
    Order(&'static str),
}

/// The certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// What it says.
    pub facts: Facts,
    /// SHA-256 of its DER, in hex.
    pub digest: String,
    /// Whether the key beside it is its own.
    pub fits: bool,
}

/// Judges. `spread`, from 0 to 1, sets the machines of the world apart.
pub fn due(
    settings: &Settings,
    certificate: &Certificate,
    state: &State,
    in_use: Option<&InUse>,
    now: Seconds,
    spread: f64,
) -> Due {
    let reason = match reason(settings, certificate, state, in_use, now, spread) {
        Ok(reason) => reason,
        Err(instead) => return instead,
    };
    // A domain whose DNS says nothing of us yet, or any more. The host's name is asked after sooner.
    let left_out = certificate.names.iter().all(|it| state.left_out.contains_key(it.as_str()));
    if certificate.name != settings.host && left_out && state.failing.is_none() {
        let next = state.names_checked + NAMES;
        return if next > now { Due::Nothing(next) } else { Due::Names };
    }
    match &state.failing {
        Some(failing) if failing.next > now => Due::Nothing(failing.next),
        _ => Due::Order(reason),
    }
}

/// Why another certificate is due, or what is instead.
fn reason(
    settings: &Settings,
    certificate: &Certificate,
    state: &State,
    in_use: Option<&InUse>,
    now: Seconds,
    spread: f64,
) -> Result<&'static str, Due> {
    let Some(in_use) = in_use else { return Ok("there is none") };
    let facts = &in_use.facts;
    if facts.ours {
        return Ok("the one in use is self-signed");
    }
    let known = state.installed.as_ref().filter(|installed| installed.digest == in_use.digest);
    let Some(installed) = known else {
        // Either an administrator's own, or ours and the power went before that was written down.
        return match (&state.order, facts.not_after < now) {
            (Some(_), _) => Ok("an order was interrupted"),
            (None, true) => Ok("the one in use is not ours and has expired"),
            (None, false) => Err(Due::Foreign),
        };
    };
    if installed.revoked {
        return Ok("the one in use was revoked, or is of another authority");
    }
    if !in_use.fits {
        return Ok("the key beside the one in use is not its own");
    }
    if installed.key != settings.key {
        return Ok("another kind of key is wanted");
    }
    let renewal = renewal(state, in_use, spread);
    if renewal <= now {
        return Ok("it is time to renew");
    }
    let wanted = |name: &String| certificate.names.iter().any(|it| it.as_str() == name);
    if facts.names.iter().any(|name| !wanted(name) && !certificate.tolerated.contains(name)) {
        return Ok("it has names that are no longer wanted");
    }
    let complete =
        certificate.names.iter().all(|name| facts.names.iter().any(|it| it == name.as_str()));
    let names = state.names_checked + NAMES;
    match (complete, names <= now) {
        (true, _) => Err(Due::Nothing(renewal)),
        (false, true) => Err(Due::Names),
        (false, false) => Err(Due::Nothing(renewal.min(names))),
    }
}

/// When the certificate in use is renewed: when the authority suggests it, else after two thirds of
/// its life, a little earlier on some machines than on others.
pub fn renewal(state: &State, in_use: &InUse, spread: f64) -> Seconds {
    let facts = &in_use.facts;
    let life = (facts.not_after - facts.not_before).max(0);
    let usual = facts.not_before + life / 3 * 2 - part(life / 50, spread);
    match &state.suggested {
        Some(window) if window.digest == in_use.digest && window.start < window.end => {
            // An authority that is mistaken must not make us wait until it has expired.
            let last = facts.not_after - life / 10;
            (window.start + part(window.end - window.start, spread)).min(last)
        }
        _ => usual,
    }
}

/// A part of a span; spans are years at most, so that no digit is lost.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn part(span: Seconds, spread: f64) -> Seconds {
    (span.clamp(0, 4000 * DAY) as f64 * spread) as Seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::EXAMPLE;
    use crate::state::{Installed, PendingOrder, Suggested};

    const START: Seconds = 1_790_000_000;

    fn settings() -> Settings {
        serde_json::from_str(EXAMPLE).unwrap()
    }

    fn certificate() -> Certificate {
        settings().hosts_certificate(std::collections::BTreeSet::new())
    }

    fn in_use(days: Seconds) -> InUse {
        let facts = Facts {
            ours: false,
            names: settings().names.iter().map(ToString::to_string).collect(),
            not_before: START,
            not_after: START + days * DAY,
            issuer: "CN=CA".to_owned(),
            public_key: Vec::new(),
            public_key_info: Vec::new(),
            identifier: None,
            der: Vec::new(),
        };
        InUse { facts, digest: "d".to_owned(), fits: true }
    }

    fn state() -> State {
        let installed = Installed { digest: "d".to_owned(), key: settings().key, revoked: false };
        State { installed: Some(installed), ..State::default() }
    }

    #[test]
    fn two_thirds_of_any_life() {
        for (days, renewal) in [(90, 60), (6, 4), (45, 30), (3, 2)] {
            let at = |then| {
                due(&settings(), &certificate(), &state(), Some(&in_use(days)), START + then, 0.0)
            };
            assert_eq!(at(renewal * DAY - 1), Due::Nothing(START + renewal * DAY));
            assert_eq!(at(renewal * DAY), Due::Order("it is time to renew"));
        }
        let early = super::renewal(&state(), &in_use(90), 1.0);
        assert_eq!(early, START + 60 * DAY - 90 * DAY / 50);
    }

    #[test]
    fn what_the_authority_suggests_counts_but_not_beyond_reason() {
        let suggested = |start, end| Suggested {
            digest: "d".to_owned(),
            start: START + start,
            end: START + end,
            ask: 0,
        };
        let with = |start, end| State { suggested: Some(suggested(start, end)), ..state() };
        let renewal = |state: &State, spread| super::renewal(state, &in_use(90), spread) - START;
        assert_eq!(renewal(&with(10 * DAY, 12 * DAY), 0.5), 11 * DAY);
        assert_eq!(renewal(&with(-5 * DAY, -DAY), 0.0), -5 * DAY, "at once");
        assert_eq!(renewal(&with(200 * DAY, 300 * DAY), 0.0), 81 * DAY);
        assert_eq!(renewal(&with(12 * DAY, 10 * DAY), 0.0), 60 * DAY, "a window upside down");
        let other = Suggested { digest: "e".to_owned(), ..suggested(1, 2) };
        assert_eq!(renewal(&State { suggested: Some(other), ..state() }, 0.0), 60 * DAY);
    }

    #[test]
    fn a_clock_that_is_off_orders_nothing() {
        for days in [-1, 1] {
            let verdict = due(
                &settings(),
                &certificate(),
                &state(),
                Some(&in_use(90)),
                START + days * DAY,
                0.0,
            );
            assert!(matches!(verdict, Due::Nothing(_)), "{verdict:?}");
        }
    }

    #[test]
    fn every_reason() {
        let now = START + DAY;
        let order = |state: &State, in_use: &InUse| {
            due(&settings(), &certificate(), state, Some(in_use), now, 0.0)
        };
        assert_eq!(
            due(&settings(), &certificate(), &state(), None, now, 0.0),
            Due::Order("there is none")
        );
        let mut other = in_use(90);
        other.facts.ours = true;
        assert!(matches!(order(&state(), &other), Due::Order(_)));
        let other = InUse { fits: false, ..in_use(90) };
        assert!(matches!(order(&state(), &other), Due::Order(_)));
        let mut other = in_use(90);
        other.facts.names.push("old.example.org".to_owned());
        assert!(matches!(order(&state(), &other), Due::Order(_)));
        let mut changed = state();
        changed.installed.as_mut().unwrap().revoked = true;
        assert!(matches!(order(&changed, &in_use(90)), Due::Order(_)));
        let mut failing = state();
        failing.failed("no".to_owned(), None, now, 0.0);
        let mut self_signed = in_use(90);
        self_signed.facts.ours = true;
        assert_eq!(order(&failing, &self_signed), Due::Nothing(now + 15 * 60));
    }

    #[test]
    fn somebody_elses_certificate_stays_until_it_expires() {
        let foreign = InUse { digest: "other".to_owned(), ..in_use(90) };
        let at = |state: &State, days| {
            due(&settings(), &certificate(), state, Some(&foreign), START + days * DAY, 0.0)
        };
        assert_eq!(at(&state(), 80), Due::Foreign);
        assert!(matches!(at(&state(), 91), Due::Order(_)));
        let order = PendingOrder { url: "u".to_owned(), names: Vec::new(), made: START };
        let interrupted = State { order: Some(order), ..state() };
        assert_eq!(at(&interrupted, 1), Due::Order("an order was interrupted"));
    }

    #[test]
    fn missing_names_are_looked_at_every_hour() {
        let mut lacking = in_use(90);
        lacking.facts.names.pop();
        let checked = State { names_checked: START, ..state() };
        let at =
            |then| due(&settings(), &certificate(), &checked, Some(&lacking), START + then, 0.0);
        assert_eq!(at(60), Due::Nothing(START + HOUR));
        assert_eq!(at(HOUR), Due::Names);
    }

    #[test]
    fn names_that_have_moved_to_another_certificate_stay_until_that_is_there() {
        let mut old = in_use(90);
        old.facts.names.push("mta-sts.b.org".to_owned());
        let due = |tolerated: &[&str]| {
            let tolerated = tolerated.iter().map(|name| (*name).to_owned()).collect();
            let certificate = settings().hosts_certificate(tolerated);
            super::due(&settings(), &certificate, &state(), Some(&old), START + DAY, 0.0)
        };
        assert_eq!(due(&["mta-sts.b.org"]), Due::Nothing(START + 60 * DAY));
        assert_eq!(due(&[]), Due::Order("it has names that are no longer wanted"));
    }

    #[test]
    fn a_domain_without_dns_is_looked_at_every_hour() {
        let name = |name: &str| name.to_owned().try_into().unwrap();
        let certificate = Certificate {
            name: name("b.org"),
            names: vec![name("autoconfig.b.org"), name("mta-sts.b.org")],
            tolerated: std::collections::BTreeSet::new(),
        };
        let mut state = State { names_checked: START, ..State::default() };
        let at =
            |state: &State, then| due(&settings(), &certificate, state, None, START + then, 0.0);
        assert_eq!(at(&state, 60), Due::Order("there is none"));
        for name in &certificate.names {
            state.refused(name.as_str(), "no address".to_owned(), START, 0.0);
        }
        assert_eq!(at(&state, 60), Due::Nothing(START + HOUR));
        assert_eq!(at(&state, HOUR), Due::Names);
        // What the authority has refused has its own pauses.
        state.failed("no".to_owned(), None, START, 0.0);
        assert_eq!(at(&state, 60), Due::Nothing(START + 15 * 60));
    }
}
