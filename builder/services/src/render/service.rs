//! A [`Service`] as a systemd unit: systemd.unit(5), systemd.service(5), systemd.exec(5).

use std::time::Duration;

use super::unit::{Directive, UnitText, argument, literal, seconds, word};
use super::{RenderError, sandbox};
use crate::{Confinement, Credential, Kind, Limits, Restart, Service, Trigger};

/// Attempts over which the pause between restarts grows to its longest.
const RESTART_STEPS: u8 = 8;

/// Where the unit is.
pub(super) fn path(service: &Service) -> String {
    format!("/etc/systemd/system/{}", service.unit())
}

/// Units that start the service, beside its own: name and text. systemd.timer(5), systemd.path(5).
pub(super) fn triggers(service: &Service) -> Result<Vec<(String, String)>, RenderError> {
    let triggers = service.triggers.iter();
    triggers.map(|it| trigger(service, it).map(|(name, text)| (name, text.finish()))).collect()
}

fn trigger(service: &Service, trigger: &Trigger) -> Result<(String, UnitText), RenderError> {
    let (kind, target) = match trigger {
        Trigger::Every { .. } => ("timer", "timers.target"),
        Trigger::Changed(_) | Trigger::Present(_) => ("path", "paths.target"),
    };
    let name = format!("{}.{kind}", service.name);
    let mut text = UnitText::new(name.clone());
    text.section("Unit");
    text.set("Description", literal(service.description))?;
    match trigger {
        Trigger::Every { first, pause, spread } => {
            text.section("Timer");
            text.set("OnBootSec", seconds(*first))?;
            text.set("OnUnitActiveSec", seconds(*pause))?;
            text.set("RandomizedDelaySec", seconds(*spread))?;
            text.set("AccuracySec", "1s")?;
        }
        Trigger::Changed(path) => {
            text.section("Path");
            text.set("PathChanged", literal(path))?;
        }
        Trigger::Present(pattern) => {
            text.section("Path");
            text.set("PathExistsGlob", literal(pattern))?;
        }
    }
    text.section("Install");
    text.set("WantedBy", target)?;
    Ok((name, text))
}

/// The link that enables a unit of [`triggers`].
pub(super) fn trigger_link(unit: &str) -> (String, String) {
    let target = if unit.ends_with(".timer") { "timers.target" } else { "paths.target" };
    (format!("/etc/systemd/system/{target}.wants/{unit}"), format!("../{unit}"))
}

/// The links that enable the unit, `(path, target)`: what `systemctl enable` would make of its
/// `[Install]` section.
pub(super) fn links(service: &Service) -> Vec<(String, String)> {
    let unit = service.unit();
    let link = |target: &str, kind: &str| {
        (format!("/etc/systemd/system/{target}.{kind}/{unit}"), format!("../{unit}"))
    };
    let ordering = &service.ordering;
    let wanted = ordering.wanted_by.iter().map(|target| link(target, "wants"));
    wanted.chain(ordering.required_by.iter().map(|target| link(target, "requires"))).collect()
}

impl Service {
    /// The settings of its unit, in the unit's order: what a NixOS module writes in Nix.
    ///
    /// # Errors
    /// [`RenderError`] when a value can't be written down.
    pub fn directives(&self) -> Result<Vec<Directive>, RenderError> {
        Ok(text(self)?.directives())
    }

    /// The units that start it again and again, by their names, with their settings.
    ///
    /// # Errors
    /// [`RenderError`] when a value can't be written down.
    pub fn trigger_directives(&self) -> Result<Vec<(String, Vec<Directive>)>, RenderError> {
        let triggers = self.triggers.iter().map(|it| trigger(self, it));
        triggers.map(|it| it.map(|(name, text)| (name, text.directives()))).collect()
    }
}

/// The unit's text.
pub(super) fn unit(service: &Service) -> Result<String, RenderError> {
    Ok(text(service)?.finish())
}

fn text(service: &Service) -> Result<UnitText, RenderError> {
    let mut text = UnitText::new(service.unit());
    unit_section(&mut text, service)?;
    text.section("Service");
    process(&mut text, service)?;
    directories(&mut text, service)?;
    for credential in &service.credentials {
        self::credential(&mut text, credential)?;
    }
    restart(&mut text, service)?;
    limits(&mut text, &service.limits)?;
    match &service.confinement {
        Confinement::Sandboxed(sandbox) => sandbox::lines(&mut text, sandbox, service.user)?,
        Confinement::Unconfined { reason } => text.comment(&format!("No sandbox: {reason}.")),
    }
    let ordering = &service.ordering;
    if !ordering.wanted_by.is_empty() || !ordering.required_by.is_empty() {
        text.section("Install");
        text.list("WantedBy", &ordering.wanted_by)?;
        text.list("RequiredBy", &ordering.required_by)?;
    }
    Ok(text)
}

