//! `cloud local`, `cloud fetch`, `cloud apply`: first boot data becomes part of this machine.
//!
//! In: what the firmware, volumes, VMware's variables, credentials and the cloud's metadata service say, and what earlier boots
//! kept. Out: SSH keys, static networks, the identity of a copy, a seed, and the configuration that a fragment
//! makes. `local` and `apply` are root without a network; `fetch` is the agent's user and alone has one. What is
//! wrong is said on the consoles; the machine goes on as far as it can, so that its owner can reach it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command as Program;
use std::time::Duration;

use mailkiln_spec::{FragmentRule, Spec};

use super::guestinfo::{Asking, Child};
use super::{CommandError, seed};
use crate::cloud::fragment::{FragmentError, Image, bound, mount_unit, named};
use crate::cloud::kept::Kept;
use crate::cloud::machine::{Cloud, Dmi};
use crate::cloud::source::vmware;
use crate::cloud::user_data::{self, UserData};
use crate::cloud::{FirstBoot, LARGEST, azure_report, fetch as asking, identity, source, volume};
use crate::deadline::Deadline;
use crate::durable;
use crate::journal;
use crate::layout::Layout;

/// For all questions to a metadata service; Hetzner asks for that much patience.
const ASKING: Duration = Duration::from_secs(120);
/// For the report to Azure, which may come late but must come.
const REPORTING: Duration = Duration::from_secs(60);
/// Sources whose own word for the instance is none, or changes with the machine's settings.
const BY_NUMBER: [&str; 3] = ["nocloud", "vmware", "credential"];
/// What a credential says that nobody has set.
const NONE: &str = "none";

/// Looks at what is attached. Where nobody has to be asked, what was found is taken over at once: before
/// the network comes up, and before a seed is judged by the name of the host.
///
/// # Errors
/// [`CommandError`] when `/var` or `/run` can't be written.
pub(super) fn local(layout: &Layout) -> Result<(), CommandError> {
    look(layout, &Child)
}

/// [`local`], and whom VMware's variables are asked of.
fn look(layout: &Layout, asking: &dyn Asking) -> Result<(), CommandError> {
    let files = layout.cloud();
    let dmi = Dmi::read(&layout.sys());
    let cloud = dmi.cloud();
    let mut notes = Vec::new();
    let mut found = match volume::find(&layout.devices(), cloud) {
        Ok(found) => found,
        Err(error) => {
            notes.push(format!("first boot data is not used: {error}"));
            None
        }
    };
    let kept = kept(&files.kept)?;
    if found.is_none() && dmi.is_vmware() {
        found = variables(asking, &kept, &mut notes);
    }
    let is_secret =
        found.as_ref().is_some_and(|it| it.source == "vmware" && it.user_data.is_some());
    credentials(&mut found, &mut notes)?;
    if let (Some(found), Some(machine)) = (&mut found, dmi.machine())
        && BY_NUMBER.contains(&found.source.as_str())
    {
        found.set_instance(machine);
    }
    let networks = found.as_ref().or(kept.found.as_ref()).map(|it| it.networks.as_slice());
    for (number, network) in networks.unwrap_or_default().iter().enumerate() {
        if network.is_sound() {
            let text = network.render_as("From first boot data; gone with the next boot.");
            let path = layout.networks().join(format!("06-mailkiln-cloud-{number}.network"));
            durable::write(&path, text.as_bytes(), 0o644, None)?;
        }
    }
    // A config drive says all that the service would; Azure's CD does not.
    let ask = cloud.filter(|cloud| found.is_none() || *cloud == Cloud::Azure);
    match ask {
        Some(cloud) => {
            let text = serde_json::to_vec(&cloud).unwrap_or_default();
            if let Some(found) = &found {
                durable::write(&files.local, &encoded(found), 0o600, None)?;
            }
            durable::write(&files.ask, &text, 0o644, None)?;
            Ok(say(layout, &notes)?)
        }
        None => {
            take_over(layout, kept, found, notes)?;
            // Not before it is kept: a machine that loses its power here reads it again.
            match is_secret.then(|| asking.redact()) {
                Some(Err(error)) => say_also(
                    layout,
                    &format!("guestinfo.userdata is still readable for every program: {error}"),
                ),
                _ => Ok(()),
            }
        }
    }
}

