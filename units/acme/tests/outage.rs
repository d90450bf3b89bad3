//! An authority that is away for a week, in simulated time: it is asked ever less, and the
//! certificate in use stays.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::cell::Cell;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailkiln_acme::clock::{Clock, DAY, HOUR, Seconds};
use mailkiln_acme::layout::Layout;
use mailkiln_acme::run::{Outcome, run};
use mailkiln_acme::settings::{KeyKind, Settings};
use mailkiln_acme::state::{Installed, State};
use mailkiln_acme::tlsa;
use mailkiln_store::certificate::Facts;
use mailkiln_store::certificate_folder::Pair;
use rcgen::{CertificateParams, Issuer, KeyPair};

const START: Seconds = 1_790_000_000;

/// A clock that goes when it is told to.
struct Simulated(Cell<Seconds>);

impl Clock for Simulated {
    fn now(&self) -> Seconds {
        self.0.get()
    }
}

/// A port on which whoever connects is hung up on, and how often that was.
fn away() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count)
}

/// An appliance whose certificate of 90 days is 60 days old now.
fn appliance(root: &Path, port: u16) -> (Layout, Settings) {
    let layout = Layout::new(root);
    for directory in ["etc", "var/lib/mailkiln-acme/live"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let authority_key = KeyPair::generate().unwrap();
    let authority = CertificateParams::new(Vec::new()).unwrap();
    let issuer = Issuer::from_params(&authority, &authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["mail.example.org".to_owned()]).unwrap();
    let at = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    (params.not_before, params.not_after) = (at(START - 60 * DAY), at(START + 30 * DAY));
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    let roots = root.join("roots.pem");
    fs::write(&roots, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
    let facts = Facts::parse(&chain).unwrap();
    let pair = Pair { chain, key: key.serialize_pem() };
    layout.certificate("mail.example.org").install(&pair, None).unwrap();
    let directory = format!("https://127.0.0.1:{port}/directory");
    let digest = tlsa::hex(&facts.der);
    let installed = Installed { digest, key: KeyKind::EcdsaP256, revoked: false };
    let state =
        State { directory: directory.clone(), installed: Some(installed), ..State::default() };
    state.write(&layout.state()).unwrap();
    let settings = format!(
        r#"{{"host": "mail.example.org", "names": ["mail.example.org"], "directory": "{directory}",
            "roots": "{}", "challenge": {{"kind": "dns-01", "wait": 0,
            "provider": {{"kind": "exec", "program": "/usr/bin/false"}}}}}}"#,
        roots.display()
    );
    (layout, serde_json::from_str(&settings).unwrap())
}

#[test]
fn a_week_without_the_authority() {
    let root = tempfile::tempdir().unwrap();
    let (port, connections) = away();
    let (layout, settings) = appliance(root.path(), port);
    let before = fs::read_to_string(layout.certificate("mail.example.org").chain).unwrap();
    let clock = Simulated(Cell::new(START));
    let mut attempts = Vec::new();
    for minutes in (0..7 * 24 * 60).step_by(10) {
        clock.0.set(START + minutes * 60);
        match run(&layout, &settings, &clock).unwrap() {
            Outcome::Failed(_) => attempts.push(clock.now()),
            Outcome::Nothing => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((8..=20).contains(&attempts.len()), "{} attempts in a week", attempts.len());
    for window in attempts.windows(5) {
        assert!(window[4] - window[0] > HOUR, "more than four attempts in an hour: {window:?}");
    }
    // One more for the suggestion of the authority, before anything has failed.
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections <= 2 * attempts.len() + 2, "{connections} for {}", attempts.len());
    let state = State::read(&layout.state());
    assert_eq!(state.failing_for_days(clock.now()), Some(6));
    assert_eq!(state.failing.unwrap().since, START);
    assert!(state.orders.is_empty(), "nothing was ordered");
    let after = fs::read_to_string(layout.certificate("mail.example.org").chain).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_clock_that_jumps_back_does_not_silence_it() {
    let root = tempfile::tempdir().unwrap();
    let (port, _) = away();
    let (layout, settings) = appliance(root.path(), port);
    let clock = Simulated(Cell::new(START + 900 * DAY));
    assert!(matches!(run(&layout, &settings, &clock).unwrap(), Outcome::Failed(_)));
    clock.0.set(START);
    assert!(matches!(run(&layout, &settings, &clock).unwrap(), Outcome::Failed(_)));
    assert_eq!(run(&layout, &settings, &clock).unwrap(), Outcome::Nothing);
    assert_eq!(State::read(&layout.state()).failing.unwrap().since, START);
}
