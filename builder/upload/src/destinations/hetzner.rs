//! Hetzner Cloud: a snapshot of a temporary server whose disk is written from the rescue system.
//!
//! In: a raw disk, compressed or not. Out: a snapshot. There is no API for images: a server is made, started into its rescue
//! system with a key of this run alone, the image is piped there by `ssh` and read back, and the disk is kept as a
//! snapshot; server and key are removed. A broken upload begins again. Source: "Hetzner Cloud API", "Hetzner rescue system".

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::artifact::{Artifact, plain};
use crate::credentials::hetzner::token;
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::{UploadError, presentable};
use crate::http::{Http, Request, query};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::settings::Setting;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "hetzner",
    title: "Hetzner Cloud: a snapshot, written from the rescue system of a temporary server",
    formats: &["img.zst", "img.xz", "img.gz", "img"],
    settings: &[
        Setting::new("location", &[], "where the temporary server runs").or("fsn1"),
        Setting::new("server-type", &[], "its type [default: cx23 for x86_64, cax11 for aarch64]"),
        Setting::new("endpoint", &["HCLOUD_ENDPOINT"], "address of the API")
            .or("https://api.hetzner.cloud/v1"),
        Setting::new(
            "context",
            &["HCLOUD_CONTEXT"],
            "context of the hcloud CLI [default: the active one]",
        ),
        Setting::new("ssh-port", &[], "port of the rescue system").or("22"),
        Setting::new("device", &[], "the disk there").or("/dev/sda"),
    ],
    next: include_str!("../../next/hetzner.hbs"),
    facts: &["location"],
    open,
};

/// Minutes that an action or a boot may take.
const PATIENCE: u64 = 15;
/// Minutes that a snapshot may take.
const SNAPSHOT_PATIENCE: u64 = 60;

struct Hetzner {
    http: Http,
    endpoint: String,
    token: String,
    location: String,
    server_type: Option<String>,
    port: u64,
    device: String,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let settings = &context.settings;
    let device = settings.require("device")?;
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"/._-".contains(&it);
    if !device.starts_with('/') || !device.bytes().all(is_plain) {
        return Err(UploadError::Setting {
            message: format!("`{}` can't be a device", device.escape_debug()),
            hint: "write it as /dev/sda".to_owned(),
        });
    }
    Ok(Box::new(Hetzner {
        http: context.http.clone(),
        endpoint: settings.address("endpoint")?.unwrap_or_default(),
        token: token(settings)?,
        location: settings.require("location")?,
        server_type: settings.get("server-type"),
        port: settings.number("ssh-port", 1, 65535)?,
        device,
    }))
}

