//! Seeds of caches: a Nix archive, its record, and texts beside them; the record of a unit cache.

use std::collections::BTreeSet;

use mailkiln_compile::UsedCrate;
use mailkiln_nix_store::{CacheInfo, Entry, Launch, Node, SecretKey, StoreObject, launcher};
use mailkiln_pin::{Arch, Sha256};
use mailkiln_unit_cache::Record;

use super::{Error, Seeds};

const BOOT_JSON: &str = r#"{"org.nixos.bootspec.v1": {"init": "/nix/store/x/init", "initrd": "/nix/store/x/initrd",
    "kernel": "/nix/store/x/kernel", "kernelParams": ["quiet"], "label": "NixOS", "system": "x86_64-linux",
    "toplevel": "/nix/store/x"}, "org.nixos.systemd-boot": {"sortKey": "nixos", "devicetree": "/nix/store/d"},
    "org.nixos.extra-initrd.v1": {"paths": []}}"#;

/// One store path, and all that goes with it.
pub(super) fn seeds() -> Result<Seeds, Error> {
    let launch = Launch { loader: "/l", libraries: "/lib", program: "/p" };
    let mut tree = Node::directory();
    let program = launcher(Arch::X86_64, &launch)?;
    tree.insert("bin/x", Node::File { executable: true, contents: program.clone() });
    tree.insert("share/doc/y", Node::File { executable: false, contents: b"words".to_vec() });
    let mut nar = Vec::new();
    tree.write_nar(&mut nar)?;
    let key = SecretKey::new("example-1", [7; 32])?;
    let entry = Entry::new(&StoreObject::new("x-1", tree, BTreeSet::new())?, &key)?;
    let record = Record {
        component: "agent".to_owned(),
        target: Arch::X86_64,
        key: Sha256::of(b"key"),
        toolchain: Sha256::of(b"toolchain"),
        programs: vec![("mailkiln-agent".to_owned(), 3, Sha256::of(b"abc"))],
        crates: vec![UsedCrate {
            name: "lexopt".to_owned(),
            version: "0.3.1".to_owned(),
            sha256: Some(Sha256::of(b"lexopt")),
            licence: Some("MIT".to_owned()),
        }],
    };
    Ok(vec![
        ("boot_json", BOOT_JSON.into()),
        ("nar", nar),
        ("narinfo", entry.record),
        ("nix_texts", CacheInfo::default().to_string().into_bytes()),
        ("nix_texts", key.to_secret_text().into_bytes()),
        ("nix_texts", key.public_text().into_bytes()),
        ("nix_texts", program),
        ("unit_record", record.sign(&key).to_string().into_bytes()),
    ])
}
