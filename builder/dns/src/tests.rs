//! The records of whole specs.

use mailkiln_spec::{DEFAULT, parse};

use crate::{DkimKey, mta_sts_policy, notes, records, table, zone_file};

const TWO_DOMAINS: &str = r#"
[host]
name = "mail.example.org"
[network]
addresses = ["192.0.2.10/24", "2001:db8::10/64", "10.0.0.5/8", "fd00::5/64"]
gateways = ["192.0.2.1"]
[[domain]]
name = "example.org"
[[domain]]
name = "bücher.example"
[[account]]
address = "alice@example.org"
"#;

#[test]
fn the_zone_of_two_domains() {
    let spec = parse(TWO_DOMAINS).unwrap();
    let key = DkimKey {
        domain: "example.org".parse().unwrap(),
        selector: "rsa".to_owned(),
        text: format!("v=DKIM1; k=rsa; p={}", "A".repeat(300)),
    };
    insta::assert_snapshot!(zone_file(&records(&spec, &[key])));
}

#[test]
fn records_of_the_web_unit_come_and_go_with_it() {
    let of_web = |text: &str| {
        let records = records(&parse(text).unwrap(), &[]);
        let has = |label: &str| records.iter().any(|r| r.name == format!("{label}.example.org"));
        assert!(has("_imaps._tcp") && has("_dmarc"));
        ["autoconfig", "autodiscover", "mta-sts", "_mta-sts", "_caldavs._tcp"].map(has)
    };
    assert_eq!(of_web(TWO_DOMAINS), [true; 5]);
    assert_eq!(of_web(&format!("{TWO_DOMAINS}[web]\nenable = false\n")), [false; 5]);
}

#[test]
fn the_table_and_notes_of_the_demonstration() {
    let spec = parse(DEFAULT).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n{}",
        table(&records(&spec, &[])),
        notes(&spec, &[]).join("\n")
    ));
}

#[test]
fn a_relay_softens_spf_and_foreign_reports_need_consent() {
    let text = format!(
        "{TWO_DOMAINS}[relay]\nhost = 'smtp.example.net'\n[mail]\npostmaster = 'r@other.test'"
    );
    let spec = parse(&text).unwrap();
    let zone = zone_file(&records(&spec, &[]));
    assert!(zone.contains("\"v=spf1 mx ~all\"") && !zone.contains("mx -all"));
    assert!(!zone.contains("_report._dmarc"));
    let notes = notes(&spec, &[]).join("\n");
    assert!(notes.contains("include:") && notes.contains("_report._dmarc.other.test"));
}

#[test]
fn an_odd_postmaster_is_a_sound_uri() {
    let text = format!("{TWO_DOMAINS}[mail]\npostmaster = 'a!b+c%d@other.test'");
    let zone = zone_file(&records(&parse(&text).unwrap(), &[]));
    assert!(zone.contains("rua=mailto:a%21b+c%25d@other.test\""), "{zone}");
}

#[test]
fn no_name_has_a_cname_and_something_else() {
    let text = TWO_DOMAINS
        .replace("mail.example.org", "mta-sts.example.org")
        .replace("\"bücher.example\"", "\"autoconfig.example.org\"");
    let records = records(&parse(&text).unwrap(), &[]);
    for alias in records.iter().filter(|record| record.data.kind() == "CNAME") {
        let same = records.iter().filter(|record| record.name == alias.name).count();
        assert_eq!(same, 1, "{alias:?}");
    }
}

#[test]
fn a_domain_that_is_its_own_host_has_one_spf_record() {
    let text = TWO_DOMAINS.replace("mail.example.org", "example.org");
    let records = records(&parse(&text).unwrap(), &[]);
    let spf =
        |it: &&crate::Record| it.name == "example.org" && it.data.to_string().starts_with("v=spf1");
    assert_eq!(records.iter().filter(spf).count(), 1);
}

#[test]
fn the_policy_is_that_of_rfc_8461() {
    let spec = parse(TWO_DOMAINS).unwrap();
    let policy = "version: STSv1\r\nmode: testing\r\nmx: mail.example.org\r\nmax_age: 604800\r\n";
    assert_eq!(mta_sts_policy(&spec), policy);
}
