//! The two starts of the program that lead into the sandbox.
//!
//! *outside* leaves the host's namespaces and starts *inside*, which is process 1 of the new PID
//! namespace: it builds the root, gives up its privileges, runs the command and takes in orphans.
//! When process 1 ends, the kernel kills whatever the command left running; each of the two dies
//! with its parent, so an interrupted mailkiln leaves nothing behind.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{getppid, sethostname};

use super::apart;
use super::diagnosis::Host;
use super::namespaces::{self, Refusal, Step};
use super::{Entry, SETUP_FAILED, SUBCOMMAND, Sandbox};

/// The host name inside.
const HOST_NAME: &str = "mailkiln";

/// Enters the sandbox: the whole work of the hidden subcommand. `arguments` are those after
/// [`SUBCOMMAND`]. Returns the command's exit status as the program's own.
///
/// Must be called while the process has one thread.
pub fn enter(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let (stage, entry) = (arguments.next(), arguments.next());
    if let (Some(apart::STAGE), Some(pid)) = (stage.as_deref(), &entry) {
        return ended(die_with_parent().and_then(|()| apart::map(pid)));
    }
    let parsed = entry.as_deref().map(serde_json::from_str::<Entry>);
    let result = match (stage.as_deref(), parsed, entry.as_deref()) {
        (Some("outside"), Some(Ok(entry)), Some(text)) => outside(&entry, text),
        (Some("inside"), Some(Ok(entry)), _) => inside(&entry.sandbox, false),
        (Some("inside-apart"), Some(Ok(entry)), _) => inside(&entry.sandbox, true),
        _ => {
            report("this subcommand is for mailkiln's own use");
            return ExitCode::from(SETUP_FAILED);
        }
    };
    ended(result)
}

fn ended(result: Result<u8, Refusal>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(refusal) => {
            report(&Host::look().explain(&refusal.step, &refusal.error));
            ExitCode::from(SETUP_FAILED)
        }
    }
}

fn outside(entry: &Entry, text: &str) -> Result<u8, Refusal> {
    die_with_parent()?;
    if u32::try_from(getppid().as_raw()) != Ok(entry.parent) {
        return Ok(SETUP_FAILED);
    }
    // Asked before: inside, everybody is user 0.
    let stage = if apart::is_needed() { "inside-apart" } else { "inside" };
    namespaces::leave_host()?;
    // New credentials clear the request.
    die_with_parent()?;
    // The pipe is never written to: that it is open tells process 1 that we live.
    let mut child = Command::new("/proc/self/exe")
        .args([SUBCOMMAND, stage, text])
        .stdin(Stdio::piped())
        .spawn()
        .step(|| String::from("start process 1"))?;
    let _lifeline = child.stdin.take();
    child.wait().map(code).step(|| String::from("wait for process 1"))
}

/// `apart` says that root called, and that the command is to be nobody outside.
fn inside(sandbox: &Sandbox, apart: bool) -> Result<u8, Refusal> {
    die_with_parent()?;
    if parent_is_gone()? {
        return Ok(SETUP_FAILED);
    }
    umask(Mode::from_bits_truncate(0o022));
    sethostname(HOST_NAME).step(|| String::from("set the host name"))?;
    namespaces::enter_root(sandbox, apart)?;
    namespaces::drop_privileges(apart)?;
    die_with_parent()?;
    let (program, arguments) = sandbox
        .command
        .split_first()
        .ok_or_else(|| io::Error::other("it is empty"))
        .step(|| String::from("read the command"))?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&sandbox.environment)
        .current_dir(Path::new(super::SOURCE).join(&sandbox.folder))
        .stdin(Stdio::null())
        .spawn()
        .step(|| format!("start {program}"))?;
    wait_for(child.id())
}

/// Takes in ended processes until the command itself has ended.
fn wait_for(command: u32) -> Result<u8, Refusal> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, status)) if pid.as_raw().unsigned_abs() == command => {
                return Ok(u8::try_from(status).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw().unsigned_abs() == command => {
                report(&format!("the command was ended by {signal}"));
                return Ok(128_u8.saturating_add(u8::try_from(signal as i32).unwrap_or(127)));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).step(|| String::from("wait for the command")),
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn die_with_parent() -> Result<(), Refusal> {
    set_pdeathsig(Signal::SIGKILL).step(|| String::from("tie the sandbox to its parent"))
}

/// Whether the parent ended before its death could be signalled to us.
fn parent_is_gone() -> Result<bool, Refusal> {
    let stdin = io::stdin();
    let mut lifeline = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    poll(&mut lifeline, PollTimeout::ZERO).step(|| String::from("look for the parent"))?;
    Ok(lifeline[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)))
}

/// Writes one line to stderr, which is the caller's log.
fn report(message: &str) {
    // When stderr is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "sandbox: {message}");
}
