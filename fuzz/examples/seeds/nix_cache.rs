//! Seeds of a Nix binary cache: an archive, its record, and texts beside them.

use std::collections::BTreeSet;

use mailkiln_nix_store::{CacheInfo, Entry, Launch, Node, SecretKey, StoreObject, launcher};
use mailkiln_pin::Arch;

use super::{Error, Seeds};

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
        ("nar", nar),
        ("narinfo", entry.record),
        ("nix_texts", CacheInfo::default().to_string().into_bytes()),
        ("nix_texts", key.to_secret_text().into_bytes()),
        ("nix_texts", key.public_text().into_bytes()),
        ("nix_texts", program),
    ])
}
