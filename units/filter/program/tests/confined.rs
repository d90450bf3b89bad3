//! A worker that tries what it never does: files, connections and programs are refused.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use mailkiln_filter::confine::confine;

/// What the kernel answers to each attempt.
fn attempts(port: u16) -> Vec<(&'static str, io::Result<()>)> {
    vec![
        ("open", File::open("/proc/self/status").map(drop)),
        ("create", File::create(std::env::temp_dir().join("mailkiln-confined")).map(drop)),
        ("connect", TcpStream::connect(("127.0.0.1", port)).map(drop)),
        ("bind", TcpListener::bind("127.0.0.1:0").map(drop)),
        ("datagram", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("unix", UnixStream::pair().map(drop)),
        ("execve", Command::new("/bin/true").status().map(drop)),
        ("thread", std::thread::Builder::new().spawn(|| ()).map(drop)),
    ]
}

#[test]
fn a_confined_thread_reaches_nothing() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    // All of it works before, so that a refusal is the confinement's.
    for (what, result) in attempts(port) {
        result.map_err(|error| format!("{what} fails without confinement: {error}"))?;
    }
    // Confinement is of a thread and those that it starts: the test's others go on.
    let confined = std::thread::spawn(move || confine().map(|()| attempts(port)));
    let results = confined.join().map_err(|_| "the confined thread panicked")?;
    for (what, result) in results.map_err(|error| error.to_string())? {
        let refused = result.as_ref().is_err_and(|it| it.kind() == io::ErrorKind::PermissionDenied);
        assert!(refused, "{what}: {result:?}");
    }
    Ok(())
}
