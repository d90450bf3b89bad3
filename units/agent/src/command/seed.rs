//! `seed take` and `seed erase`: a seed on the card becomes part of this device.
//!
//! In: the boot partition, or the credential `seed`, which a hypervisor hands over by SMBIOS or fw_cfg
//! (systemd.system-credentials(7)); what is on the card comes first. Out of `take`: who may log in, the SSH host key, the way to the network,
//! and for `prepare`, which makes secrets as another user, the seed itself in memory. Out of
//! `erase`, which runs when `prepare` has done its part: a place of zeros. Whatever the power does
//! in between, the seed is still on the card, and taking it once more changes nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::CommandError;
use crate::appliance::Appliance;
use crate::boot_partition;
use crate::durable::{self, DurableError};
use crate::journal;
use crate::layout::Layout;
use crate::seed::{self, Seed, SeedError};
use crate::seed_place::SeedPlace;

/// Why the card was not read or not erased.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The boot partition is not there.
    #[error("cannot find the boot partition: {0}")]
    NoPartition(#[source] io::Error),
    /// This service may not open it: its permission is for what the label names.
    #[error(
        "cannot open the boot partition {0}: another disk has one with the same label; unplug it \
         and start again"
    )]
    Ambiguous(PathBuf),
    /// It can't be read or written.
    #[error("cannot {0} the boot partition {1}: {2}; see `dmesg`")]
    Medium(&'static str, PathBuf, #[source] io::Error),
}

/// Takes a seed over, if there is one. What is wrong with it, or with the card, is shown on the
/// consoles, and the appliance goes on without.
///
/// # Errors
/// [`CommandError`] when `/var` can't be written; then the seed stays on the card.
pub(super) fn take(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let found = boot_partition::path(layout).map_err(CardError::NoPartition);
    let on_card = match found.and_then(|path| read(&path)) {
        Ok(Some(bytes)) => take_over(layout, &appliance, &bytes, Origin::Card)?,
        Ok(None) => false,
        Err(error) => {
            refuse(layout, &error.to_string())?;
            false
        }
    };
    let credential = Layout::credentials().map(|folder| folder.join("seed"));
    if let Some(path) = credential.filter(|_| !on_card) {
        take_credential(layout, &appliance, &path)?;
    }
    show_network(layout)?;
    Ok(())
}

/// Where a seed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The boot partition, which is erased afterwards.
    Card,
    /// The hypervisor, which keeps it: it is taken again at every boot.
    Hypervisor,
    /// User-data, which the cloud keeps.
    Cloud,
}

/// Takes over what the hypervisor brings; nothing is the usual case.
fn take_credential(
    layout: &Layout,
    appliance: &Appliance,
    path: &Path,
) -> Result<(), CommandError> {
    match fs::read(path) {
        Ok(bytes) => take_over(layout, appliance, &bytes, Origin::Hypervisor).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CommandError::Kept(path.to_owned(), error)),
    }
}

/// Takes over a seed of user-data, where there was none on the card and none from the hypervisor.
///
/// # Errors
/// [`CommandError`] when `/var` can't be written.
pub(super) fn take_from_cloud(layout: &Layout, bytes: &[u8]) -> Result<(), CommandError> {
    let files = layout.seed();
    if files.seed.exists() || files.refused.exists() {
        return Ok(());
    }
    let appliance = Appliance::read(&layout.appliance())?;
    take_over(layout, &appliance, bytes, Origin::Cloud)?;
    Ok(())
}

/// Erases the card, if `take` has found something there.
///
/// # Errors
/// [`CommandError::Card`] when it stays.
pub(super) fn erase(layout: &Layout) -> Result<(), CommandError> {
    let files = layout.seed();
    if !files.erase.exists() {
        return Ok(());
    }
    let path = boot_partition::path(layout).map_err(CardError::NoPartition)?;
    erase_at(&path)?;
    journal::note("the seed on the card is erased");
    durable::remove(&files.seed)?;
    Ok(durable::remove(&files.erase)?)
}

/// The bytes of the place; `None` where the partition has none, as that of an older image.
fn read(path: &Path) -> Result<Option<Vec<u8>>, CardError> {
    let failed = |error| CardError::Medium("read", path.to_owned(), error);
    let volume = opened(path, OpenOptions::new().read(true))?;
    let place = SeedPlace::find(&volume).map_err(failed)?;
    place.map(|place| place.read(&volume)).transpose().map_err(failed)
}

fn erase_at(path: &Path) -> Result<(), CardError> {
    let failed = |error| CardError::Medium("erase the seed on", path.to_owned(), error);
    let volume = opened(path, OpenOptions::new().read(true).write(true))?;
    match SeedPlace::find(&volume).map_err(failed)? {
        Some(place) => place.erase(&volume).map_err(failed),
        None => Ok(()),
    }
}