/// VMware's variables. Those that were overwritten after an earlier boot say nothing; then the machine stays what it is,
/// but is asked who it is: its disk may be a copy.
fn variables(asking: &dyn Asking, kept: &Kept, notes: &mut Vec<String>) -> Option<FirstBoot> {
    let known = kept.found.as_ref().is_some_and(|found| found.source == "vmware");
    let found = match asking.variables() {
        Ok(answers) if !known && !vmware::has_data(&answers) => return None,
        Ok(answers) => vmware::parse(&answers)
            .map_err(|error| format!("{} is there, but {error}", vmware::NAME)),
        Err(error) => Err(error),
    };
    found.map_err(|error| notes.push(format!("first boot data is not used: {error}"))).ok()
}

/// Adds what a hypervisor hands over as credentials: systemd.system-credentials(7).
fn credentials(found: &mut Option<FirstBoot>, notes: &mut Vec<String>) -> Result<(), CommandError> {
    let Some(folder) = Layout::credentials() else { return Ok(()) };
    let mut read = |name: &str| -> Result<Option<Vec<u8>>, CommandError> {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) if bytes.len() > LARGEST => {
                notes.push(format!("the credential `{name}` is larger than 64 KiB, and not used"));
                Ok(None)
            }
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| bytes != NONE.as_bytes())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CommandError::Kept(path, error)),
        }
    };
    if let Some(bytes) = read("user-data")? {
        let found = found.get_or_insert_with(|| FirstBoot::of("credential"));
        // A volume is this machine's; a template may have the credential.
        if found.user_data.is_none() {
            found.set_user_data(&bytes);
        }
    }
    if let Some(bytes) = read("authorized-keys")? {
        let found = found.get_or_insert_with(|| FirstBoot::of("credential"));
        found.add_keys(String::from_utf8_lossy(&bytes).lines());
    }
    Ok(())
}

/// Asks the cloud that `local` has recognised. A failure is handed on, not returned: the machine starts
/// with what it knows.
///
/// # Errors
/// [`CommandError`] when `/run` can't be written.
pub(super) fn fetch(layout: &Layout) -> Result<(), CommandError> {
    let files = layout.cloud();
    let Ok(Ok(cloud)) = fs::read(&files.ask).map(|text| serde_json::from_slice::<Cloud>(&text))
    else {
        return Ok(());
    };
    let mut failed = String::new();
    match asking::fetch(source::service(cloud), &layout.sys(), Deadline::after(ASKING)) {
        // Root takes it over, and is in the group; without capabilities it could not read a file of ours alone.
        Ok(found) => durable::write(&files.fetched, &encoded(&found), 0o640, None)?,
        Err(error) => failed.push_str(&format!("first boot data: {error}\n")),
    }
    if cloud == Cloud::Azure
        && let Err(error) = azure_report::ready(&layout.sys(), Deadline::after(REPORTING))
    {
        failed.push_str(&format!("Azure does not know that this machine is up: {error}\n"));
    }
    if failed.is_empty() {
        return Ok(());
    }
    journal::error(failed.trim_end());
    Ok(durable::write(&files.failed, failed.as_bytes(), 0o644, None)?)
}

/// Takes over what the cloud said, and a seed of user-data.
///
/// # Errors
/// [`CommandError`] when `/var` or `/run` can't be written.
pub(super) fn apply(layout: &Layout) -> Result<(), CommandError> {
    let files = layout.cloud();
    if files.ask.exists() {
        let failed = fs::read_to_string(&files.failed).unwrap_or_default();
        // What `local` had to say of volumes and credentials is still true.
        let earlier = fs::read_to_string(&files.notes).unwrap_or_default();
        let notes = earlier.lines().chain(failed.lines().take(4)).map(str::to_owned).collect();
        let kept = kept(&files.kept)?;
        let found = both(decoded(&files.local), decoded(&files.fetched));
        take_over(layout, kept, found, notes)?;
    }
    match fs::read(&files.seed) {
        Ok(bytes) => seed::take_from_cloud(layout, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CommandError::Kept(files.seed, error)),
    }
}

fn kept(path: &Path) -> Result<Kept, CommandError> {
    Kept::read(path).map_err(|error| CommandError::Kept(path.to_owned(), error))
}

/// Forgets the fragment and all else that the cloud said.
///
/// # Errors
/// [`CommandError`] when it stays.
pub(super) fn forget(layout: &Layout) -> Result<(), CommandError> {
    let path = layout.cloud().kept;
    let kept = kept(&path)?;
    // Who it is stays: otherwise the next copy would not be noticed.
    let instance = kept.found.and_then(|found| found.instance);
    let found = FirstBoot { instance, ..FirstBoot::of("forgotten") };
    let kept = Kept { found: Some(found), fragment: None, machine_id: kept.machine_id };
    kept.write(&path)?;
    durable::remove(&layout.cloud_keys())?;
    journal::note("forgotten; restart the machine, and it asks its cloud again");
    Ok(())
}

