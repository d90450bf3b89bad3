//! The flake of a host, and the modules as they are committed.

use mailkiln_nix::{host, modules, options_reference};

use super::{Nix, at};

#[test]
fn the_committed_modules_are_current() {
    let folder = at("modules");
    for source in modules().unwrap() {
        let committed = std::fs::read_to_string(folder.join(&source.path)).unwrap_or_default();
        assert!(committed == source.text, "{}: run `mailkiln emit modules`", source.path);
    }
    let reference = std::fs::read_to_string(at("docs/nixos-options.md")).unwrap_or_default();
    let current = options_reference(&modules().unwrap());
    let command = "mailkiln emit modules --reference docs/nixos-options.md";
    assert!(reference == current, "docs/nixos-options.md: run `{command}`");
}

#[test]
fn the_configuration_of_a_host_is_what_mail_toml_says() {
    let Some(nix) = Nix::here() else { return };
    let text = "[host]\nname = 'mail.example.org'\n[network]\nipv6 = false\n[[domain]]\nname = 'example.org'\n\
                [[account]]\naddress = 'alice@example.org'\nname = 'A ${x} ''b'' \\'\n";
    let text = text.replace("''b''", "\"b\"");
    let sources = host(&toml::from_str(&text).unwrap()).unwrap();
    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(paths, ["flake.nix", "configuration.nix", "README.md"]);
    let found = nix.host(&text, "", "config.services.mailkiln.settings");
    let found = found.unwrap();
    assert_eq!(found["account"][0]["name"], "A ${x} \"b\" \\");
    assert_eq!(found["domain"][0]["name"], "example.org");
    assert!(found.get("network").is_none());
}

#[test]
fn texts_are_as_they_were() {
    let minimal = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n\
                   [[account]]\naddress = 'alice@example.org'\n";
    let sources = host(&toml::from_str(minimal).unwrap()).unwrap();
    insta::assert_snapshot!(sources[1].text);
    let full = host(&toml::from_str(super::specs::FULL).unwrap()).unwrap();
    insta::assert_snapshot!("everything_said", full[1].text);
}

#[test]
fn what_is_written_by_hand_is_formatted_too() {
    let hosts = std::fs::read_dir(at("tests/nix/hosts")).unwrap();
    let hosts = hosts.map(|entry| entry.unwrap().path());
    let files = [
        "default.nix",
        "flake.nix",
        "module.nix",
        "overlay.nix",
        "tests/nix/exchange.nix",
        "tests/nix/stub.nix",
        "units/default.nix",
    ];
    let hosts = hosts.filter(|path| path.extension().is_some_and(|it| it == "nix"));
    for path in files.into_iter().map(at).chain(hosts) {
        let text = std::fs::read_to_string(&path).unwrap();
        let formatted = nixfmt_rs::format(&text).unwrap();
        if std::env::var_os("MAILKILN_UPDATE").is_some() {
            std::fs::write(&path, &formatted).unwrap();
        } else {
            assert!(formatted == text, "{}: run this test with MAILKILN_UPDATE=1", path.display());
        }
    }
}
