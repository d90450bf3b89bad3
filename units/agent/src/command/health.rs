//! `health`: exit status 0 when mail can be sent and read, else 1 and the reasons.
//!
//! In: the running appliance. Out: one line per check, or one JSON object.

use std::process::ExitCode;

use super::{CommandError, print};
use crate::appliance::Appliance;
use crate::health::{self, Health};
use crate::layout::Layout;

/// Runs the command.
///
/// # Errors
/// [`CommandError`] when there is no appliance to examine.
pub(super) fn run(layout: &Layout, json: bool) -> Result<ExitCode, CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let health = health::examine(layout, &appliance);
    print(&if json { as_json(&health) } else { as_text(&health) })?;
    Ok(if health.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(health: &Health) -> String {
    let value = serde_json::to_value(health).unwrap_or_default();
    format!("{value}\n")
}

fn as_text(health: &Health) -> String {
    let line = |check: &health::Check| {
        let verdict = match (check.ok, check.warning) {
            (true, _) => "ok",
            (false, true) => "WARN",
            (false, false) => "BAD",
        };
        format!("{:<12} {verdict:<4} {}\n", check.name, check.detail)
    };
    let lines: String = health.checks.iter().map(line).collect();
    lines + if health.healthy { "healthy\n" } else { "not healthy\n" }
}
