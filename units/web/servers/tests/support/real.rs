//! The mail server of the appliance, started on loopback by the tests' own script.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mailkiln_servers::{Credentials, Endpoint, Security, Trust};
use serde_json::Value;

/// A running mail server. It ends when this is dropped.
pub struct MailServer {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    about: Value,
}

impl MailServer {
    /// The server that `MAILKILN_MAIL_SERVER` names.
    pub fn start() -> Self {
        let program = std::env::var_os("MAILKILN_MAIL_SERVER")
            .expect("MAILKILN_MAIL_SERVER names the mail server's program");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mail_server.py");
        let mut process = Command::new("python3")
            .arg(script)
            .env("MAIL_SERVER", program)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let input = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let about = serde_json::from_str(&line).expect("the mail server started");
        MailServer { process, input, output, about }
    }

    pub fn directory(&self) -> PathBuf {
        self.about["directory"].as_str().unwrap().into()
    }

    pub fn ip(&self) -> String {
        self.about["ip"].as_str().unwrap().to_owned()
    }

    pub fn port(&self, name: &str) -> u16 {
        self.about["ports"][name].as_u64().unwrap().try_into().unwrap()
    }

    pub fn endpoint(&self, listener: &str, security: Security) -> Endpoint {
        Endpoint {
            host: self.ip(),
            port: self.port(listener),
            name: self.about["name"].as_str().unwrap().to_owned(),
            security,
            trust: Trust::Pinned(self.directory().join("fullchain.pem")),
            proxy: false,
        }
    }

    /// Hands in messages as another server would.
    pub fn deliver(&mut self, to: &str, count: u32, subject: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "deliver stranger@elsewhere.test {to} {count} {subject}").unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "done");
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // The script ends with its input, and takes the server with it.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// The accounts' password.
pub fn credentials(user: &str) -> Credentials {
    Credentials::Password { user: user.into(), password: "pass word".into() }
}