fn encoded(found: &FirstBoot) -> Vec<u8> {
    serde_json::to_vec(found).unwrap_or_default()
}

/// What another process has written, which may have been led astray: it is judged again.
fn decoded(path: &Path) -> Option<FirstBoot> {
    let found: FirstBoot = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let mut judged = FirstBoot::of("cloud");
    judged.add_keys(found.ssh_keys.iter().map(String::as_str));
    judged.set_instance(found.instance.as_deref().unwrap_or_default());
    judged.set_host(found.host.as_deref().unwrap_or_default());
    judged.user_data = found.user_data.filter(|bytes| bytes.len() <= LARGEST);
    // No networks: whoever was asked over one has it by DHCP, and a copy of it would be stale one day.
    let plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
    judged.source = found.source.chars().filter(plain).take(20).collect();
    Some(judged)
}

/// What is attached, and what the service said.
fn both(local: Option<FirstBoot>, fetched: Option<FirstBoot>) -> Option<FirstBoot> {
    match (local, fetched) {
        (Some(local), Some(mut fetched)) => {
            fetched.user_data = fetched.user_data.or(local.user_data);
            fetched.host = fetched.host.or(local.host);
            Some(fetched)
        }
        (local, fetched) => fetched.or(local),
    }
}

/// Makes of what was found what the machine is.
fn take_over(
    layout: &Layout,
    mut kept: Kept,
    found: Option<FirstBoot>,
    mut notes: Vec<String>,
) -> Result<(), CommandError> {
    let files = layout.cloud();
    if let Some(former) = kept.take(found) {
        journal::warn(&format!("this disk was copied from the instance {former}"));
        identity::remove_host_keys(&layout.host_keys())?;
        kept.machine_id = Some(identity::new_machine_id().map_err(CommandError::Cloud)?);
    }
    // Before anything else is made: a copy that loses its power here is still noticed as one.
    if let Some(id) = &kept.machine_id {
        identity::write_machine_id(&layout.machine_id(), id).map_err(CommandError::Cloud)?;
    }
    if let Some(instance) = kept.found.as_ref().and_then(|found| found.instance.as_ref()) {
        durable::write(&files.instance, instance.as_bytes(), 0o644, None)?;
    }
    let bytes = kept.found.as_ref().and_then(|found| found.user_data.as_deref());
    let parsed = user_data::parse(bytes.unwrap_or_default());
    let is_wrong = parsed.is_err();
    let user_data = parsed.unwrap_or_else(|error| {
        notes.push(format!("the user-data is not used: {error}"));
        UserData::default()
    });
    notes.extend(user_data.ignored.iter().map(|what| format!("not used: {what}")));
    ssh_keys(layout, kept.found.as_ref(), &user_data)?;
    if let Some(seed) = &user_data.seed {
        durable::write(&files.seed, seed, 0o600, None)?;
    }
    configure(layout, &mut kept, user_data.fragment, is_wrong, &mut notes);
    kept.write(&files.kept)?;
    Ok(say(layout, &notes)?)
}

/// Who may log in, as the cloud says now: a key that was taken out there opens nothing here.
fn ssh_keys(
    layout: &Layout,
    found: Option<&FirstBoot>,
    user_data: &UserData,
) -> Result<(), CommandError> {
    let mut all = FirstBoot::default();
    all.add_keys(found.iter().flat_map(|it| it.ssh_keys.iter()).map(String::as_str));
    all.add_keys(user_data.ssh_keys.iter().map(String::as_str));
    let path = layout.cloud_keys();
    if all.ssh_keys.is_empty() {
        return Ok(durable::remove(&path)?);
    }
    let text = all.ssh_keys.join("\n") + "\n";
    Ok(durable::write(&path, text.as_bytes(), 0o600, None)?)
}

