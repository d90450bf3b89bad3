//! An image of a temporary folder: what the builder would put there.

use mailkiln_services::{HostFacts, SlotSizes};

use super::*;
use crate::cloud::source::CLOUDS;
use crate::cloud::{azure_report, source, volume};

pub(crate) const FRAGMENT: &str = "#mailkiln\n[host]\nname = \"mx.example.net\"\n[[domain]]\nname = \"example.net\"\n\
    [[account]]\naddress = \"bob@example.net\"\n[relay]\nhost = \"smtp.example.com\"\nuser = \"bob\"\n[mail]\nmax_message_size = \"20 MiB\"\n\
    [spam]\njunk_score = 6.0\n[acme]\ncontact = \"bob@example.net\"\n";

/// The files of an image of `mail_toml` below `root`.
pub(crate) fn install(root: &Path, mail_toml: &str) -> Image {
    let facts = TargetFacts {
        consoles: vec!["/dev/ttyS0".to_owned()],
        recorded_consoles: Vec::new(),
        password_page: true,
        slots: SlotSizes { root: 384 << 20, verity: 4 << 20 },
        watchdog: None,
        time_servers: Vec::new(),
        worn_by_writes: false,
        wireless: false,
        host: HostFacts::default(),
    };
    let folder = root.join("usr/share/mailkiln");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mail.toml"), mailkiln_spec::for_the_image(mail_toml).unwrap()).unwrap();
    fs::write(folder.join("target.json"), facts.to_json()).unwrap();
    fs::write(folder.join("spam-rules.toml"), "[rules]\n").unwrap();
    let image = Image::read(root).unwrap();
    let spec = parse(mail_toml).unwrap();
    for (path, entry) in appliance(&spec, &facts, "[rules]\n").tree_entries().unwrap() {
        let path = root.join(path.to_string().trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry.kind {
            Kind::File(Content::Inline(bytes)) => fs::write(path, &bytes).unwrap(),
            Kind::Symlink(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            _ => fs::create_dir_all(path).unwrap(),
        }
    }
    image
}

fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

#[test]
fn a_fragment_changes_domain_accounts_and_relay_and_nothing_beyond_etc_mailkiln() {
    for image in [mailkiln_spec::DEFAULT, mailkiln_spec::GENERIC] {
        let root = tempfile::tempdir().unwrap();
        let image = install(root.path(), image);
        let spec = image.with(FRAGMENT).unwrap();
        assert!(image.render(&spec, root.path()).unwrap());
        let appliance = text(root.path(), "run/mailkiln/etc/appliance.json");
        assert!(appliance.contains("bob@example.net") && !appliance.contains("unconfigured"));
        let server = text(root.path(), "run/mailkiln/etc/mail-server.toml");
        assert!(server.contains("mx.example.net") && server.contains("smtp.example.com"));
        assert!(server.trim_end().ends_with("[rules]"), "the spam rules are the image's");
        let unit = text(root.path(), "run/systemd/system.control/mail-server.service");
        assert!(
            unit.contains("dkim-rsa-example.net") && !unit.contains("ConditionPathExists"),
            "{unit}"
        );
        assert_eq!(text(root.path(), "run/mailkiln/hostname"), "mx.example.net\n");
        assert!(
            text(root.path(), "run/sysctl.d/90-mailkiln-host.conf").contains("= mx.example.net\n")
        );
        assert!(
            text(root.path(), "run/systemd/system/etc-mailkiln.mount")
                .contains("Where=/etc/mailkiln\n")
        );
        // Files that no fragment touches are there too, since the folder hides the image's.
        assert_eq!(
            text(root.path(), "run/mailkiln/etc/firewall.nft"),
            text(root.path(), "etc/mailkiln/firewall.nft")
        );
    }
}

/// A mount whose source is missing would fail, and the console would say so.
#[test]
fn only_what_a_fragment_made_is_bound() {
    let root = tempfile::tempdir().unwrap();
    let image = install(root.path(), mailkiln_spec::DEFAULT);
    let spec = image.with("#mailkiln\n[relay]\nhost = \"smtp.example.com\"\n").unwrap();
    assert!(image.render(&spec, root.path()).unwrap());
    assert_eq!(bound(root.path()).collect::<Vec<_>>(), [("etc", "/etc/mailkiln")]);
    let units = root.path().join("run/systemd/system");
    assert!(units.join("etc-mailkiln.mount").is_file());
    assert!(!units.join("etc-hosts.mount").exists() && !units.join("etc-hostname.mount").exists());
}

/// Addresses and labels stand in the firewall and in the sandbox too, which know nothing of this crate.
#[test]
fn the_image_guards_every_metadata_service_and_opens_every_volume() {
    let root = tempfile::tempdir().unwrap();
    install(root.path(), mailkiln_spec::DEFAULT);
    let rules = text(root.path(), "etc/mailkiln/firewall.nft");
    let services = CLOUDS.map(source::service).into_iter().chain([&azure_report::SERVICE]);
    for place in services.flat_map(|service| service.places) {
        let address = place.address.to_string();
        assert!(rules.contains(&address), "{address} is open to every service");
    }
    let unit = text(root.path(), "etc/systemd/system/mailkiln-cloud-local.service");
    for device in volume::places(Path::new("/dev")) {
        let line = format!("DeviceAllow={} r\n", device.display());
        assert!(unit.contains(&line), "{} can't be read", device.display());
    }
}

#[test]
fn an_image_waits_and_one_with_a_domain_may_be_made_to_wait() {
    let root = tempfile::tempdir().unwrap();
    let image = install(root.path(), mailkiln_spec::GENERIC);
    let unit = text(root.path(), "etc/systemd/system/mail-server.service");
    assert!(unit.contains("ConditionPathExists=/run/mailkiln/fragment"), "{unit}");
    let ssh = text(root.path(), "etc/systemd/system/ssh.service");
    assert!(!ssh.is_empty() && !ssh.contains("ConditionPathExists"), "{ssh}");
    assert!(!image.render(&image.own().unwrap(), root.path()).unwrap(), "it is what it is");

    let root = tempfile::tempdir().unwrap();
    let image = install(root.path(), mailkiln_spec::DEFAULT);
    let waiting = Spec { is_waiting: true, ..image.own().unwrap() };
    assert!(image.render(&waiting, root.path()).unwrap());
    let unit = text(root.path(), "run/systemd/system.control/mail-server.service");
    assert!(unit.contains("ConditionPathExists=/run/mailkiln/fragment"), "{unit}");
    assert!(!root.path().join("run/mailkiln").exists());
}

#[test]
fn a_mistake_is_drawn_with_its_place_and_its_cure() {
    let root = tempfile::tempdir().unwrap();
    let image = install(root.path(), mailkiln_spec::GENERIC);
    let fragment =
        FRAGMENT.replace("address = \"bob@example.net\"", "adress = \"bob@example.net\"");
    let FragmentError::Wrong(lines) = image.with(&fragment).unwrap_err() else { panic!() };
    let text = lines.join("\n");
    assert!(text.contains("fragment, line 7: "), "{text}");
    assert!(text.contains("  adress = \"bob@example.net\"\n  ^^^^^^ "), "{text}");
    assert!(text.contains("help: did you mean `address`?"), "{text}");
    let refused = mailkiln_spec::DEFAULT.to_owned() + "\n[first_boot]\nfragment = \"refused\"\n";
    let root = tempfile::tempdir().unwrap();
    let error = install(root.path(), &refused).with(FRAGMENT).unwrap_err();
    assert!(matches!(error, FragmentError::Refused), "{error}");
}

#[test]
fn what_a_key_reaches_beyond_etc_mailkiln_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let image = install(root.path(), mailkiln_spec::DEFAULT);
    let spec = parse(&(mailkiln_spec::DEFAULT.to_owned() + "\n[network]\nipv6 = false\n")).unwrap();
    let error = image.render(&spec, root.path()).unwrap_err();
    assert!(matches!(error, FragmentError::Beyond(_)), "{error}");
    assert!(!root.path().join("run/mailkiln").exists(), "nothing is half done");
}

#[test]
fn a_public_name_of_the_cloud_is_the_hosts_where_the_fragment_has_none() {
    let bare = "#mailkiln\n[[domain]]\nname = \"example.net\"\n";
    for (fragment, host, name) in [
        (bare, Some("mx.example.net"), Some("mx.example.net")),
        (
            "[[domain]]\nname = \"example.net\"\n[relay]\nhost = \"smtp.example.com\"\n",
            Some("mx.example.net"),
            Some("mx.example.net"),
        ),
        (bare, Some("mx"), None),
        (bare, Some("ip-10-0-0-1.eu-central-1.compute.internal"), None),
        (bare, Some("mx.novalocal"), None),
        (bare, None, None),
        (FRAGMENT, Some("other.example.net"), Some("mx.example.net")),
        (
            "host.name = \"a.example.net\"\n[[domain]]\nname = \"example.net\"\n",
            Some("b.example.net"),
            Some("a.example.net"),
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        let image = install(root.path(), mailkiln_spec::GENERIC);
        let spec = image.with(&named(fragment, host));
        assert_eq!(spec.ok().map(|spec| spec.host.name.to_string()).as_deref(), name, "{host:?}");
    }
}
