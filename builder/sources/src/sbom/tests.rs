use super::*;

fn package(name: &str, source: Option<&str>, licences: &[&str]) -> Package {
    Package {
        name: name.parse().unwrap(),
        version: "1:2.0+x".parse().unwrap(),
        architecture: "amd64".into(),
        source: source.map(str::to_owned),
        sha256: Sha256::of(name.as_bytes()),
        control: String::new(),
        licences: licences.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn sbom(parts: Vec<Part>) -> Sbom {
    Sbom {
        name: "mail.example.org-x86_64".into(),
        version: "1".into(),
        created: "2026-11-20T10:11:12.5Z".parse().unwrap(),
        builder: "0.1.0".into(),
        parts,
    }
}

#[test]
fn a_document_names_every_part_once_whatever_their_order() {
    let packages = [
        package("liba", Some("a (1)"), &["MIT", "LicenseRef-Debian-x"]),
        package("aa", Some("a"), &[]),
    ];
    let mut parts = Part::all_debian(packages.iter(), "13");
    parts.push(Part::krate("serde", "1.0.0", Sha256::of(b"serde"), Some("MIT/Apache-2.0")));
    parts.push(Part::blob("firmware.bin", "", Sha256::of(b"blob"), None));
    let text = sbom(parts.clone()).to_spdx().unwrap();
    parts.reverse();
    parts.push(parts[0].clone());
    assert_eq!(sbom(parts).to_spdx().unwrap(), text);

    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["spdxVersion"], "SPDX-2.3");
    assert_eq!(json["creationInfo"]["created"], "2026-11-20T10:11:12Z");
    let found: Vec<_> = json["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let field = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
            (field("name"), field("licenseDeclared"))
        })
        .collect();
    let expected = [
        ("mail.example.org-x86_64", "NOASSERTION"),
        // From liba, which is of the same source.
        ("aa", "MIT AND LicenseRef-Debian-x"),
        ("firmware.bin", "NOASSERTION"),
        ("liba", "MIT AND LicenseRef-Debian-x"),
        ("serde", "MIT OR Apache-2.0"),
    ];
    assert_eq!(found, expected.map(|(name, licence)| (name.to_owned(), licence.to_owned())));
    assert_eq!(json["relationships"].as_array().unwrap().len(), 5);
    assert_eq!(json["hasExtractedLicensingInfos"][0]["licenseId"], "LicenseRef-Debian-x");
}

#[test]
fn the_namespace_follows_the_content() {
    let namespace = |parts| {
        let json: serde_json::Value =
            serde_json::from_str(&sbom(parts).to_spdx().unwrap()).unwrap();
        json["documentNamespace"].as_str().unwrap().to_owned()
    };
    let blob = Part::blob("b", "", Sha256::of(b"b"), None);
    assert_eq!(namespace(vec![blob.clone()]), namespace(vec![blob.clone()]));
    assert_ne!(namespace(vec![blob]), namespace(Vec::new()));
}
