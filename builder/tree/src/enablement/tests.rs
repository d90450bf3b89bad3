use super::*;
use crate::{NothingPacked, Tree};

fn tree(units: &[(&str, &str)]) -> Draft<'static> {
    let mut draft = Draft::new(Tree::default(), &NothingPacked);
    for (name, text) in units {
        draft.write_default(&format!("usr/lib/systemd/system/{name}"), text).unwrap();
    }
    draft
}

fn links(draft: &Draft<'_>) -> Vec<String> {
    let folder = TreePath::parse(LINKS).unwrap();
    let links = draft.tree.within(&folder).filter_map(|(path, entry)| match &entry.kind {
        Kind::Symlink(target) => {
            let target = target.strip_prefix("/usr/lib/systemd/system/").unwrap_or(target);
            Some(format!("{} -> {target}", path.as_str().strip_prefix(LINKS).unwrap()))
        }
        _ => None,
    });
    links.collect()
}

fn wanted(enable: &[&str]) -> Enablement {
    Enablement {
        enable: enable.iter().map(|name| (*name).to_owned()).collect(),
        ..Enablement::default()
    }
}

#[test]
fn every_kind_of_link_is_made() {
    let mut draft = tree(&[
        (
            "net.service",
            "[Install]\nWantedBy=multi-user.target\nAlias=dbus-org.net.service\nAlso=net.socket gone.service\n",
        ),
        ("net.socket", "[Install]\nRequiredBy=sockets.target\nUpheldBy=x.target\n"),
        ("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"),
        ("other@.service", "[Install]\nWantedBy=%p@%i.target\n"),
        ("off.service", "[Install]\nWantedBy=multi-user.target\n"),
        ("by-preset.service", "[Install]\nWantedBy=multi-user.target\n"),
    ]);
    let preset = "enable by-preset.service\nenable off.service\n";
    draft.write_default("usr/lib/systemd/system-preset/90-x.preset", preset).unwrap();
    let wanted = Enablement {
        disable: vec!["off.*".into()],
        mask: vec!["bad.timer".into()],
        ..wanted(&["net.service", "getty@.service", "other@a.service"])
    };
    write(&mut draft, &wanted).unwrap();
    assert_eq!(
        links(&draft),
        [
            "/bad.timer -> /dev/null",
            "/dbus-org.net.service -> net.service",
            "/default.target -> multi-user.target",
            "/getty.target.wants/getty@tty1.service -> getty@.service",
            "/multi-user.target.wants/by-preset.service -> by-preset.service",
            "/multi-user.target.wants/net.service -> net.service",
            "/other@a.target.wants/other@a.service -> other@.service",
            "/sockets.target.requires/net.socket -> net.socket",
            "/x.target.upholds/net.socket -> net.socket",
        ]
    );
}

#[test]
fn what_cannot_be_enabled_is_named() {
    let units = [("bare.service", "[Service]\n"), ("t@.service", "[Install]\nWantedBy=a.target\n")];
    for (name, why) in [
        ("gone.service", "no source brings it"),
        ("bare.service", "no [Install] section"),
        ("t@.service", "template without DefaultInstance="),
    ] {
        let error = write(&mut tree(&units), &wanted(&[name])).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(name), "{error}");
    }
}
