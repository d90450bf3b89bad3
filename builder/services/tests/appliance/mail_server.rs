//! The mail server's configuration, as far as it can be judged without the server.

use crate::fixture::{ALL, FULL, IPV4, MINIMAL, built, file};

const PATH: &str = "/etc/mailkiln/mail-server.toml";

fn parsed(mail_toml: &str) -> toml::Table {
    let parsed: Result<toml::Table, toml::de::Error> = file(&built(mail_toml), PATH).parse();
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn it_is_toml_without_a_secret() {
    for (name, mail_toml) in ALL {
        let table = parsed(mail_toml);
        for (at, value) in [
            ("oauth.key", &table["oauth"]["key"]),
            ("fallback-admin", &table["authentication"]["fallback-admin"]["secret"]),
            ("certificate", &table["certificate"]["default"]["private-key"]),
        ] {
            let value = value.as_str().unwrap();
            assert!(value.starts_with("%{file:/") && value.ends_with("}%"), "{name} {at}: {value}");
        }
    }
}

#[test]
fn every_secret_it_names_is_a_credential_of_the_unit() {
    for (name, mail_toml) in ALL {
        let appliance = built(mail_toml);
        let service = appliance.services.iter().find(|each| each.name == "mail-server").unwrap();
        let text = file(&appliance, PATH);
        let mut named: Vec<&str> = text
            .split("%{file:/run/credentials/mail-server.service/")
            .skip(1)
            .map(|rest| rest.split_once("}%").unwrap().0)
            .collect();
        let mut loaded: Vec<&str> =
            service.credentials.iter().map(|each| each.name.as_str()).collect();
        named.sort_unstable();
        loaded.sort_unstable();
        assert_eq!(named, loaded, "{name}");
    }
}

#[test]
fn what_is_for_this_machine_is_bound_to_loopback_and_to_nothing_else() {
    for (mail_toml, everywhere) in [(MINIMAL, "[::]"), (FULL, "[::]"), (IPV4, "0.0.0.0")] {
        let table = parsed(mail_toml);
        for (id, listener) in table["server"]["listener"].as_table().unwrap() {
            let bind = listener["bind"].as_str().unwrap();
            let (address, _) = bind.rsplit_once(':').unwrap();
            let inside = ["http", "release"].contains(&id.as_str());
            assert_eq!(address, if inside { "127.0.0.1" } else { everywhere }, "{id}");
        }
    }
}

#[test]
fn relaying_and_senders_are_bound_to_a_login() {
    let table = parsed(MINIMAL);
    let rcpt = &table["session"]["rcpt"]["relay"];
    assert_eq!(rcpt[0]["if"].as_str(), Some("!is_empty(authenticated_as)"));
    assert_eq!(rcpt[1]["else"].as_str(), Some("false"));
    assert_eq!(table["session"]["auth"]["must-match-sender"].as_bool(), Some(true));
    assert_eq!(table["imap"]["auth"]["allow-plain-text"].as_bool(), Some(false));
}

#[test]
fn an_account_that_is_freed_writes_as_anybody_and_no_other_does() {
    let freed = MINIMAL.to_owned()
        + "\n[[account]]\naddress = \"news@example.org\"\nany_sender = true\n"
        + "\n[mail]\nrecipients_per_hour = 5000\n";
    let session = &parsed(&freed)["session"];
    for key in ["must-match-sender", "must-match-header"] {
        let rules = &session["auth"][key];
        assert_eq!(
            rules[0]["if"].as_str(),
            Some("authenticated_as == 'news@example.org'"),
            "{key}"
        );
        assert_eq!(rules[0]["then"].as_str(), Some("false"), "{key}");
        assert_eq!(rules[1]["else"].as_str(), Some("true"), "{key}");
    }
    // A day holds an hour.
    let rates: Vec<_> = session["rcpt"]["account"]["rate"].as_array().unwrap().iter().collect();
    assert_eq!(rates, [&toml::Value::from("5000/1h"), &toml::Value::from("5000/1d")]);
}

#[test]
fn one_domain_s_signature_can_t_be_taken_for_another_s() {
    // The server sorts `signature.ID.KEY` and takes what follows an `.algorithm` for its ID's.
    let table = parsed(FULL);
    for (id, signature) in table["signature"].as_table().unwrap() {
        assert!(!id.contains('.'), "{id}");
        let domain = signature["domain"].as_str().unwrap().replace('.', "_");
        assert!(id.ends_with(&format!("-{domain}")), "{id} {domain}");
    }
    let signing = &table["auth"]["dkim"]["sign"];
    assert_eq!(
        signing[1]["then"].as_str(),
        Some("['rsa-example_org_au', 'ed25519-example_org_au']")
    );
}

#[test]
fn odd_names_arrive_unchanged() {
    let table = parsed(FULL);
    let relay = &table["queue"]["route"]["relay"];
    assert_eq!(relay["auth"]["username"].as_str(), Some("CORP\\tom"));
    let catch_all = &table["session"]["rcpt"]["catch-all"];
    assert_eq!(catch_all[0]["if"].as_str(), Some("ends_with(rcpt, '@example.org')"));
    assert_eq!(catch_all[0]["then"].as_str(), Some("\"o'hara@example.org\""));
    assert_eq!(catch_all[1]["else"].as_str(), Some("rcpt"));
}

#[test]
fn rules_follow_the_configuration() {
    assert!(file(&built(MINIMAL), PATH).ends_with("[spam-filter.rule.test]\nscope = \"any\"\n"));
}
