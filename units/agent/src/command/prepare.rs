//! `prepare`: everything the mail server needs before it can start, made on this very device.
//!
//! In: `appliance.json` and what earlier boots left. Out: secrets, DKIM keys with their public
//! records, a certificate. Runs at every boot: what is there and whole stays as it is.

use std::fs;
use std::io;
use std::path::Path;

use super::{CommandError, another_instance, first_certificates};
use crate::appliance::{Appliance, Domain};
use crate::dkim::{self, ALGORITHMS, Algorithm};
use crate::durable;
use crate::journal;
use crate::layout::Layout;
use crate::password;
use crate::secrets::{SecretError, SecretName, Secrets};
use crate::seed::{self, Seed};

/// Runs the command, with what systemd hands over as credentials: a seed, or secrets one by one.
///
/// # Errors
/// [`CommandError`] with the first thing that could not be made.
pub fn run(layout: &Layout) -> Result<(), CommandError> {
    let credentials = Layout::credentials();
    let seed = credentials.as_ref().map(|folder| folder.join("seed"));
    let bytes = match seed.map(|path| (fs::read(&path), path)) {
        None => Vec::new(),
        Some((Err(error), _)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Some((Err(error), path)) => return Err(CommandError::Kept(path, error)),
        Some((Ok(bytes), _)) => bytes,
    };
    prepare(layout, seed::parse(&bytes)?.as_ref(), credentials.map(Secrets::new).as_ref())
}

fn prepare(
    layout: &Layout,
    seed: Option<&Seed>,
    brought: Option<&Secrets>,
) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let secrets = Secrets::new(layout.secrets());
    another_instance::set_aside(layout)?;
    secrets.create_directory()?;
    if let Some(seed) = seed {
        take_over(&secrets, seed)?;
    }
    if let Some(brought) = brought {
        take_over_files(&secrets, brought, &appliance)?;
    }
    ensure(&secrets, &SecretName::oauth_key(), |_| true, || Ok(password::generate_key()?))?;
    ensure(&secrets, &SecretName::probe_password(), |_| true, || Ok(password::generate()?))?;
    administrator(&secrets)?;
    durable::make_directory(&layout.dkim_records(), 0o755, None)?;
    for domain in &appliance.domains {
        dkim_keys(layout, &secrets, domain, seed)?;
    }
    first_certificates::ensure(layout, &appliance)
}

/// What of a seed is a secret of this device, but for DKIM keys. A later seed replaces the hashes of
/// passwords, which count until the account is made, and what others gave and may have changed.
fn take_over(secrets: &Secrets, seed: &Seed) -> Result<(), SecretError> {
    if let Some(hash) = &seed.admin {
        secrets.write(&SecretName::administrator_hash(), hash)?;
    }
    for (address, hash) in &seed.accounts {
        secrets.write(&SecretName::account_hash(address), hash)?;
    }
    let given = [
        (SecretName::acme_eab_key(), &seed.acme_eab_key),
        (SecretName::acme_dns_key(), &seed.acme_dns_key),
    ];
    for (name, key) in given {
        if let Some(key) = key {
            secrets.write(&name, key)?;
        }
    }
    let name = SecretName::acme_account_key();
    match &seed.acme_account_key {
        Some(key) if secrets.read(&name)?.is_none() => secrets.write(&name, key),
        _ => Ok(()),
    }
}

/// Secrets that came as files of their own, as a NixOS host has them: each is a credential with the
/// name of the secret that it becomes. The file is what counts, also where there is a secret already.
fn take_over_files(
    secrets: &Secrets,
    brought: &Secrets,
    appliance: &Appliance,
) -> Result<(), CommandError> {
    for (index, domain) in appliance.domains.iter().enumerate() {
        for algorithm in ALGORITHMS {
            let name = SecretName::dkim(algorithm.selector(), &domain.name);
            let credential = SecretName::dkim_credential(algorithm.selector(), index);
            if let Some(pem) = brought.read_written(&credential)? {
                algorithm.record(&pem)?;
                replace(secrets, &name, &pem)?;
            }
        }
    }
    for name in SecretName::brought() {
        if let Some(value) = brought.read_written(&name)? {
            replace(secrets, &name, &value)?;
        }
    }
    Ok(())
}

fn replace(secrets: &Secrets, name: &SecretName, value: &str) -> Result<(), SecretError> {
    if !matches!(secrets.read(name), Ok(Some(old)) if old == value) {
        secrets.write(name, value)?;
        journal::note(&format!("took over the secret {}", name.as_str()));
    }
    Ok(())
}

