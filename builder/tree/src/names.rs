//! How the machine is called and how it finds names, time and place.
//!
//! In: host name and time zone. Out: hostname, hosts, nsswitch.conf, resolv.conf, networks,
//! localtime, locale.conf, vconsole.conf, machine-id, mtab. No package ships any of them.

use crate::draft::{Draft, FixupError};
use crate::{Kind, TreePath};

/// Debian's order (libc-bin's example, base-files' before it), with resolved in front of DNS,
/// as nss-resolve(8) asks; `files` first, so that the image's own names always work.
const NSSWITCH: &str = "\
passwd:         files
group:          files
shadow:         files
gshadow:        files

hosts:          files RESOLVERdns
networks:       files

protocols:      files
services:       files
ethers:         files
rpc:            files
";

/// Where the C library would look for nss-resolve, below `/usr/lib/TRIPLET`.
const NSS_RESOLVE: &str = "libnss_resolve.so.2";

/// Writes all of them.
pub(crate) fn write(draft: &mut Draft<'_>, host: &str, zone: &str) -> Result<(), FixupError> {
    draft.write_default("etc/hostname", &format!("{host}\n"))?;
    draft.write_default("etc/hosts", &hosts(host))?;
    draft.write_default(
        "etc/networks",
        "default\t\t0.0.0.0\nloopback\t127.0.0.0\nlink-local\t169.254.0.0\n",
    )?;
    let resolver = if has_nss_resolve(draft) { "resolve [!UNAVAIL=return] " } else { "" };
    draft.write_default("etc/nsswitch.conf", &NSSWITCH.replace("RESOLVER", resolver))?;
    if !draft.has("etc/resolv.conf")? {
        draft.link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")?;
    }
    set_time_zone(draft, zone)?;
    draft.write_default("etc/locale.conf", "LANG=C.UTF-8\n")?;
    draft.write_default("etc/vconsole.conf", "KEYMAP=us\n")?;
    // Empty, not absent: systemd then makes one up and binds it over this file (machine-id(5)),
    // and the image does not count as being booted for the first time.
    draft.write_default("etc/machine-id", "")?;
    draft.link("etc/mtab", "../proc/self/mounts")
}

/// hosts(5): the host's own name answers without any network, on both loopbacks.
fn hosts(host: &str) -> String {
    let short = host.split('.').next().unwrap_or(host);
    let names = if short == host { host.to_owned() } else { format!("{host} {short}") };
    format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{names}\n\
         ::1\t\tlocalhost ip6-localhost ip6-loopback\nff02::1\t\tip6-allnodes\nff02::2\t\tip6-allrouters\n"
    )
}

fn has_nss_resolve(draft: &Draft<'_>) -> bool {
    draft.tree.iter().any(|(path, _)| path.name() == NSS_RESOLVE)
}

/// localtime(5): a relative link, so that the tree can be looked at from outside.
fn set_time_zone(draft: &mut Draft<'_>, zone: &str) -> Result<(), FixupError> {
    let file = format!("usr/share/zoneinfo/{zone}");
    let resolved = draft.tree.resolve(&TreePath::parse(&file)?);
    let known = resolved.and_then(|path| draft.tree.get(&path));
    if !known.is_some_and(|entry| matches!(entry.kind, Kind::File(_))) {
        return Err(FixupError::Missing { path: format!("/{file}"), needed_for: "the time zone" });
    }
    draft.link("etc/localtime", &format!("../{file}"))?;
    draft.write("etc/timezone", format!("{zone}\n").into_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NothingPacked, Tree};

    #[test]
    fn names_and_zone_are_written_and_an_unknown_zone_is_refused() {
        let mut draft = Draft::new(Tree::default(), &NothingPacked);
        draft.write_default("usr/share/zoneinfo/Europe/Berlin", "TZif").unwrap();
        draft.write_default("usr/lib/x86_64-linux-gnu/libnss_resolve.so.2", "ELF").unwrap();
        write(&mut draft, "mail.example.org", "Europe/Berlin").unwrap();
        let text = |path: &str| draft.text(&TreePath::parse(path).unwrap()).unwrap().unwrap();
        assert_eq!(text("etc/localtime"), "TZif");
        assert!(text("etc/hosts").contains("127.0.1.1\tmail.example.org mail\n"));
        assert!(text("etc/nsswitch.conf").contains("files resolve [!UNAVAIL=return] dns\n"));
        for zone in ["Europe", "Europe/Nowhere", "../../../etc/passwd"] {
            assert!(set_time_zone(&mut draft, zone).is_err(), "{zone}");
        }
    }
}
