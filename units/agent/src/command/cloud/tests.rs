//! Boots of a machine whose root is a temporary folder.

use super::*;
use crate::cloud::fragment::tests::{FRAGMENT, install};

struct Machine {
    root: tempfile::TempDir,
    layout: Layout,
}

impl Machine {
    fn new(mail_toml: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in [
            "run/mailkiln-cloud",
            "run/systemd/network",
            "var/lib/mailkiln-cloud",
            "var/lib/ssh/authorized_keys",
            "var/lib/ssh/etc/ssh",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        install(root.path(), mail_toml);
        let layout = Layout::new(root.path());
        Self { root, layout }
    }

    /// A boot in which this was found; returns what the consoles show.
    fn boot(&self, instance: &str, user_data: Option<&str>) -> String {
        for folder in ["mailkiln", "mailkiln-cloud/notes", "systemd/system.control"] {
            let path = self.root.path().join("run").join(folder);
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(&path);
        }
        let mut found = FirstBoot::of("ec2");
        found.set_instance(instance);
        found.set_user_data(user_data.unwrap_or_default().as_bytes());
        found.add_keys(["ssh-ed25519 AAAA a"]);
        let found = (!instance.is_empty()).then_some(found);
        let kept = Kept::read(&self.layout.cloud().kept).unwrap();
        take_over(&self.layout, kept, found, Vec::new()).unwrap();
        self.text("run/mailkiln-cloud/notes")
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap_or_default()
    }

    /// The domain that mail would run for; none while it waits.
    fn domain(&self) -> Option<&'static str> {
        let unit = self.text("run/systemd/system.control/mail-server.service");
        let unit = if unit.is_empty() {
            self.text("etc/systemd/system/mail-server.service")
        } else {
            unit
        };
        let appliance = self.text("run/mailkiln/etc/appliance.json");
        let appliance =
            if appliance.is_empty() { self.text("etc/mailkiln/appliance.json") } else { appliance };
        let known = ["example.net", "example.test", "unconfigured.invalid"];
        let domain =
            known.into_iter().find(|it| appliance.contains(&format!("\"name\": \"{it}\"")));
        domain.filter(|_| !unit.contains("ConditionPathExists"))
    }
}

/// A volume that is damaged is still damaged when the cloud has answered.
#[test]
fn what_was_said_before_the_cloud_was_asked_stays_on_the_console() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    let files = machine.layout.cloud();
    fs::create_dir_all(files.failed.parent().unwrap()).unwrap();
    fs::write(&files.ask, "\"Ec2\"").unwrap();
    fs::write(&files.notes, "first boot data is not used: the CD is damaged\n").unwrap();
    fs::write(&files.failed, "first boot data: no answer\n").unwrap();
    apply(&machine.layout).unwrap();
    let notes = machine.text("run/mailkiln-cloud/notes");
    for line in ["the CD is damaged", "no answer", "no mail yet"] {
        assert!(notes.contains(line), "{line}: {notes}");
    }
}

#[test]
fn a_generic_image_waits_and_becomes_what_its_fragment_says() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    assert!(machine.boot("i-1", None).contains("no mail yet"));
    assert_eq!(machine.domain(), None);
    assert_eq!(machine.text("var/lib/ssh/authorized_keys/root.cloud"), "ssh-ed25519 AAAA a\n");
    assert_eq!(machine.boot("i-1", Some(FRAGMENT)), "");
    assert_eq!(machine.domain(), Some("example.net"));
    // The volume is detached, the service is down, the user-data is gone: it stays what it is.
    for (instance, user_data) in [("", None), ("i-1", None), ("i-1", Some("#!/bin/sh\n"))] {
        machine.boot(instance, user_data);
        assert_eq!(machine.domain(), Some("example.net"), "{user_data:?}");
    }
}

#[test]
fn a_mistake_is_shown_and_the_last_right_fragment_holds_but_never_the_images_own_domain() {
    let wrong = FRAGMENT.replace("name = \"mx.example.net\"", "nmae = \"mx.example.net\"");
    for image in [mailkiln_spec::GENERIC, mailkiln_spec::DEFAULT] {
        let machine = Machine::new(image);
        let notes = machine.boot("i-1", Some(&wrong));
        assert!(
            notes.contains("fragment, line 3") && notes.contains("help: did you mean"),
            "{notes}"
        );
        assert_eq!(machine.domain(), None);
        assert!(!machine.text("var/lib/ssh/authorized_keys/root.cloud").is_empty(), "ssh works");
        machine.boot("i-1", Some(FRAGMENT));
        let notes = machine.boot("i-1", Some(&wrong));
        assert!(notes.contains("the last fragment that was right is still used"), "{notes}");
        assert_eq!(machine.domain(), Some("example.net"));
    }
    let machine = Machine::new(mailkiln_spec::DEFAULT);
    assert_eq!(machine.boot("i-1", None), "");
    assert_eq!(machine.domain(), Some("example.test"));
}

