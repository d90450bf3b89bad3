//! What a build script can't do to the host, whoever calls mailkiln: with the host's own `/usr` as the
//! toolchain, so that these run without a download. Root runs them twice, also as an ordinary user.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop where it stands")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

use mailkiln_compile::Reentry;
use mailkiln_compile::sandbox::Sandbox;

const NOBODY: u32 = 65_534;

/// Each line is tried, and prints its name when it succeeds. None may. The last two would do no harm:
/// `h` prints help to the kernel's log.
const ATTEMPTS: &str = r#"
try() { name=$1; shift; if sh -c "$*" >/dev/null 2>&1; then echo "$name"; fi; }
try core-pattern 'echo x >/proc/sys/kernel/core_pattern'
try drop-caches 'echo 1 >/proc/sys/vm/drop_caches'
try hostname 'echo x >/proc/sys/kernel/hostname'
try more-namespaces 'echo 9 >/proc/sys/user/max_user_namespaces'
try user-namespace 'unshare --user true'
try mount-namespace 'unshare --user --mount true'
try network-namespace 'unshare --net true'
try mount 'mount -t tmpfs none /tmp'
try remount 'mount -o remount,rw /proc/sys'
try unmount 'umount /proc/sys'
try chroot 'chroot / true'
try read-host 'ls /root /home /var'
try write-usr 'touch /usr/x'
try write-source 'touch /src/x'
try core-dump 'ulimit -c unlimited'
try sysrq 'echo h >/proc/sysrq-trigger'
"#;

/// Names the program that enters the sandbox where it is not cargo's.
const ENTER: &str = "MAILKILN_SANDBOX_ENTER";

/// Runs `script` in a sandbox below `folder`.
fn run(folder: &Path, script: &str) -> Output {
    for name in ["src", "build", "build/home", "root"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("src/readable"), "yes").unwrap();
    let sandbox = Sandbox {
        folder: String::new(),
        toolchain: "/".into(),
        source: folder.join("src"),
        build: folder.join("build"),
        root: folder.join("root"),
        command: ["/usr/bin/sh", "-c", script].map(String::from).to_vec(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/usr/sbin".to_owned())]),
    };
    let enter = std::env::var_os(ENTER).unwrap_or(env!("CARGO_BIN_EXE_sandbox-enter").into());
    let reentry = Reentry::program(enter);
    sandbox.command(&reentry).unwrap().output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_build_script_can_change_nothing_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{ATTEMPTS}\necho end");
    let output = run(folder.path(), &script);
    assert_eq!(said(&output), "end\n");
}

#[test]
fn it_can_still_work() {
    let folder = tempfile::tempdir().unwrap();
    let script = "id -u; cat /src/readable; echo; uname -n; ulimit -c; echo x >/build/made; \
                  (sleep 0.1 & wait); ls /proc/self/fd >/dev/null && cat /proc/sys/kernel/hostname";
    let output = run(folder.path(), script);
    assert_eq!(said(&output), "1000\nyes\nmailkiln\n0\nmailkiln\n");
    let own = fs::metadata("/proc/self").unwrap().uid();
    let made = fs::metadata(folder.path().join("build/made")).unwrap().uid();
    assert_eq!(made, if own == 0 { NOBODY } else { own }, "who the command was outside");
}

/// Sources of a caller with a strict umask, and a build folder that an earlier attempt has left.
#[test]
fn it_reads_private_sources_and_goes_on_in_an_old_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &str, mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(folder.path().join(path), permissions).unwrap();
    };
    fs::create_dir_all(folder.path().join("src/below")).unwrap();
    fs::write(folder.path().join("src/below/private"), "text").unwrap();
    mode("src/below/private", 0o600);
    mode("src/below", 0o700);
    for expected in ["text\n", "text\ntext\n"] {
        let script = "cat /src/below/private >>/build/log; echo >>/build/log; cat /build/log";
        assert_eq!(said(&run(folder.path(), script)), expected);
    }
}

/// The same as an ordinary user.
#[test]
fn also_for_an_ordinary_user() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("this is an ordinary user: the other tests have shown it");
        return;
    }
    // Where everybody may run them from: what cargo has made may lie in a home that is private.
    let folder = tempfile::Builder::new().prefix("walls").tempdir_in("/tmp").unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(folder.path(), permissions).unwrap();
    let (tests, enter) = (folder.path().join("tests"), folder.path().join("sandbox-enter"));
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_sandbox-enter"), &enter).unwrap();
    let status = Command::new("setpriv")
        .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"])
        .arg(tests)
        .args(["--test-threads=1", "--skip", "also_for_an_ordinary_user"])
        .env("TMPDIR", folder.path())
        .env(ENTER, enter)
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success());
}