impl Hetzner {
    fn call(
        &self,
        what: &str,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, UploadError> {
        let mut request = Request::new(method, format!("{}{path}", self.endpoint))
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.http.fetch(what, request)?;
        if response.body.is_empty() { Ok(Value::Null) } else { response.json(what) }
    }

    /// Removes something; what is gone already is no error.
    fn delete(&self, what: &str, path: &str) -> Result<(), UploadError> {
        match self.call(what, "DELETE", path, None) {
            Err(UploadError::Refused { status: 404, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Starts an action and waits for its end.
    fn act(
        &self,
        what: &str,
        path: &str,
        body: &Value,
        minutes: u64,
        progress: &dyn Progress,
    ) -> Result<Value, UploadError> {
        let answer = self.call(what, "POST", path, Some(body))?;
        self.finish(what, &answer["action"]["id"], minutes, progress)?;
        Ok(answer)
    }

    fn finish(
        &self,
        what: &str,
        action: &Value,
        minutes: u64,
        progress: &dyn Progress,
    ) -> Result<(), UploadError> {
        let Some(id) = action.as_u64() else {
            return Err(UploadError::answer(what, "it has no action"));
        };
        self.http.wait(what, minutes, progress, || {
            let answer = self.call(what, "GET", &format!("/actions/{id}"), None)?;
            match answer["action"]["status"].as_str() {
                Some("success") => Ok(Some(())),
                Some("error") => Err(UploadError::Failed {
                    what: what.to_owned(),
                    message: presentable(
                        answer["action"]["error"]["message"].as_str().unwrap_or("no reason given"),
                    ),
                }),
                _ => Ok(None),
            }
        })
    }

    /// Snapshots with a label, the newest first.
    fn snapshots(&self, label: &str, value: &str) -> Result<Vec<Value>, UploadError> {
        let what = "looking for snapshots";
        let selector = format!("{label}={value}");
        let mut found = Vec::new();
        let mut page = 1_u64;
        loop {
            let number = page.to_string();
            let fields = query(&[
                ("type", "snapshot"),
                ("label_selector", &selector),
                ("sort", "created:desc"),
                ("per_page", "50"),
                ("page", &number),
            ]);
            let answer = self.call(what, "GET", &format!("/images?{fields}"), None)?;
            found.extend(answer["images"].as_array().cloned().unwrap_or_default());
            match answer["meta"]["pagination"]["next_page"].as_u64() {
                Some(next) if next > page => page = next,
                _ => return Ok(found),
            }
        }
    }

    /// A server in its rescue system; its address.
    fn rescue(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        public_key: &str,
        progress: &dyn Progress,
    ) -> Result<String, UploadError> {
        let name = format!("mailkiln-{}", artifact.short_digest());
        let answer = self.call(
            "adding a key",
            "POST",
            "/ssh_keys",
            Some(&json!({"name": name, "public_key": public_key, "labels": {"mailkiln": "temporary"}})),
        )?;
        let key = id(&answer["ssh_key"], "adding a key")?;
        journal.note("key", &key.to_string())?;
        let own = if artifact.arch.gnu() == "aarch64" { "cax11" } else { "cx23" };
        let server_type = self.server_type.as_deref().unwrap_or(own);
        let what = "making a temporary server";
        progress.step(&format!("{what} ({server_type} in {})", self.location));
        let answer = self.call(
            what,
            "POST",
            "/servers",
            Some(&json!({
                "name": name,
                "server_type": server_type,
                "location": self.location,
                "image": "debian-13",
                "ssh_keys": [key],
                "start_after_create": false,
                "labels": {"mailkiln": "temporary"},
            })),
        )?;
        let server = id(&answer["server"], what)?;
        journal.note("server", &server.to_string())?;
        self.finish(what, &answer["action"]["id"], PATIENCE, progress)?;
        let actions = format!("/servers/{server}/actions");
        let body = json!({"type": "linux64", "ssh_keys": [key]});
        self.act(
            "enabling the rescue system",
            &format!("{actions}/enable_rescue"),
            &body,
            PATIENCE,
            progress,
        )?;
        self.act(
            "starting the server",
            &format!("{actions}/poweron"),
            &json!({}),
            PATIENCE,
            progress,
        )?;
        let address = answer["server"]["public_net"]["ipv4"]["ip"]
            .as_str()
            .filter(|it| it.parse::<std::net::IpAddr>().is_ok())
            .ok_or_else(|| UploadError::answer(what, "the server has no IPv4 address"))?;
        Ok(address.to_owned())
    }

    /// `ssh` to the rescue system, with a key and known hosts of this run alone.
    fn ssh(&self, keys: &Path, address: &str, script: &str) -> Command {
        let mut command = Command::new("ssh");
        let known = format!("UserKnownHostsFile={}", keys.join("known_hosts").display());
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=accept-new",
            "ConnectTimeout=10",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "LogLevel=ERROR",
            &known,
        ] {
            command.args(["-o", option]);
        }
        command
            .args(["-F", "none", "-i"])
            .arg(keys.join("key"))
            .args(["-p", &self.port.to_string(), &format!("root@{address}"), "--"])
            .arg(format!("exec bash -euo pipefail -c '{script}'"))
            .stdin(Stdio::null());
        command
    }

    /// Writes the disk and reads it back.
    fn write(&self, artifact: &Artifact, keys: &Path, address: &str) -> Result<(), UploadError> {
        let script = script(&self.device, artifact);
        let file = File::open(&artifact.path).map_err(UploadError::file("read", &artifact.path))?;
        let said = run(self.ssh(keys, address, &script).stdin(file))?;
        let mut sums = said.split_whitespace();
        match (sums.next(), sums.next()) {
            (Some(sent), Some(found)) if sent != found => Err(UploadError::Corrupt {
                what: "the disk of the server".to_owned(),
                sent: sent.to_owned(),
                found: found.to_owned(),
            }),
            (Some(sent), Some(_)) if artifact.format == "img" => {
                crate::parts::check(artifact, sent)
            }
            (Some(_), Some(_)) => Ok(()),
            _ => Err(UploadError::answer("writing the disk", "there are no digests in it")),
        }
    }
}

/// What runs in the rescue system. Blocks of zeros are left out only where the disk was emptied before; what is on the disk is
/// read again past the system's memory, and compared with what came out of the decompressor.
fn script(device: &str, artifact: &Artifact) -> String {
    let unpack = match artifact.format {
        "img.zst" => "zstd -dc",
        "img.xz" => "xz -dc",
        "img.gz" => "gzip -dc",
        _ => "cat",
    };
    format!(
        "pipe=$(mktemp -u); mkfifo \"$pipe\"; sparse=; \
         if blkdiscard -f {device} 2>/dev/null; then sparse=,sparse; fi; \
         dd if=\"$pipe\" of={device} bs=4M iflag=fullblock conv=fsync,notrunc$sparse status=none & writer=$!; \
         sent=$({unpack} | tee \"$pipe\" | sha256sum); wait $writer; rm \"$pipe\"; \
         blockdev --flushbufs {device} 2>/dev/null || true; \
         found=$(head -c {} {device} | sha256sum); echo \"${{sent%% *}} ${{found%% *}}\"",
        artifact.disk_size
    )
}

fn id(value: &Value, what: &str) -> Result<u64, UploadError> {
    value["id"].as_u64().ok_or_else(|| UploadError::answer(what, "it has no identifier"))
}

/// What a program writes; its last words where it fails.
fn run(command: &mut Command) -> Result<String, UploadError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed =
        |reason: String, passes| UploadError::Program { program: program.clone(), reason, passes };
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(error.to_string(), false))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    // ssh's own failures end with 255, those of the script with what failed there.
    Err(failed(presentable(last), true))
}

impl Destination for Hetzner {
    fn place(&self) -> String {
        format!("Hetzner Cloud by {}", self.endpoint)
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        vec![
            format!("make a temporary server in {} and a key for it", self.location),
            format!(
                "start its rescue system and write {} bytes to {} by ssh",
                artifact.disk_size, self.device
            ),
            "keep the disk as a snapshot; remove the server and the key".to_owned(),
        ]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        // A label's value has at most 63 characters.
        let found = self.snapshots("mailkiln-sha256", &artifact.sha256.to_string()[..63])?;
        Ok(found.iter().find(|it| it["status"] == "available").map(stored))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        // Nothing of a broken upload can be used: it is removed before another begins.
        self.clean(journal)?;
        journal.forget()?;
        let keys = TempDir::new().map_err(UploadError::file("make a folder", Path::new("/tmp")))?;
        let key = keys.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "mailkiln", "-f"])
            .arg(&key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let made = made.and_then(|child| child.wait_with_output());
        made.map_err(|error| UploadError::Program {
            program: "ssh-keygen".to_owned(),
            reason: error.to_string(),
            passes: false,
        })?;
        let public = key.with_extension("pub");
        let public =
            std::fs::read_to_string(&public).map_err(UploadError::file("read", &public))?;
        let address = self.rescue(artifact, journal, public.trim(), progress)?;
        self.http.wait("the rescue system answers", PATIENCE, progress, || {
            Ok(run(&mut self.ssh(keys.path(), &address, "true")).ok())
        })?;
        progress.step("writing the disk and reading it back");
        self.write(artifact, keys.path(), &address)?;
        let server = journal.value("server").unwrap_or_default();
        let actions = format!("/servers/{server}/actions");
        self.act(
            "stopping the server",
            &format!("{actions}/poweroff"),
            &json!({}),
            PATIENCE,
            progress,
        )?;
        let mut labels: BTreeMap<&str, String> = BTreeMap::new();
        for (key, value) in artifact.tags() {
            labels.insert(key, label(&value));
        }
        labels.insert("mailkiln-name", label(&plain(&artifact.name)));
        let what = "taking the snapshot";
        let body =
            json!({"type": "snapshot", "description": artifact.remote_name(), "labels": labels});
        let answer = self.call(what, "POST", &format!("{actions}/create_image"), Some(&body))?;
        let image = id(&answer["image"], what)?;
        journal.note("image", &image.to_string())?;
        self.finish(what, &answer["action"]["id"], SNAPSHOT_PATIENCE, progress)?;
        let answer = self.call(what, "GET", &format!("/images/{image}"), None)?;
        Ok(stored(&answer["image"]))
    }

    fn resumes(&self) -> bool {
        // A server that is left running costs money.
        false
    }

    fn tidy(&self, journal: &Journal) -> Result<(), UploadError> {
        if let Some(server) = journal.value("server") {
            self.delete("removing the temporary server", &format!("/servers/{server}"))?;
        }
        if let Some(key) = journal.value("key") {
            self.delete("removing the temporary key", &format!("/ssh_keys/{key}"))?;
        }
        Ok(())
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        if let Some(image) = journal.value("image") {
            self.delete("removing the snapshot", &format!("/images/{image}"))?;
        }
        self.tidy(journal)
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let mut found: Vec<Stored> =
            self.snapshots("mailkiln-name", &label(&plain(name)))?.iter().map(stored).collect();
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.id.cmp(&one.id)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        self.delete("removing a snapshot", &format!("/images/{}", stored.id))
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("location", self.location.clone())])
    }
}