/// Keeps a secret that `fits`, makes one that is missing, and replaces one that is damaged: a
/// server without mail is worse than a key that has to be published again.
fn ensure(
    secrets: &Secrets,
    name: &SecretName,
    fits: impl Fn(&str) -> bool,
    make: impl FnOnce() -> Result<String, CommandError>,
) -> Result<String, CommandError> {
    match secrets.read(name) {
        Ok(Some(value)) if fits(&value) => return Ok(value),
        Ok(None) => {}
        Ok(Some(_)) | Err(SecretError::Damaged(_)) => {
            let aside = secrets.set_aside(name)?;
            journal::warn(&format!(
                "the secret {} made no sense; it is now {} and a new one is made",
                name.as_str(),
                aside.display()
            ));
        }
        Err(error) => return Err(error.into()),
    }
    let value = make()?;
    secrets.write(name, &value)?;
    journal::note(&format!("made the secret {}", name.as_str()));
    Ok(value)
}

/// The hash is derived, so whatever happened between the two writes, the password decides.
fn administrator(secrets: &Secrets) -> Result<(), CommandError> {
    let expired = SecretName::administrator_expired();
    if secrets.read(&expired)?.is_some() {
        // Before the server starts, so that it and the agent agree on the new one.
        secrets.write(&SecretName::admin_password(), &password::generate()?)?;
        secrets.remove(&expired)?;
        journal::note("the administrator's first password has ended; there is a new one");
    }
    let name = SecretName::admin_password();
    let password = ensure(secrets, &name, |_| true, || Ok(password::generate()?))?;
    let hash = secrets.read(&SecretName::admin_hash());
    if !matches!(hash, Ok(Some(hash)) if password::verify(&password, &hash)) {
        secrets.write(&SecretName::admin_hash(), &password::hash(&password)?)?;
    }
    Ok(())
}

fn dkim_keys(
    layout: &Layout,
    secrets: &Secrets,
    domain: &Domain,
    seed: Option<&Seed>,
) -> Result<(), CommandError> {
    let mut zone = String::new();
    for algorithm in ALGORITHMS {
        let seeded = seed.and_then(|seed| seed.dkim_key(algorithm, &domain.name));
        let record = dkim_record(secrets, algorithm, domain, seeded)?;
        zone.push_str(&dkim::zone_line(algorithm, &domain.name, &record));
    }
    let path = layout.dkim_record(&domain.name);
    if read_text(&path)?.as_deref() != Some(zone.as_str()) {
        durable::write(&path, zone.as_bytes(), 0o644, None)?;
        journal::note(&format!("public DKIM records of {} are in {}", domain.name, path.display()));
    }
    Ok(())
}

fn dkim_record(
    secrets: &Secrets,
    algorithm: Algorithm,
    domain: &Domain,
    seeded: Option<&str>,
) -> Result<String, CommandError> {
    let name = SecretName::dkim(algorithm.selector(), &domain.name);
    let fits = |pem: &str| algorithm.record(pem).is_ok();
    let make = || seeded.map_or_else(|| Ok(algorithm.generate()?), |pem| Ok(pem.to_owned()));
    let pem = ensure(secrets, &name, fits, make)?;
    Ok(algorithm.record(&pem)?)
}