fn opened(path: &Path, options: &OpenOptions) -> Result<File, CardError> {
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => CardError::Ambiguous(path.to_owned()),
        _ => CardError::Medium("open", path.to_owned(), error),
    })
}

/// What a seed has, as far as this service keeps it; the rest is for `prepare`. Returns true when there
/// was one, be it refused.
fn take_over(
    layout: &Layout,
    appliance: &Appliance,
    bytes: &[u8],
    from: Origin,
) -> Result<bool, CommandError> {
    let files = layout.seed();
    let judged = seed::parse(bytes).and_then(|seed| match seed {
        Some(seed) => seed.is_for(appliance).map(|()| Some(seed)),
        None => Ok(None),
    });
    match judged {
        Ok(None) => return Ok(false),
        Ok(Some(seed)) => {
            install(layout, &seed)?;
            durable::write(&files.seed, bytes, 0o600, None)?;
            journal::note(match from {
                Origin::Card => "took over the seed on the card",
                Origin::Hypervisor => "took over the seed of the hypervisor",
                Origin::Cloud => "took over the seed in the user-data",
            });
        }
        Err(error) => refuse(layout, &refusal(&error, from))?,
    }
    if from == Origin::Card {
        // Nobody can use a seed that was refused, and whoever holds the card could read it.
        durable::write(&files.erase, b"", 0o600, None)?;
    }
    Ok(true)
}

fn refusal(error: &SeedError, from: Origin) -> String {
    let erased = if from == Origin::Card { "It is erased, and this" } else { "This" };
    format!("{error}. {erased} device makes its own secrets")
}

fn refuse(layout: &Layout, reason: &str) -> Result<(), CommandError> {
    journal::error(&format!("the seed is not used: {reason}"));
    Ok(durable::write(&layout.seed().refused, reason.as_bytes(), 0o644, None)?)
}

/// What lets people in is replaced; what others know the device by stays.
fn install(layout: &Layout, seed: &Seed) -> Result<(), DurableError> {
    if !seed.ssh.keys.is_empty() {
        let lines = seed.ssh.keys.join("\n") + "\n";
        durable::write(&layout.authorized_keys(), lines.as_bytes(), 0o600, None)?;
    }
    let host_key = layout.host_key();
    if let Some(key) = seed.ssh.host_key.as_ref().filter(|_| is_missing(&host_key)) {
        durable::write(&host_key, key.as_bytes(), 0o600, None)?;
    }
    for wifi in &seed.wifi {
        let path = layout.wifi().join(wifi.file_name());
        durable::write(&path, wifi.render().as_bytes(), 0o600, None)?;
    }
    let (kept, _) = layout.network();
    match &seed.network {
        Some(network) => durable::write(&kept, network.render().as_bytes(), 0o600, None),
        None => Ok(()),
    }
}

/// Missing, or empty: a file system may leave that behind after a power cut.
fn is_missing(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.len() == 0)
}

