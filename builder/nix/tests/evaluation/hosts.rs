//! The flake of a host, and the modules as they are committed.

use mailkiln_nix::{host, modules};

use super::{Nix, at};

#[test]
fn the_committed_modules_are_current() {
    let folder = at("modules");
    for source in modules().unwrap() {
        let committed = std::fs::read_to_string(folder.join(&source.path)).unwrap_or_default();
        assert!(committed == source.text, "{}: run `mailkiln emit modules`", source.path);
    }
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
    let file = nix.folder.path().join("configuration.nix");
    std::fs::write(&file, &sources[1].text).unwrap();
    let (stub, modules) = (at("tests/nix/stub.nix"), at("modules"));
    let found = nix.json(&format!(
        "(import {} {{ modules = [ {}/default.nix {} ]; }}).config.services.mailkiln.settings",
        stub.display(),
        modules.display(),
        file.display()
    ));
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
}
