//! What services want from an image, for every target: the first step of an assembly, without cache or network.

use std::collections::BTreeSet;

use mailkiln_assemble::Wanted;
use mailkiln_spec::target::builtin_targets;

/// The specs that other tests build from.
const SPECS: [&str; 2] =
    [include_str!("../../spec/data/default.toml"), include_str!("../../../tests/boot/mail.toml")];

#[test]
fn every_target_takes_the_files_of_every_spec() {
    for text in SPECS {
        let spec = mailkiln_spec::parse(text).unwrap();
        for target in builtin_targets().unwrap() {
            let wanted = Wanted::of(&spec, &target).unwrap();
            assert_eq!(wanted, Wanted::of(&spec, &target).unwrap(), "{}", target.name);
            let paths: BTreeSet<_> = wanted.entries.iter().map(|(path, _)| path).collect();
            assert_eq!(paths.len(), wanted.entries.len(), "{}: a path comes twice", target.name);
            assert!(wanted.modules.iter().any(|name| name == "nf_tables"), "{}", target.name);
            let numbers: BTreeSet<_> = wanted.users.iter().map(|user| user.number).collect();
            assert_eq!(numbers.len(), wanted.users.len(), "{}: a number comes twice", target.name);
        }
    }
}
