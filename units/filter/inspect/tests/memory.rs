//! The rule engine never makes memory executable: the service can deny it (W^X).
#![allow(clippy::unwrap_used, reason = "a test, outside of its function")]

mod made;

use std::time::{Duration, Instant};

use mailkiln_inspect::{Limits, Rules, inspect};

/// Memory that is executable and not the program, a library or the kernel's own.
fn executable() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let is_code =
        |line: &&str| line.split_whitespace().nth(1).is_some_and(|rights| rights.contains('x'));
    let is_known = |line: &&str| {
        line.split_whitespace()
            .nth(5)
            .is_some_and(|path| path.starts_with('/') || path.starts_with("[v"))
    };
    maps.lines().filter(is_code).filter(|line| !is_known(line)).map(str::to_owned).collect()
}

#[test]
fn rules_are_compiled_and_run_without_executable_memory() {
    let text = r#"rule loops { strings: $a = "x" condition: for any i in (1..#a): (@a[i] % 7 == 3 and uint8(@a[i]) == 0x78) }"#;
    let rules = Rules::compile(&[("loops.yar", text)]).unwrap();
    let message = made::message("a.txt", &[b'x'; 5000]);
    let report =
        inspect(&message, &Limits::default(), &rules, Instant::now() + Duration::from_secs(60));
    assert_eq!(report.findings[0].reason, "rule loops matches");
    assert!(executable().is_empty(), "{:?}", executable());
}
