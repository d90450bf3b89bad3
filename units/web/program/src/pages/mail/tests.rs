//! What the pages and their assets have to agree about. With a real server they are tested by `units/web/tests/mail_test.py`.

use super::keys::KEYS;

const SCRIPT: &str = include_str!("../../../assets/mail.js");

#[test]
fn the_script_acts_on_every_key_that_the_page_names() {
    let table = SCRIPT.split_once("const keys = {").unwrap().1.split_once("\n};").unwrap().0;
    for (key, _) in KEYS {
        let quoted = format!("\n  \"{key}\": ");
        assert!(table.contains(&quoted) || table.contains(&format!("\n  {key}: ")), "{key}");
    }
    assert_eq!(table.matches(" => ").count(), KEYS.len());
}

/// Trusted Types allow one policy, and it is fed by our own pages alone.
#[test]
fn the_script_is_small_and_runs_nothing_it_was_given() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packer, SCRIPT.as_bytes()).unwrap();
    let packed = packer.finish().unwrap().len();
    assert!(packed <= 8 << 10, "{packed}");
    assert_eq!(SCRIPT.matches("createPolicy(").count(), 1);
    for refused in ["eval(", "Function(", ".outerHTML", "insertAdjacentHTML", "document.write", ".style"] {
        assert!(!SCRIPT.contains(refused), "{refused}");
    }
    for assigned in SCRIPT.split("innerHTML = ").skip(1) {
        assert!(assigned.starts_with("policy.createHTML("), "{assigned:.40}");
    }
}