#[test]
fn an_image_that_is_replaced_over_a_kept_var_gets_the_fragment_again() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    machine.boot("i-1", Some(FRAGMENT));
    let replaced = |mail_toml: &str| {
        for folder in ["usr", "etc"] {
            fs::remove_dir_all(machine.root.path().join(folder)).unwrap();
        }
        install(machine.root.path(), mail_toml);
    };
    // Another image: its own domain never shows, be the fragment asked for again or not.
    replaced(&(mailkiln_spec::GENERIC.to_owned() + "\n[filter]\nenable = false\n"));
    assert_eq!(machine.boot("", None), "");
    assert_eq!(machine.domain(), Some("example.net"));
    replaced(mailkiln_spec::DEFAULT);
    machine.boot("i-1", Some(FRAGMENT));
    assert_eq!(machine.domain(), Some("example.net"));
    // One that takes no fragments is what it is, and says so.
    replaced(&(mailkiln_spec::DEFAULT.to_owned() + "\n[first_boot]\nfragment = \"refused\"\n"));
    let notes = machine.boot("i-1", Some(FRAGMENT));
    assert!(notes.contains("takes no fragments"), "{notes}");
    assert_eq!(machine.domain(), Some("example.test"));
    // One that the fragment does not fit runs no mail: accounts would be lost in thirty days.
    let owner = "[acme]\nchallenge = \"dns-01\"\ndns_provider = \"rfc2136\"\ndns_server = \"192.0.2.1\"\ndns_key_name = \"k\"\n";
    replaced(&(mailkiln_spec::DEFAULT.to_owned() + "\n" + owner));
    machine.boot("", None);
    assert_ne!(machine.domain(), Some("example.test"));
}

#[test]
fn a_copy_gets_another_identity_and_forgets_what_the_first_was_told() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    let host_key = machine.layout.host_key();
    fs::write(machine.root.path().join("run/machine-id"), "a".repeat(32) + "\n").unwrap();
    machine.boot("i-1", Some(FRAGMENT));
    fs::write(&host_key, "key").unwrap();
    machine.boot("i-1", Some(FRAGMENT));
    assert!(host_key.exists());
    assert_eq!(machine.text("run/machine-id"), "a".repeat(32) + "\n");
    assert!(machine.boot("i-2", None).contains("no mail yet"));
    assert!(!host_key.exists());
    let id = machine.text("run/machine-id");
    assert_ne!(id, "a".repeat(32) + "\n");
    assert_eq!(machine.text("run/mailkiln-cloud/instance"), "i-2");
    // The next boot begins with the ID of /var again.
    fs::write(machine.root.path().join("run/machine-id"), "a".repeat(32) + "\n").unwrap();
    machine.boot("", None);
    assert_eq!(machine.text("run/machine-id"), id);
}

#[test]
fn forgetting_brings_back_the_image_and_still_notices_copies() {
    let machine = Machine::new(mailkiln_spec::DEFAULT);
    machine.boot("i-1", Some(FRAGMENT));
    forget(&machine.layout).unwrap();
    assert!(!machine.layout.cloud_keys().exists());
    assert_eq!(machine.boot("", None), "");
    assert_eq!(machine.domain(), Some("example.test"));
    fs::write(machine.layout.host_key(), "key").unwrap();
    machine.boot("i-2", None);
    assert!(!machine.layout.host_key().exists());
}

#[test]
fn what_the_other_process_wrote_is_judged_again() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    let path = machine.root.path().join("found.json");
    let text = r#"{"source": "ec2\u001b[2J", "instance": "../../x y", "host": "a b", "user_data": null, "networks": [],
                   "ssh_keys": ["command=\"sh\" ssh-ed25519 AAAA", "ssh-ed25519 AAAA b\nssh-rsa c", "ssh-ed25519 AAAA"]}"#;
    fs::write(&path, text).unwrap();
    let found = decoded(&path).unwrap();
    assert_eq!((found.instance, found.host), (None, None));
    assert_eq!(found.ssh_keys, ["ssh-ed25519 AAAA"]);
    assert_eq!(found.source, "ec22");
}

