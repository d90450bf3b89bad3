//! What other parts rely on: `docs/internals/contracts.md`.

use crate::fixture::{FULL, MINIMAL, built, file};

#[test]
fn the_agent_reads_what_mail_toml_says() {
    let text = file(&built(FULL), "/etc/mailkiln/appliance.json");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["host"], "mail.example.org");
    assert_eq!(json["domains"][0]["catch_all"], "o'hara@example.org");
    assert_eq!(json["domains"][1]["catch_all"], serde_json::Value::Null);
    assert_eq!(json["accounts"][0]["name"], "O'Hara \"the boss\"");
    assert_eq!(json["accounts"][0]["quota"], 5_u64 << 30);
    assert_eq!(json["api"], "http://127.0.0.1:8080");
    assert_eq!(json["consoles"][1], "/dev/ttyS0");
    assert_eq!(json["recorded_consoles"], serde_json::json!(["/dev/ttyS0"]));
    assert_eq!(json["page"], serde_json::Value::Null, "the web unit has such a page");
    assert_eq!(json["web"]["oauth_client"], "mailkiln-web");
    assert_eq!(json["web"]["redirect"], "https://mail.example.org/sign-in");
    assert_eq!(json["relay_user"], "CORP\\tom");
    assert_eq!(json["ssh"], true);
    assert!(json["postmaster"].as_str().unwrap().contains('@'));
}

#[test]
fn users_keep_their_numbers() {
    let users: Vec<(&str, u32)> =
        built(MINIMAL).users().iter().map(|user| (user.name, user.id)).collect();
    assert_eq!(
        users,
        [
            ("mail-server", 801),
            ("mailkiln", 802),
            ("mailkiln-acme", 804),
            ("mail-filter", 805),
            ("mailkiln-web", 809)
        ]
    );
}

#[test]
fn the_order_of_the_services_is_that_of_the_contract() {
    let appliance = built(MINIMAL);
    let names: Vec<&str> = appliance.services.iter().map(|service| service.name).collect();
    assert_eq!(
        names,
        [
            "mailkiln-prepare",
            "mailkiln-filter",
            "mail-server",
            "mailkiln-web",
            "mailkiln-provision",
            "mailkiln-console",
            "mailkiln-acme",
            "mailkiln-certificate",
        ]
    );
    for pair in names[..3].windows(2) {
        let unit = file(&appliance, &format!("/etc/systemd/system/{}.service", pair[1]));
        let after = unit.lines().find(|line| line.starts_with("After=")).unwrap();
        assert!(after.contains(&format!("{}.service", pair[0])), "{}: {after}", pair[1]);
    }
}
