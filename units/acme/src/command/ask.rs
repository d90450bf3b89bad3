//! `renew` and `revoke`: root asks, the unit does it in its sandbox, the answer is printed.

use std::process::{Command, ExitCode, Stdio};

use super::{CommandError, become_owner, code, status};
use crate::clock::SystemClock;
use crate::layout::Layout;
use crate::renewal;
use crate::request::Request;
use crate::run;
use crate::settings::Settings;
use crate::state::State;

/// Runs the command. Exit status 1 when there is no new certificate.
pub(super) fn run(
    layout: &Layout,
    settings: &Settings,
    request: Request,
) -> Result<ExitCode, CommandError> {
    if !layout.systemd().is_dir() {
        // No units: a test, or a machine that is being repaired.
        become_owner(layout)?;
        request.leave(&layout.request())?;
        return Ok(code(&run::run(layout, settings, &SystemClock)?));
    }
    request.leave(&layout.request())?;
    let host = settings.host.as_str();
    let before = renewal::in_use(layout, settings, host).map(|it| it.digest);
    start()?;
    status::run(layout, settings, false)?;
    let further = settings.certificates.iter().map(|it| layout.of(it).state());
    let mut states = std::iter::once(layout.state()).chain(further);
    let fails = states.any(|state| State::read(&state).failing.is_some());
    let after = renewal::in_use(layout, settings, host).map(|it| it.digest);
    let done = !fails && before != after;
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts the unit and waits until it has ended; one that runs already sees the request too.
pub(super) fn start() -> Result<(), CommandError> {
    let output = Command::new("systemctl")
        .args(["start", "mailkiln-acme.service"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| CommandError::Unit(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Unit(said.lines().next().unwrap_or("it failed").to_owned()))
}
