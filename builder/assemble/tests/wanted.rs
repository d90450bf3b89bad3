//! What services want from an image, for every target, and what decides its parts: the first step of an assembly,
//! without cache or network.

use std::collections::BTreeSet;

use mailkiln_assemble::{Inputs, PartsKey, UnitCaches, Wanted};
use mailkiln_fetch::Base;
use mailkiln_lock::Lock;
use mailkiln_spec::target::{builtin_target, builtin_targets};

/// The specs that other tests build from.
const SPECS: [&str; 2] =
    [include_str!("../../spec/data/default.toml"), include_str!("../../../tests/boot/mail.toml")];

#[test]
fn every_target_takes_the_files_of_every_spec() {
    for text in SPECS {
        let spec = mailkiln_spec::parse(text).unwrap();
        for target in builtin_targets().unwrap() {
            let wanted = Wanted::of(&spec, text, &target).unwrap();
            assert_eq!(wanted, Wanted::of(&spec, text, &target).unwrap(), "{}", target.name);
            let paths: BTreeSet<_> = wanted.entries.iter().map(|(path, _)| path).collect();
            assert_eq!(paths.len(), wanted.entries.len(), "{}: a path comes twice", target.name);
            assert!(wanted.modules.iter().any(|name| name == "nf_tables"), "{}", target.name);
            let numbers: BTreeSet<_> = wanted.users.iter().map(|user| user.number).collect();
            assert_eq!(numbers.len(), wanted.users.len(), "{}: a number comes twice", target.name);
        }
    }
}

#[test]
fn a_user_has_its_state_as_its_home() {
    let without_web = format!("{}\n[web]\nenable = false\n", SPECS[0]);
    let spec = mailkiln_spec::parse(&without_web).unwrap();
    let target = builtin_targets().unwrap().remove(0);
    let wanted = Wanted::of(&spec, &without_web, &target).unwrap();
    let home = |name: &str| {
        let user = wanted.users.iter().find(|user| user.name == name);
        user.map(|user| user.home.as_str())
    };
    assert_eq!(home("mail-server"), Some("/var/lib/mail-server"));
    // The filter's state lies in the agent's folder.
    assert_eq!(home("mail-filter"), Some("/var/lib/mailkiln/filter"));
    // Serves the page for passwords where no web unit does, and keeps nothing.
    assert_eq!(home("mailkiln-page"), Some("/"));
}

#[test]
fn images_share_parts_unless_something_of_them_differs() {
    let lock = Lock::parse(include_str!("../../../mailkiln.lock")).unwrap();
    let key = |text: &str, target: &str, units: &UnitCaches| {
        let spec = mailkiln_spec::parse(text).unwrap();
        let target = builtin_target(target).unwrap();
        let inputs = Inputs { spec: &spec, mail_toml: text, target: &target, lock: &lock };
        PartsKey::of(&inputs, units).unwrap()
    };
    let local = UnitCaches::default();
    let elsewhere = UnitCaches {
        bases: vec![Base::parse("https://units.example").unwrap()],
        ..UnitCaches::default()
    };
    let text = "[host]\nname = \"mail.example.test\"\n[[domain]]\nname = \"example.test\"\n";
    let own = key(text, "aws-x86_64", &local);
    assert_eq!(own, key(&text.replace("mail.", "mx."), "aws-x86_64", &local));
    let clamav = format!("{text}[filter]\nclamav = true\n");
    assert_ne!(own, key(&clamav, "aws-x86_64", &local));
    assert_ne!(own, key(text, "gcp-x86_64", &local));
    assert_ne!(own, key(text, "aws-x86_64", &elsewhere));
}
