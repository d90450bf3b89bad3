//! Seeds of a Nix binary cache: an archive, its record, and texts beside them.

use std::collections::BTreeSet;

use mailkiln_nix_store::{CacheInfo, Entry, Launch, Node, SecretKey, StoreObject, launcher};
use mailkiln_pin::Arch;

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
    Ok(vec![
        ("boot_json", BOOT_JSON.into()),
        ("nar", nar),
        ("narinfo", entry.record),
        ("nix_texts", CacheInfo::default().to_string().into_bytes()),
        ("nix_texts", key.to_secret_text().into_bytes()),
        ("nix_texts", key.public_text().into_bytes()),
        ("nix_texts", program),
    ])
}
