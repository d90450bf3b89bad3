//! `status`: how things stand, for people or as JSON.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{CommandError, print};
use crate::clock::{Clock as _, Seconds, SystemClock, display};
use crate::layout::Layout;
use crate::renewal::{in_use, spread};
use crate::schedule::{self, InUse};
use crate::settings::Settings;
use crate::state::State;
use crate::tlsa;

/// Runs the command. Exit status 1 when nothing has succeeded for three days, or the certificate in
/// use is not good.
pub(super) fn run(
    layout: &Layout,
    settings: &Settings,
    json: bool,
) -> Result<ExitCode, CommandError> {
    let hosts = Status::read(layout, settings, settings.host.as_str());
    let further = settings.certificates.iter().map(|it| {
        let status = Status::read(&layout.of(it), settings, it.name.as_str());
        (it.name.as_str(), status)
    });
    let further: Vec<_> = further.collect();
    print(&if json { json_text(&hosts, &further) } else { text(&hosts, &further) })?;
    Ok(if all_good(&hosts, &further) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A domain without DNS has no certificate, which is no fault of the machine's.
fn all_good(hosts: &Status<'_>, further: &[(&str, Status<'_>)]) -> bool {
    let mut further = further.iter().map(|(_, status)| status);
    hosts.is_good()
        && further
            .all(|it| it.is_valid() != Some(false) && it.state.failing_for_days(it.now).is_none())
}

/// Lines for people: the host's certificate, then one block for each further one.
fn text(hosts: &Status<'_>, further: &[(&str, Status<'_>)]) -> String {
    let authority = format!("{:<12} {}\n", "authority", hosts.settings.directory);
    let blocks = further
        .iter()
        .map(|(name, status)| format!("\n{:<12} {name}\n{}", "domain", status.text(None)));
    let blocks: String = blocks.collect();
    authority + &hosts.text(Some(hosts.settings.host.as_str())) + &blocks
}

fn json_text(hosts: &Status<'_>, further: &[(&str, Status<'_>)]) -> String {
    let certificates: Vec<_> = further
        .iter()
        .map(|(name, status)| {
            let mut value = status.json();
            if let Some(fields) = value.as_object_mut() {
                fields.insert("name".to_owned(), (*name).into());
            }
            value
        })
        .collect();
    let mut value = hosts.json();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("authority".to_owned(), hosts.settings.directory.clone().into());
        fields.insert("certificates".to_owned(), certificates.into());
        fields.insert("good".to_owned(), all_good(hosts, further).into());
    }
    format!("{value}\n")
}

/// How things stand with one certificate.
#[derive(Debug)]
struct Status<'a> {
    /// What is wanted.
    settings: &'a Settings,
    /// What was done.
    state: State,
    /// What is in use.
    in_use: Option<InUse>,
    /// The time.
    now: Seconds,
}

impl<'a> Status<'a> {
    fn read(layout: &Layout, settings: &'a Settings, name: &str) -> Self {
        let state = State::read(&layout.state()).at(&settings.directory);
        Self { settings, state, in_use: in_use(layout, settings, name), now: SystemClock.now() }
    }

    /// Whether the one in use is; `None` where there is none.
    fn is_valid(&self) -> Option<bool> {
        let in_use = self.in_use.as_ref()?;
        let facts = &in_use.facts;
        Some(in_use.fits && facts.not_before <= self.now && self.now < facts.not_after)
    }

    fn is_good(&self) -> bool {
        self.is_valid() == Some(true) && self.state.failing_for_days(self.now).is_none()
    }

    /// Who has signed the certificate in use.
    fn kind(&self) -> &'static str {
        match &self.in_use {
            None => "none",
            Some(it) if it.facts.ours => "self-signed",
            Some(it) => match &self.state.installed {
                Some(installed) if installed.digest == it.digest => "acme",
                _ => "foreign",
            },
        }
    }

    fn renewal(&self) -> Option<Seconds> {
        let in_use = self.in_use.as_ref().filter(|_| self.kind() == "acme")?;
        Some(schedule::renewal(&self.state, in_use, spread(&in_use.digest)))
    }

    /// Lines for people; with the record for DANE of `host`.
    fn text(&self, host: Option<&str>) -> String {
        let mut lines = Vec::new();
        let mut line = |what: &str, text: String| lines.push(format!("{what:<12} {text}\n"));
        if let Some(in_use) = &self.in_use {
            let facts = &in_use.facts;
            line(
                "certificate",
                match self.kind() {
                    "foreign" => format!("by {}, not ours: it is left alone", facts.issuer),
                    "self-signed" => "self-signed, until there is a better one".to_owned(),
                    _ => format!("by {}", facts.issuer),
                },
            );
            line("names", facts.names.join(" "));
            line("valid", format!("until {}", display(facts.not_after)));
            if let Some(host) = host {
                line("tlsa", tlsa::zone_line(host, facts).trim().to_owned());
            }
        } else {
            line("certificate", "none".to_owned());
        }
        if let Some(renewal) = self.renewal() {
            line("renewal", display(renewal));
        }
        for (name, left_out) in &self.state.left_out {
            line("left out", format!("{name}: {}", left_out.reason));
        }
        if let Some(failing) = &self.state.failing {
            line("failing", format!("since {}: {}", display(failing.since), failing.reason));
            line("next try", display(failing.next));
        }
        lines.concat()
    }

    fn json(&self) -> Value {
        let left_out: serde_json::Map<String, Value> = self
            .state
            .left_out
            .iter()
            .map(|(name, left_out)| (name.clone(), left_out.reason.clone().into()))
            .collect();
        let in_use = self.in_use.as_ref();
        json!({
            "kind": self.kind(),
            "names": in_use.map(|it| &it.facts.names),
            "issuer": in_use.map(|it| &it.facts.issuer),
            "not_before": in_use.map(|it| it.facts.not_before),
            "not_after": in_use.map(|it| it.facts.not_after),
            "sha256": in_use.map(|it| &it.digest),
            "tlsa": in_use.map(|it| tlsa::data(&it.facts)),
            "renewal": self.renewal(),
            "left_out": left_out,
            "failing": self.state.failing,
            "good": self.is_good(),
        })
    }
}
