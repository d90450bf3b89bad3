//! `status`: how things stand, for people or as JSON.

use std::process::ExitCode;

use serde_json::json;

use super::{CommandError, print};
use crate::clock::{Clock as _, Seconds, SystemClock, display};
use crate::layout::Layout;
use crate::run::{in_use, spread};
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
    let state = State::read(&layout.state()).at(&settings.directory);
    let in_use = in_use(layout, settings.host.as_str());
    let now = SystemClock.now();
    let status = Status { settings, state: &state, in_use: in_use.as_ref(), now };
    print(&if json { status.json() } else { status.text() })?;
    Ok(if status.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How things stand.
#[derive(Debug)]
pub struct Status<'a> {
    /// What is wanted.
    pub settings: &'a Settings,
    /// What was done.
    pub state: &'a State,
    /// What is in use.
    pub in_use: Option<&'a InUse>,
    /// The time.
    pub now: Seconds,
}

impl Status<'_> {
    fn is_good(&self) -> bool {
        let valid = self.in_use.is_some_and(|it| {
            it.fits && it.facts.not_before <= self.now && self.now < it.facts.not_after
        });
        valid && self.state.failing_for_days(self.now).is_none()
    }

    /// Who has signed the certificate in use.
    fn kind(&self) -> &'static str {
        match self.in_use {
            None => "none",
            Some(it) if it.facts.ours => "self-signed",
            Some(it) => match &self.state.installed {
                Some(installed) if installed.digest == it.digest => "acme",
                _ => "foreign",
            },
        }
    }

    fn renewal(&self) -> Option<Seconds> {
        let in_use = self.in_use.filter(|_| self.kind() == "acme")?;
        Some(schedule::renewal(self.state, in_use, spread(&in_use.digest)))
    }

    /// Lines for people.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut line = |what: &str, text: String| lines.push(format!("{what:<12} {text}\n"));
        line("authority", self.settings.directory.clone());
        if let Some(in_use) = self.in_use {
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
            line("tlsa", tlsa::zone_line(self.settings.host.as_str(), facts).trim().to_owned());
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

    fn json(&self) -> String {
        let left_out: serde_json::Map<String, serde_json::Value> = self
            .state
            .left_out
            .iter()
            .map(|(name, left_out)| (name.clone(), left_out.reason.clone().into()))
            .collect();
        let value = json!({
            "authority": self.settings.directory,
            "kind": self.kind(),
            "names": self.in_use.map(|it| &it.facts.names),
            "issuer": self.in_use.map(|it| &it.facts.issuer),
            "not_before": self.in_use.map(|it| it.facts.not_before),
            "not_after": self.in_use.map(|it| it.facts.not_after),
            "sha256": self.in_use.map(|it| &it.digest),
            "tlsa": self.in_use.map(|it| tlsa::data(&it.facts)),
            "renewal": self.renewal(),
            "left_out": left_out,
            "failing": self.state.failing,
            "good": self.is_good(),
        });
        format!("{value}\n")
    }
}
