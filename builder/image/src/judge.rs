//! Real tools as judges of what is written here, for tests.

use std::ffi::OsStr;
use std::process::Command;

/// Runs `tool` and returns what it printed; it must succeed. `None` when it is not installed,
/// which fails the test on CI.
pub(crate) fn judge(tool: &str, arguments: &[&OsStr]) -> Option<String> {
    // Debian keeps some of them where users' PATH does not look.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    match Command::new(tool).args(arguments).env("PATH", path).env("LC_ALL", "C").output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{tool}: {error}; install it");
            None
        }
    }
}