fn unit_section(text: &mut UnitText, service: &Service) -> Result<(), RenderError> {
    let ordering = &service.ordering;
    text.section("Unit");
    text.set("Description", literal(service.description))?;
    if ordering.early {
        text.flag("DefaultDependencies", false)?;
        text.set("Conflicts", "shutdown.target")?;
    }
    text.list("Requires", &ordering.requires)?;
    text.list("Wants", &ordering.wants)?;
    text.list("After", &ordering.after)?;
    text.list("Before", &ordering.before)?;
    if let Some(path) = service.condition {
        text.set("ConditionPathExists", literal(path))?;
    }
    if matches!(service.restart, Restart::OnFailure { .. }) {
        // Nobody is there to start it again after systemd has given up.
        text.set("StartLimitIntervalSec", 0)?;
    }
    Ok(())
}

fn process(text: &mut UnitText, service: &Service) -> Result<(), RenderError> {
    let kind = match service.kind {
        Kind::Oneshot | Kind::Task => "oneshot",
        Kind::Simple => "exec",
        Kind::Notify => "notify",
        Kind::NotifyReload => "notify-reload",
    };
    text.set("Type", kind)?;
    if service.kind == Kind::Oneshot {
        text.flag("RemainAfterExit", true)?;
    }
    let command: Vec<String> = std::iter::once(service.program)
        .chain(service.arguments.iter().map(String::as_str))
        .map(argument)
        .collect();
    text.set("ExecStart", command.join(" "))?;
    if let Some(user) = service.user {
        text.set("User", user.name)?;
        text.set("Group", user.name)?;
    }
    text.list("SupplementaryGroups", &service.groups)?;
    for (name, value) in &service.environment {
        text.set("Environment", word(&format!("{name}={value}")))?;
    }
    text.set("UMask", format_args!("{:04o}", service.umask))
}

fn directories(text: &mut UnitText, service: &Service) -> Result<(), RenderError> {
    let names: Vec<&str> = service.state.iter().map(|state| state.name).collect();
    text.list("StateDirectory", &names)?;
    if let Some(strictest) = service.state.iter().map(|state| state.mode).reduce(|a, b| a & b) {
        text.set("StateDirectoryMode", format_args!("{strictest:04o}"))?;
    }
    if let Some(name) = service.runtime_directory {
        text.set("RuntimeDirectory", name)?;
    }
    Ok(())
}

fn credential(text: &mut UnitText, credential: &Credential) -> Result<(), RenderError> {
    let Credential { name, source, fallback } = credential;
    if let Some(fallback) = fallback {
        text.set("SetCredential", format_args!("{}:{}", literal(name), literal(fallback)))?;
    }
    text.set("LoadCredential", format_args!("{}:{}", literal(name), literal(source)))
}

fn restart(text: &mut UnitText, service: &Service) -> Result<(), RenderError> {
    let Restart::OnFailure { first, longest } = service.restart else {
        return Ok(());
    };
    text.set("Restart", "on-failure")?;
    if service.kind == Kind::Oneshot {
        // What waits for it goes on waiting for the next attempt instead of failing with it.
        text.set("RestartMode", "direct")?;
    }
    text.set("RestartSec", seconds(first))?;
    text.set("RestartSteps", RESTART_STEPS)?;
    text.set("RestartMaxDelaySec", seconds(longest))
}

fn limits(text: &mut UnitText, limits: &Limits) -> Result<(), RenderError> {
    let percent = |share: crate::Share| format!("{}%", share.0);
    let settings = [
        ("MemoryHigh", limits.memory_high.map(percent)),
        ("MemoryMax", limits.memory_max.map(percent)),
        ("TasksMax", limits.tasks.map(|tasks| tasks.to_string())),
        ("LimitNOFILE", limits.files.map(|files| files.to_string())),
        ("TimeoutStartSec", limits.start.map(span)),
        ("TimeoutStopSec", limits.stop.map(span)),
    ];
    for (key, value) in settings {
        if let Some(value) = value {
            text.set(key, value)?;
        }
    }
    if limits.outlives_its_parts {
        text.set("OOMPolicy", "continue")?;
    }
    if limits.background {
        text.set("CPUSchedulingPolicy", "idle")?;
        text.set("IOSchedulingClass", "idle")?;
    }
    Ok(())
}

fn span(span: Duration) -> String {
    seconds(span)
}