/// Renders the fragment: the new one; else the last that was right; else the image waits or is what it is.
fn configure(
    layout: &Layout,
    kept: &mut Kept,
    fragment: Option<String>,
    is_wrong: bool,
    notes: &mut Vec<String>,
) {
    let image = match Image::read(layout.root()) {
        Ok(image) => image,
        Err(error) => {
            notes.extend(fragment.map(|_| error.to_string()));
            return;
        }
    };
    let wanted = fragment.is_some() || kept.fragment.is_some() || is_wrong;
    let mut spec = None;
    let host = kept.found.as_ref().and_then(|found| found.host.clone());
    if let Some(fragment) = fragment.map(|fragment| named(&fragment, host.as_deref())) {
        match image.with(&fragment) {
            Ok(with) => {
                spec = Some(with);
                kept.fragment = Some(fragment);
            }
            Err(error) => {
                notes.push("the fragment in the user-data is not used:".to_owned());
                notes.extend(error.to_string().lines().map(str::to_owned));
            }
        }
    }
    if let (None, Some(known)) = (&spec, &kept.fragment) {
        match image.with(known) {
            Ok(with) => {
                if !notes.is_empty() {
                    notes.push("the last fragment that was right is still used".to_owned());
                }
                spec = Some(with);
            }
            Err(FragmentError::Refused) => {}
            Err(error) => {
                notes.push("the fragment of earlier boots does not fit this image:".to_owned());
                notes.extend(error.to_string().lines().map(str::to_owned));
            }
        }
    }
    let spec = match spec {
        Some(spec) => spec,
        None => match without(&image, wanted, notes) {
            Some(spec) => spec,
            None => return,
        },
    };
    match image.render(&spec, layout.root()) {
        Ok(true) => tell_systemd(layout, &spec, notes),
        Ok(false) => {}
        Err(error) => notes.extend(error.to_string().lines().map(str::to_owned)),
    }
}

/// What an image is without a fragment that can be used. Where one was wanted, the image's own domains are
/// not the machine's: accounts on `/var` that they don't have would be taken for removed ones.
fn without(image: &Image, wanted: bool, notes: &mut Vec<String>) -> Option<Spec> {
    let own = match image.own() {
        Ok(own) => own,
        Err(error) => {
            notes.push(error.to_string());
            return None;
        }
    };
    match own.fragment {
        FragmentRule::Required => notes.push(
            "no mail yet: this image has no domain. Give the machine user-data that begins with the line \
             `#mailkiln` and sets [host] name, [[domain]] and [[account]], then restart it"
                .to_owned(),
        ),
        FragmentRule::Allowed if wanted => notes.push(
            "no mail service runs until the fragment is right: correct the user-data and restart, or run \
             `mailkiln-agent cloud forget` and take it out"
                .to_owned(),
        ),
        FragmentRule::Allowed | FragmentRule::Refused => return None,
    }
    Some(Spec { is_waiting: true, ..own })
}

/// Has the files bound and the units read again. Outside of systemd, in tests, there is nobody to tell.
fn tell_systemd(layout: &Layout, spec: &Spec, notes: &mut Vec<String>) {
    if !spec.is_waiting {
        journal::note(&format!("the fragment makes this machine {}", spec.host.name));
    }
    if !layout.systemd().exists() || layout.root() != Path::new("/") {
        return;
    }
    let mounts: Vec<String> = bound(layout.root()).map(|(_, path)| mount_unit(path)).collect();
    let mut steps = vec![vec!["daemon-reload"]];
    if !spec.is_waiting && !mounts.is_empty() {
        let start = ["start"].into_iter().chain(mounts.iter().map(String::as_str)).collect();
        steps.extend([start, vec!["restart", "systemd-sysctl.service"]]);
    }
    for arguments in steps {
        let done = Program::new("systemctl").arg("--no-ask-password").args(&arguments).output();
        let why = match done {
            Ok(done) if done.status.success() => continue,
            Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        notes.push(format!("`systemctl {}` failed: {why}", arguments.join(" ")));
    }
}

/// Hands over one more line.
fn say_also(layout: &Layout, line: &str) -> Result<(), CommandError> {
    let path = layout.cloud().notes;
    journal::error(line);
    let text = fs::read_to_string(&path).unwrap_or_default() + line + "\n";
    Ok(durable::write(&path, text.as_bytes(), 0o644, None)?)
}

/// Hands lines to the consoles and to the journal.
fn say(layout: &Layout, notes: &[String]) -> Result<(), durable::DurableError> {
    let path = layout.cloud().notes;
    if notes.is_empty() {
        return durable::remove(&path);
    }
    notes.iter().for_each(|line| journal::error(line));
    durable::write(&path, (notes.join("\n") + "\n").as_bytes(), 0o644, None)
}

#[cfg(test)]
mod tests;