fn stored(image: &Value) -> Stored {
    let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
    Stored { id: image["id"].to_string(), name: text("description"), created: text("created") }
}

/// A label's value: letters, digits, `-`, `_` and `.`, at most 63, beginning and ending with a letter or digit.
pub fn label(text: &str) -> String {
    let allowed =
        |it: char| if it.is_ascii_alphanumeric() || "-_.".contains(it) { it } else { '-' };
    let cut: String = text.chars().map(allowed).take(63).collect();
    cut.trim_matches(|it: char| !it.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_fit() {
        assert_eq!(label("2026-11-21T02:10:46Z"), "2026-11-21T02-10-46Z");
        assert_eq!(label(&"a".repeat(64)).len(), 63);
        assert_eq!(label("-x_"), "x");
        assert_eq!(label(""), "");
    }

    #[test]
    fn the_script_writes_reads_back_and_reports_what_fails() {
        let folder = tempfile::tempdir().unwrap();
        let image = crate::artifact::sample(folder.path(), &[7; 100_000]);
        let disk = folder.path().join("disk");
        std::fs::write(&disk, [9; 200_000]).unwrap();
        let script = script(&disk.display().to_string(), &image);
        assert!(!script.contains('\''), "it stands in quotes");
        let bash = |input: &Path| {
            run(Command::new("bash")
                .args(["-euo", "pipefail", "-c", &script])
                .stdin(File::open(input).unwrap()))
        };
        let said = bash(&image.path).unwrap();
        assert_eq!(said.trim(), format!("{0} {0}", image.sha256));
        assert_eq!(std::fs::read(&disk).unwrap()[..100_000], [7; 100_000]);
        let cut = script.replace("cat |", "false |");
        assert!(run(Command::new("bash").args(["-euo", "pipefail", "-c", &cut])).is_err());
    }
}