/// A small text file; `None` when it is missing or no text.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, SecretError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretError::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    fn appliance() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        for directory in ["etc/mailkiln", "var/lib/mailkiln", "var/lib/mailkiln-acme/live"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let layout = Layout::new(root.path());
        fs::write(layout.appliance(), crate::appliance::tests::EXAMPLE).unwrap();
        (root, layout)
    }

    #[test]
    fn a_copy_of_the_disk_makes_secrets_of_its_own_and_loses_none() {
        let (root, layout) = appliance();
        let key = "var/lib/mailkiln/secrets/dkim-rsa-example.org.pem";
        let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
        let instance_file = layout.cloud().instance;
        fs::create_dir_all(instance_file.parent().unwrap()).unwrap();
        // Before clouds were known, and then the same machine.
        prepare(&layout, None, None).unwrap();
        let first = read(key);
        for _ in 0..2 {
            fs::write(&instance_file, "i-1/a").unwrap();
            prepare(&layout, None, None).unwrap();
            assert_eq!(read(key), first);
        }
        fs::write(&instance_file, "i-2").unwrap();
        for _ in 0..2 {
            prepare(&layout, None, None).unwrap();
            assert_ne!(read(key), first);
            let aside = key.replace("secrets", "secrets-of-i-1_a");
            assert_eq!(read(&aside), first);
        }
        // Back on the first instance, and on the second again.
        for (instance, aside) in [("i-1/a", "secrets-of-i-2"), ("i-2", "secrets-of-i-1_a.1")] {
            fs::write(&instance_file, instance).unwrap();
            prepare(&layout, None, None).unwrap();
            assert!(!read(&key.replace("secrets", aside)).is_empty());
        }
        assert!(!read("var/lib/mailkiln/dkim/example.org.txt").is_empty());
        assert_eq!(fs::metadata(layout.instance()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// Every file below /var: path, mode, content.
    fn state(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        let mut left = vec![root.join("var")];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                let (path, metadata) = (entry.path(), entry.metadata().unwrap());
                if metadata.is_dir() {
                    left.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    let mode = metadata.permissions().mode() & 0o777;
                    files.insert(name, (mode, fs::read(path).unwrap()));
                }
            }
        }
        files
    }

    #[test]
    fn makes_everything_once() {
        let (root, layout) = appliance();
        run(&layout).unwrap();
        let first = state(root.path());
        let modes: Vec<_> = first.iter().map(|(name, (mode, _))| (name.as_str(), *mode)).collect();
        assert_eq!(
            modes,
            [
                ("var/lib/mailkiln-acme/live/mail.example.org/cert.pem", 0o777),
                ("var/lib/mailkiln-acme/live/mail.example.org/chain.pem", 0o640),
                ("var/lib/mailkiln-acme/live/mail.example.org/full.pem", 0o640),
                ("var/lib/mailkiln-acme/live/mail.example.org/fullchain.pem", 0o640),
                ("var/lib/mailkiln-acme/live/mail.example.org/key.pem", 0o640),
                ("var/lib/mailkiln/dkim/example.net.txt", 0o644),
                ("var/lib/mailkiln/dkim/example.org.txt", 0o644),
                ("var/lib/mailkiln/secrets/admin-hash", 0o600),
                ("var/lib/mailkiln/secrets/admin-password", 0o600),
                ("var/lib/mailkiln/secrets/dkim-ed25519-example.net.pem", 0o600),
                ("var/lib/mailkiln/secrets/dkim-ed25519-example.org.pem", 0o600),
                ("var/lib/mailkiln/secrets/dkim-rsa-example.net.pem", 0o600),
                ("var/lib/mailkiln/secrets/dkim-rsa-example.org.pem", 0o600),
                ("var/lib/mailkiln/secrets/oauth-key", 0o600),
                ("var/lib/mailkiln/secrets/probe-password", 0o600),
            ]
        );
        let secrets = fs::metadata(layout.secrets()).unwrap().permissions().mode();
        assert_eq!(secrets & 0o777, 0o700);
        run(&layout).unwrap();
        assert_eq!(state(root.path()), first, "a second run changes nothing");
    }

    /// Whatever one write a power cut has undone or emptied, the next run brings back a whole state
    /// and touches nothing else but what is derived from it.
    #[test]
    fn repairs_what_a_power_cut_left() {
        let (root, layout) = appliance();
        run(&layout).unwrap();
        let whole = state(root.path());
        for (name, (_, content)) in &whole {
            let path = root.path().join(name);
            if name.ends_with("key.pem") {
                fs::write(&path, "").unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            run(&layout).unwrap();
            let repaired = state(root.path());
            assert_eq!(repaired.len(), whole.len(), "{name}");
            assert!(!repaired[name].1.is_empty(), "{name}");
            let derived = ["/dkim/", "/cert.pem", "/chain.pem", "/full.pem"]
                .iter()
                .any(|part| name.contains(part));
            assert_eq!(repaired[name].1 == *content, derived, "{name}");
            let password = fs::read_to_string(layout.secrets().join("admin-password")).unwrap();
            let hash = fs::read_to_string(layout.secrets().join("admin-hash")).unwrap();
            assert!(password::verify(&password, &hash), "{name}");
        }
    }

    #[test]
    fn damaged_keys_are_set_aside_and_foreign_certificates_stay() {
        let (root, layout) = appliance();
        run(&layout).unwrap();
        let key = layout.secrets().join("dkim-ed25519-example.org.pem");
        let record = fs::read(layout.dkim_records().join("example.org.txt")).unwrap();
        let chain = root.path().join("var/lib/mailkiln-acme/live/mail.example.org/fullchain.pem");
        fs::write(&key, "garbage").unwrap();
        fs::write(&chain, "somebody else's").unwrap();
        run(&layout).unwrap();
        assert_ne!(fs::read_to_string(&key).unwrap(), "garbage");
        assert_ne!(fs::read(layout.dkim_records().join("example.org.txt")).unwrap(), record);
        assert!(layout.secrets().join("dkim-ed25519-example.org.pem.damaged").exists());
        assert_eq!(fs::read_to_string(chain).unwrap(), "somebody else's");
    }

    #[test]
    fn a_seed_is_taken_over_and_never_replaces_a_key() {
        let (_root, layout) = appliance();
        let seed = crate::seed::tests::seed();
        let (read, secret) = (
            |name: &str| fs::read_to_string(layout.secrets().join(name)).unwrap(),
            |name: &str| layout.secrets().join(name),
        );
        let domain = crate::appliance::DomainName::try_from("example.org".to_owned()).unwrap();
        for _ in 0..2 {
            prepare(&layout, Some(&seed), None).unwrap();
            for algorithm in ALGORITHMS {
                let pem = read(&format!("dkim-{}-example.org.pem", algorithm.selector()));
                assert_eq!(Some(pem.as_str()), seed.dkim_key(algorithm, &domain));
            }
            // The seed has no keys for the other domain.
            assert!(read("dkim-rsa-example.net.pem").starts_with("-----BEGIN"));
            assert!(password::verify("correct horse", &read("hash-admin")));
            assert!(password::verify("battery staple", &read("hash-alice@example.org")));
            assert_eq!(Some(read("acme-account-key.pem")), seed.acme_account_key);
            assert_eq!(Some(read("acme-eab-key")), seed.acme_eab_key);
            assert_eq!(Some(read("acme-dns-key")), seed.acme_dns_key);
            assert!(password::verify(&read("admin-password"), &read("admin-hash")));
            for name in [
                "hash-admin",
                "acme-account-key.pem",
                "acme-eab-key",
                "acme-dns-key",
                "dkim-rsa-example.org.pem",
            ] {
                let mode = fs::metadata(secret(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
            }
        }
        let (_root, layout) = appliance();
        prepare(&layout, None, None).unwrap();
        let own = layout.secrets().join("dkim-rsa-example.org.pem");
        let before = fs::read(&own).unwrap();
        prepare(&layout, Some(&seed), None).unwrap();
        assert_eq!(fs::read(&own).unwrap(), before);
    }

    #[test]
    fn files_are_taken_over_and_count_more_than_what_is_there() {
        let (root, layout) = appliance();
        prepare(&layout, None, None).unwrap();
        let kept = |name: &str| fs::read_to_string(layout.secrets().join(name)).unwrap();
        let record = || fs::read(layout.dkim_records().join("example.org.txt")).unwrap();
        let (before, other) = (record(), kept("dkim-rsa-example.org.pem"));
        let folder = root.path().join("credentials");
        fs::create_dir(&folder).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        let pem = Algorithm::Ed25519.generate().unwrap();
        put("dkim-ed25519-0.pem", &format!("{pem}\n\n"));
        put("relay-password", "correct horse\n");
        put("acme-eab-key", "");
        let brought = Secrets::new(&folder);
        for _ in 0..2 {
            prepare(&layout, None, Some(&brought)).unwrap();
            assert_eq!(kept("dkim-ed25519-example.org.pem"), pem.trim_end());
            assert_eq!(kept("dkim-rsa-example.org.pem"), other);
            assert_eq!(kept("relay-password"), "correct horse");
            assert!(!layout.secrets().join("acme-eab-key").exists());
            assert_ne!(record(), before);
        }
        put("dkim-rsa-0.pem", "not a key");
        let error = prepare(&layout, None, Some(&brought)).unwrap_err();
        assert!(matches!(error, CommandError::Dkim(_)), "{error}");
        assert_eq!(kept("dkim-rsa-example.org.pem"), other);
    }

    #[test]
    fn a_certificate_of_the_host_is_only_looked_at() {
        let (root, layout) = appliance();
        let own = crate::appliance::tests::EXAMPLE.replacen(
            '{',
            r#"{"certificate": "/var/lib/acme/example.org/fullchain.pem","#,
            1,
        );
        fs::write(layout.appliance(), own).unwrap();
        let error = run(&layout).unwrap_err().to_string();
        assert!(error.contains("/var/lib/acme/example.org/fullchain.pem"), "{error}");
        let folder = root.path().join("var/lib/acme/example.org");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("fullchain.pem"), "of security.acme").unwrap();
        run(&layout).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let live = root.path().join("var/lib/mailkiln-acme/live");
        assert_eq!(fs::read_dir(live).unwrap().count(), 0);
    }

    #[test]
    fn a_full_or_missing_state_directory_is_named() {
        let (root, layout) = appliance();
        fs::remove_dir_all(root.path().join("var/lib/mailkiln")).unwrap();
        let error = run(&layout).unwrap_err();
        assert!(matches!(error, CommandError::Secret(SecretError::Write(_))));
        assert!(error.to_string().contains("var/lib/mailkiln/secrets"), "{error}");
    }
}