/// The root is read-only, so networkd finds the static network of a seed where it looks for what
/// holds until the next boot.
fn show_network(layout: &Layout) -> Result<(), CommandError> {
    let (kept, shown) = layout.network();
    match fs::read(&kept) {
        Ok(text) => Ok(durable::write(&shown, &text, 0o644, None)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CommandError::Kept(kept, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::tests::place;
    use std::os::unix::fs::PermissionsExt as _;

    fn device() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        for directory in [
            "etc/mailkiln",
            "run/mailkiln-seed",
            "run/systemd/network",
            "var/lib/iwd",
            "var/lib/mailkiln-seed",
            "var/lib/ssh/authorized_keys",
            "var/lib/ssh/etc/ssh",
        ] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let layout = Layout::new(root.path());
        fs::write(layout.appliance(), crate::appliance::tests::EXAMPLE).unwrap();
        (root, layout)
    }

    fn appliance(layout: &Layout) -> Appliance {
        Appliance::read(&layout.appliance()).unwrap()
    }

    /// Every file but the description: path, mode, and whether it is empty.
    fn files(root: &Path) -> Vec<(String, u32, bool)> {
        let (mut files, mut left) = (Vec::new(), vec![root.join("run"), root.join("var")]);
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() {
                    left.push(entry.path());
                    continue;
                }
                let name = entry.path().strip_prefix(root).unwrap().display().to_string();
                files.push((name, metadata.permissions().mode() & 0o777, metadata.len() == 0));
            }
        }
        files.sort();
        files
    }

    #[test]
    fn everything_is_put_where_it_belongs() {
        let (root, layout) = device();
        for _ in 0..2 {
            take_over(&layout, &appliance(&layout), &place(), Origin::Card).unwrap();
            show_network(&layout).unwrap();
            let expected = [
                ("run/mailkiln-seed/erase", 0o600, true),
                ("run/mailkiln-seed/seed", 0o600, false),
                ("run/systemd/network/05-mailkiln-seed.network", 0o644, false),
                ("var/lib/iwd/=436166c3a9202331.open", 0o600, false),
                ("var/lib/iwd/Home.psk", 0o600, false),
                ("var/lib/mailkiln-seed/05-mailkiln-seed.network", 0o600, false),
                ("var/lib/ssh/authorized_keys/root", 0o600, false),
                ("var/lib/ssh/etc/ssh/ssh_host_ed25519_key", 0o600, false),
            ]
            .map(|(name, mode, empty)| (name.to_owned(), mode, empty));
            assert_eq!(files(root.path()), expected);
        }
        assert_eq!(fs::read(layout.seed().seed).unwrap(), place());
    }

    #[test]
    fn what_others_know_the_device_by_stays() {
        let (_root, layout) = device();
        fs::write(layout.host_key(), "the device's own").unwrap();
        fs::write(layout.authorized_keys(), "an older seed's").unwrap();
        take_over(&layout, &appliance(&layout), &place(), Origin::Card).unwrap();
        assert_eq!(fs::read_to_string(layout.host_key()).unwrap(), "the device's own");
        let keys = fs::read_to_string(layout.authorized_keys()).unwrap();
        assert!(keys.starts_with("ssh-ed25519 ") && keys.ends_with(" alice@laptop\n"), "{keys}");
    }

    #[test]
    fn a_seed_that_is_refused_leaves_a_word_and_is_erased() {
        let (root, layout) = device();
        take_over(&layout, &appliance(&layout), &[0; 4096], Origin::Card).unwrap();
        assert_eq!(files(root.path()), []);
        let mut damaged = place();
        damaged[100] ^= 1;
        take_over(&layout, &appliance(&layout), &damaged, Origin::Card).unwrap();
        let names: Vec<_> = files(root.path()).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["run/mailkiln-seed/erase", "run/mailkiln-seed/refused"]);
        let reason = fs::read_to_string(layout.seed().refused).unwrap();
        assert!(reason.starts_with("it is damaged (its SHA-256)"), "{reason}");
        assert!(reason.contains("It is erased"), "{reason}");
    }

    #[test]
    fn what_a_hypervisor_brings_is_taken_and_nothing_is_erased() {
        let (_root, layout) = device();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        take_credential(&layout, &appliance(&layout), &path).unwrap();
        // What the unit has where there is none.
        fs::write(&path, "none").unwrap();
        take_credential(&layout, &appliance(&layout), &path).unwrap();
        assert!(!layout.seed().seed.exists());
        fs::write(&path, place()).unwrap();
        take_credential(&layout, &appliance(&layout), &path).unwrap();
        assert!(layout.authorized_keys().exists());
        assert_eq!(fs::read(layout.seed().seed).unwrap(), place());
        assert!(!layout.seed().erase.exists());
        let mut damaged = place();
        damaged[100] ^= 1;
        fs::write(&path, damaged).unwrap();
        take_credential(&layout, &appliance(&layout), &path).unwrap();
        let reason = fs::read_to_string(layout.seed().refused).unwrap();
        assert!(reason.contains("damaged") && !reason.contains("erased"), "{reason}");
    }

    #[test]
    fn without_a_boot_partition_the_network_is_still_shown() {
        let (_root, layout) = device();
        let (kept, shown) = layout.network();
        fs::write(kept, "[Match]\n").unwrap();
        take(&layout).unwrap();
        assert_eq!(fs::read_to_string(shown).unwrap(), "[Match]\n");
        let reason = fs::read_to_string(layout.seed().refused).unwrap();
        assert!(reason.contains("cannot find the boot partition"), "{reason}");
        // Nothing was read, so nothing is erased.
        assert!(!layout.seed().erase.exists());
        erase(&layout).unwrap();
    }

    #[test]
    fn erasing_writes_zeros_over_the_place_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("esp");
        let clean = crate::seed_place::tests::volume();
        let place = SeedPlace::find(&clean[..]).unwrap().unwrap();
        fs::write(&path, &clean).unwrap();
        let bytes = read(&path).unwrap().unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0));
        place
            .write_for_test(&OpenOptions::new().write(true).open(&path).unwrap(), &bytes_of_seed());
        assert!(seed::parse(&read(&path).unwrap().unwrap()).unwrap().is_some());
        erase_at(&path).unwrap();
        assert!(fs::read(&path).unwrap() == clean);
    }

    fn bytes_of_seed() -> Vec<u8> {
        let mut bytes = place();
        bytes.resize(usize::try_from(crate::seed_place::ROOM).unwrap(), 0);
        bytes
    }
}
