//! Why the sandbox could not be made, in words that end in a cure.
//!
//! In: the step that failed, its error, and what the host's knobs stand at. Out: one line.

use std::fs;
use std::io;

use nix::errno::Errno;

/// The fallback that needs no namespaces.
const FALLBACK: &str = "or compile with the host's own tools: --toolchain host";

/// What the host says about user namespaces; `None` where it has no such knob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// `kernel.unprivileged_userns_clone` (Debian, Arch).
    clone: Option<u64>,
    /// `user.max_user_namespaces`.
    most: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu).
    apparmor: Option<u64>,
}

impl Host {
    /// Reads the knobs of this host.
    pub(super) fn look() -> Self {
        let knob = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            clone: knob("/proc/sys/kernel/unprivileged_userns_clone"),
            most: knob("/proc/sys/user/max_user_namespaces"),
            apparmor: knob("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// Says why `step` failed and what to do.
    pub(super) fn explain(self, step: &str, error: &io::Error) -> String {
        let failed = format!("can't {step}: {error}");
        let cure = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EACCES) if step.starts_with("start ") => String::from(
                "the cache's file system is mounted noexec: set MAILKILN_CACHE to another one",
            ),
            Some(Errno::ENOENT) if step.starts_with("start ") => String::from(
                "the locked toolchain lacks it: look at the toolchain set of mailkiln.lock",
            ),
            Some(Errno::EPERM | Errno::EACCES) => self.permission(),
            Some(Errno::ENOSPC) if step.contains("namespace") => self.permission(),
            Some(Errno::EINVAL | Errno::ENOSYS) => {
                String::from("this kernel lacks a namespace that the sandbox needs")
            }
            _ => return failed,
        };
        format!("{failed}; {cure}, {FALLBACK}")
    }

    fn permission(self) -> String {
        let knob = |setting: &str| {
            format!("unprivileged user namespaces are off: run `sudo sysctl -w {setting}`")
        };
        if self.clone == Some(0) {
            knob("kernel.unprivileged_userns_clone=1")
        } else if self.most == Some(0) {
            knob("user.max_user_namespaces=10000")
        } else if self.apparmor == Some(1) {
            knob("kernel.apparmor_restrict_unprivileged_userns=0")
        } else {
            String::from(
                "user namespaces are forbidden here, most likely by a container's seccomp filter \
                 or masked /proc. A container that allows them (`--security-opt seccomp=unconfined \
                 --security-opt systempaths=unconfined`) does not confine what runs in it: \
                 start it as an ordinary user (`--user 1000`), never privileged",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_knob_and_the_fallback() {
        let free = Host { clone: Some(1), most: Some(9), apparmor: Some(0) };
        let cases = [
            (Host { clone: Some(0), ..free }, 1, "kernel.unprivileged_userns_clone=1"),
            (Host { most: Some(0), ..free }, 28, "user.max_user_namespaces=10000"),
            (Host { apparmor: Some(1), ..free }, 13, "apparmor_restrict_unprivileged_userns=0"),
            (free, 1, "seccomp=unconfined"),
            (Host::default(), 22, "this kernel lacks"),
        ];
        for (host, errno, expected) in cases {
            let error = io::Error::from_raw_os_error(errno);
            let message = host.explain("make namespaces", &error);
            assert!(message.contains(expected), "{message}");
            assert!(message.contains("--toolchain host"), "{message}");
        }
        let explain = |step, errno| free.explain(step, &io::Error::from_raw_os_error(errno));
        assert!(explain("start /usr/bin/cargo", 13).contains("noexec"));
        assert!(explain("start /usr/bin/cargo", 2).contains("mailkiln.lock"));
        assert!(!explain("write uid_map", 5).contains("--toolchain"));
    }
}
