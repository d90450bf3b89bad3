//! Every file of every fixture, as it is.

use std::fmt::Write as _;

use mailkiln_tree::{Content, Kind};

use crate::fixture::{ALL, built};

#[test]
fn files_are_as_they_were() {
    for (name, mail_toml) in ALL {
        let mut text = String::new();
        for (path, entry) in built(mail_toml).tree_entries().unwrap() {
            match &entry.kind {
                Kind::Directory => {}
                Kind::Symlink(target) => writeln!(text, "==> {path} -> {target}\n").unwrap(),
                Kind::File(Content::Inline(bytes)) => {
                    let owner = entry.owner.uid;
                    let contents = std::str::from_utf8(bytes).unwrap();
                    writeln!(text, "==> {path} {:04o} {owner}\n{contents}", entry.mode).unwrap();
                }
                Kind::File(Content::Packed { .. }) => panic!("{path} is not inline"),
            }
        }
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn directories_come_before_what_is_in_them() {
    for (_, mail_toml) in ALL {
        let entries = built(mail_toml).tree_entries().unwrap();
        for (index, (path, _)) in entries.iter().enumerate() {
            let Some(parent) = path.parent().filter(|parent| !parent.as_str().is_empty()) else {
                continue;
            };
            assert!(entries[..index].iter().any(|(above, _)| *above == parent), "{path}");
        }
    }
}