/// A hypervisor that is played: its variables, whether they may be overwritten, and whether they were.
struct Played {
    variables: std::cell::RefCell<Vec<(&'static str, String)>>,
    refused: bool,
}

impl Asking for Played {
    fn variables(&self) -> Result<crate::cloud::answers::Answers, String> {
        let mut answers = crate::cloud::answers::Answers::default();
        for (name, value) in &*self.variables.borrow() {
            answers.add(name, value.clone().into_bytes());
        }
        Ok(answers)
    }

    fn redact(&self) -> Result<(), String> {
        if self.refused {
            return Err("VMware refuses `info-set`".to_owned());
        }
        let mut variables = self.variables.borrow_mut();
        variables
            .retain(|(name, _)| !vmware::REDACTED.iter().any(|(redacted, _)| redacted == name));
        variables.extend(vmware::REDACTED.map(|(name, value)| (name, value.to_owned())));
        Ok(())
    }
}

/// A boot of `machine` on VMware, with that number in its firmware.
fn boot_on_vmware(machine: &Machine, uuid: &str, played: &Played) -> String {
    let dmi = machine.root.path().join("sys/class/dmi/id");
    fs::create_dir_all(&dmi).unwrap();
    fs::write(dmi.join("sys_vendor"), "VMware, Inc.\n").unwrap();
    fs::write(dmi.join("product_uuid"), format!("{uuid}\n")).unwrap();
    let _ = fs::remove_dir_all(machine.root.path().join("run/mailkiln"));
    look(&machine.layout, played).unwrap();
    machine.text("run/mailkiln-cloud/notes")
}

const FIRST: &str = "564d1234-0000-4a10-8000-b2c04f000001";
const COPY: &str = "564d1234-0000-4a10-8000-b2c04f000002";

#[test]
fn variables_of_vmware_are_overwritten_once_kept_and_the_machine_stays_what_they_said() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    let metadata = "instance-id: i-1\npublic-keys: [ssh-ed25519 AAAA a]\n".to_owned();
    let variables = vec![("metadata", metadata), ("userdata", FRAGMENT.to_owned())];
    let played = Played { variables: variables.into(), refused: false };
    for _ in 0..2 {
        assert_eq!(boot_on_vmware(&machine, FIRST, &played), "");
        assert_eq!(machine.domain(), Some("example.net"));
        assert_eq!(machine.text("var/lib/ssh/authorized_keys/root.cloud"), "ssh-ed25519 AAAA a\n");
        assert!(played.variables.borrow().contains(&("userdata", "---".to_owned())));
        assert!(!format!("{:?}", played.variables).contains("example.net"));
        assert_eq!(machine.text("run/mailkiln-cloud/instance"), FIRST);
    }
    // A copy has another number, and nothing that it was told.
    assert!(boot_on_vmware(&machine, COPY, &played).contains("no mail yet"));
    assert_eq!(machine.text("run/mailkiln-cloud/instance"), COPY);
}

#[test]
fn variables_that_stay_readable_are_said_to_and_silence_changes_nothing() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    let variables = vec![("userdata", FRAGMENT.to_owned())];
    let played = Played { variables: variables.into(), refused: true };
    let notes = boot_on_vmware(&machine, FIRST, &played);
    assert!(notes.contains("still readable for every program: VMware refuses"), "{notes}");
    assert_eq!(machine.domain(), Some("example.net"));
    // What can't be read is named, and is not taken for an empty fragment.
    let variables = vec![("userdata", "x".to_owned()), ("userdata.encoding", "rot13".to_owned())];
    let played = Played { variables: variables.into(), refused: false };
    let notes = boot_on_vmware(&machine, FIRST, &played);
    assert!(notes.contains("guestinfo.userdata") && notes.contains("neither base64"), "{notes}");
    assert_eq!(machine.domain(), Some("example.net"));
    assert_eq!(played.variables.borrow()[0].1, "x", "what is not kept is not overwritten");
}

#[test]
fn a_volume_is_this_machines_even_where_vmware_has_no_variables() {
    let machine = Machine::new(mailkiln_spec::GENERIC);
    machine.boot("i-1", Some(FRAGMENT));
    let played = Played { variables: Vec::new().into(), refused: false };
    boot_on_vmware(&machine, FIRST, &played);
    assert_eq!(machine.text("var/lib/ssh/authorized_keys/root.cloud"), "ssh-ed25519 AAAA a\n");
    assert_eq!(machine.domain(), Some("example.net"));
}
