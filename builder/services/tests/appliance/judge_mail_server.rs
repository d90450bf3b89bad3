//! The mail server's verdict on its configuration: it starts, listens everywhere it should, and
//! complains about nothing. `MAILKILN_MAIL_SERVER` names the program; without it this is skipped.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fixture::{ALL, built, file, judge};

/// A loopback address of our own, so that ports of other tests do not matter, and ports above
/// the privileged ones.
const ADDRESS: &str = "127.83.11.7";
const HIGHER: u16 = 20_000;
const SECRETS: &str = "/run/credentials/mail-server.service";

/// The configuration with its paths and ports moved.
fn moved(text: &str, folder: &Path) -> String {
    let folder = folder.to_str().unwrap();
    let mut out = String::new();
    for line in text.lines() {
        let line = line
            .replace(SECRETS, folder)
            .replace("/var/lib/mailkiln-acme/live/mail.example.org", folder)
            // Until a domain has a certificate, the host's is in its place.
            .replace("/var/lib/mailkiln-acme/live/example.org.au", folder)
            .replace("/var/lib/mail-server", folder);
        match line.strip_prefix("bind = \"") {
            Some(rest) => {
                let port: u16 =
                    rest.trim_end_matches('"').rsplit(':').next().unwrap().parse().unwrap();
                out.push_str(&format!("bind = \"{ADDRESS}:{}\"\n", port + HIGHER));
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    // The fixture's rule has no condition; it only shows that rules are appended.
    out.replace("[spam-filter.rule.test]\nscope = \"any\"\n", "")
}

fn openssl(arguments: &[&str]) -> bool {
    judge("openssl", arguments).is_some_and(|(fine, _)| fine)
}

/// Secrets as the agent would have made them.
fn secrets(names: &[String], folder: &Path) -> bool {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    names.iter().all(|name| match name.as_str() {
        rsa if rsa.starts_with("dkim-rsa-") => {
            openssl(&["genpkey", "-quiet", "-algorithm", "rsa", "-out", &at(name)])
                || openssl(&["genpkey", "-algorithm", "rsa", "-out", &at(name)])
        }
        ed25519 if ed25519.starts_with("dkim-ed25519-") => {
            openssl(&["genpkey", "-algorithm", "ed25519", "-out", &at(name)])
        }
        _ => fs::write(at(name), "x".repeat(64)).is_ok(),
    }) && openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=mail.example.org",
        "-keyout",
        &at("key.pem"),
        "-out",
        &at("fullchain.pem"),
    ])
}

#[test]
fn the_server_takes_its_configuration() {
    let Some(program) = std::env::var_os("MAILKILN_MAIL_SERVER") else {
        eprintln!("MAILKILN_MAIL_SERVER is not set: the mail server judges nothing here");
        return;
    };
    for (name, mail_toml) in ALL {
        let appliance = built(mail_toml);
        let service = appliance.services.iter().find(|each| each.name == "mail-server").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> =
            service.credentials.iter().map(|credential| credential.name.clone()).collect();
        if !secrets(&names, folder.path()) {
            eprintln!("openssl made no keys: the mail server judges nothing here");
            return;
        }
        let configuration = folder.path().join("mail-server.toml");
        let text = file(&appliance, "/etc/mailkiln/mail-server.toml");
        fs::write(&configuration, moved(&text, folder.path())).unwrap();
        let ready = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        ready.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let log = folder.path().join("log");
        let mut server = Command::new(&program)
            .arg("--config")
            .arg(&configuration)
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut message = [0; 256];
        let said_ready = ready.recv(&mut message);
        let greets = service.ports.iter().all(|port| {
            let number = port.number + HIGHER;
            // Those of the web unit end a connection that does not begin with a PROXY header.
            let proxied = port.name.starts_with("web-");
            if proxied { TcpStream::connect((ADDRESS, number)).is_ok() } else { answers(number) }
        });
        server.kill().unwrap();
        server.wait().unwrap();
        let log = fs::read_to_string(log).unwrap();
        assert!(said_ready.is_ok(), "{name}: never ready\n{log}");
        assert!(greets, "{name}: a port is closed\n{log}");
        let complaints: Vec<&str> = log.lines().filter(|line| line.contains("(config.")).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

/// Whether something takes a connection and does not close it at once.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((ADDRESS, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    if stream.write_all(b"\r\n").is_err() {
        return false;
    }
    !matches!(stream.read(&mut [0; 1]), Ok(0))
}
