//! ManageSieve (RFC 5804): the scripts by which an account's mail is filed.

use std::net::SocketAddr;

use crate::answer::{Frame, Limits, Token, tokens};
use crate::endpoint::{Endpoint, Security, within};
use crate::wire::Wire;
use crate::{Credentials, Error, Result};

const COMMAND_SECONDS: u64 = 30;

/// A line of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `OK`: the command is done.
    Ok,
    /// `NO` and `BYE`: it is not.
    No {
        /// The code in parentheses, such as `QUOTA/MAXSIZE`; may be empty.
        code: String,
        /// Why, for people.
        text: String,
    },
    /// Anything else: strings and words.
    Data(Vec<Token>),
}

impl Reply {
    /// Reads a frame.
    ///
    /// # Errors
    /// Those of [`tokens`].
    pub fn read(frame: &Frame) -> Result<Reply> {
        let tree = tokens(frame, &Limits::default())?;
        let Some(first) = tree.first() else { return Ok(Reply::Data(tree)) };
        if first.is("OK") {
            return Ok(Reply::Ok);
        }
        if first.is("NO") || first.is("BYE") {
            let words = tree.iter().find_map(|token| match token {
                Token::List(list) => list.first(),
                _ => None,
            });
            let text = tree.iter().skip(1).find_map(|token| match token {
                Token::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            });
            let code = words.and_then(Token::text).unwrap_or_default().into_owned();
            return Ok(Reply::No { code, text: text.unwrap_or_default() });
        }
        Ok(Reply::Data(tree))
    }
}

/// A script of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Whether it is the one that runs.
    pub active: bool,
}

/// A signed-in connection.
#[derive(Debug)]
pub struct Scripts {
    wire: Wire,
    capabilities: Vec<(String, String)>,
    busy: bool,
}

impl Scripts {
    /// Connects and signs in.
    ///
    /// # Errors
    /// [`Error::SignIn`] if the server does not accept the credentials.
    pub async fn open(
        endpoint: &Endpoint,
        reader: Option<SocketAddr>,
        credentials: &Credentials,
    ) -> Result<Self> {
        let limits = Limits { literal: 4 << 20, frame: 5 << 20, command: 8 << 20, ..Limits::default() };
        let tcp = endpoint.tcp(reader).await?;
        let link = match endpoint.security {
            Security::Implicit => tcp,
            Security::StartTls => {
                let mut plain = Scripts::on(Wire::new(tcp, limits));
                plain.greeting().await?;
                plain.run(b"STARTTLS\r\n").await?;
                plain.wire.into_link()?
            }
        };
        let mut scripts = Scripts::on(Wire::new(endpoint.encrypt(link).await?, limits));
        // Inside TLS the server says anew what it can.
        scripts.greeting().await?;
        scripts.sign_in(credentials).await?;
        Ok(scripts)
    }

    fn on(wire: Wire) -> Self {
        Scripts { wire, capabilities: Vec::new(), busy: false }
    }

    async fn greeting(&mut self) -> Result<()> {
        self.busy = true;
        let data = self.finish().await?;
        self.capabilities = data
            .iter()
            .filter_map(|line| {
                let name = line.first()?.text()?.to_ascii_uppercase();
                Some((name, line.get(1).and_then(Token::text).unwrap_or_default().into_owned()))
            })
            .collect();
        Ok(())
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> Result<()> {
        let mechanism = credentials.mechanism();
        let offered = self.capability("SASL").unwrap_or_default();
        if !offered.split(' ').any(|own| own.eq_ignore_ascii_case(mechanism)) {
            return Err(Error::Lacks(mechanism));
        }
        let initial = credentials.initial()?;
        self.busy = true;
        self.wire.begin();
        let command = format!("AUTHENTICATE \"{mechanism}\" {{{}+}}\r\n{initial}\r\n", initial.len());
        self.wire.send(command.as_bytes()).await?;
        loop {
            match Reply::read(&self.wire.frame().await?)? {
                // What the server says of an error, which an empty answer takes note of.
                Reply::Data(_) => self.wire.send(b"\"\"\r\n").await?,
                Reply::No { text, .. } => return Err(Error::SignIn(text)),
                Reply::Ok => break,
            }
        }
        self.busy = false;
        Ok(())
    }

    /// What the server says of one of its abilities, such as `SIEVE`, the extensions it knows.
    pub fn capability(&self, name: &str) -> Option<&str> {
        let mut found = self.capabilities.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Whether another command can be sent.
    pub fn is_usable(&self) -> bool {
        !self.busy
    }

    async fn run(&mut self, command: &[u8]) -> Result<Vec<Vec<Token>>> {
        if self.busy {
            return Err(Error::Closed { step: "an earlier command" });
        }
        self.busy = true;
        self.wire.begin();
        within(COMMAND_SECONDS, "command", async {
            self.wire.send(command).await?;
            self.finish().await
        })
        .await
    }

    async fn finish(&mut self) -> Result<Vec<Vec<Token>>> {
        let mut data = Vec::new();
        loop {
            match Reply::read(&self.wire.frame().await?)? {
                Reply::Data(line) if data.len() < 1000 => data.push(line),
                Reply::Data(_) => return Err(Error::TooMuch { limit: 1000, what: "lines" }),
                Reply::Ok => {
                    self.busy = false;
                    return Ok(data);
                }
                Reply::No { code, text } => {
                    self.busy = false;
                    return Err(Error::Refused { code, text });
                }
            }
        }
    }

    /// All scripts.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn list(&mut self) -> Result<Vec<Script>> {
        let lines = self.run(b"LISTSCRIPTS\r\n").await?;
        let script = |line: &Vec<Token>| {
            let name = line.first()?.text()?.into_owned();
            Some(Script { name, active: line.get(1).is_some_and(|word| word.is("ACTIVE")) })
        };
        Ok(lines.iter().filter_map(script).collect())
    }

    /// The text of a script.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `NONEXISTENT` if there is none of that name.
    pub async fn get(&mut self, name: &str) -> Result<Vec<u8>> {
        let lines = self.run(&command("GETSCRIPT", &[name])?).await?;
        let text = lines.first().and_then(|line| line.first()).and_then(Token::bytes);
        text.map(<[u8]>::to_vec).ok_or(Error::Protocol("no script in its answer"))
    }

    /// Stores a script; the server checks it.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the server says of the script.
    pub async fn put(&mut self, name: &str, text: &str) -> Result<()> {
        self.run(&command("PUTSCRIPT", &[name, text])?).await.map(drop)
    }

    /// Lets the server check a script without storing it.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the server says of the script.
    pub async fn check(&mut self, text: &str) -> Result<()> {
        self.run(&command("CHECKSCRIPT", &[text])?).await.map(drop)
    }

    /// Makes a script the one that runs; none with an empty name.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none of that name.
    pub async fn activate(&mut self, name: &str) -> Result<()> {
        self.run(&command("SETACTIVE", &[name])?).await.map(drop)
    }

    /// Removes a script that does not run.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `ACTIVE` if it does.
    pub async fn delete(&mut self, name: &str) -> Result<()> {
        self.run(&command("DELETESCRIPT", &[name])?).await.map(drop)
    }
}

/// Every text goes as a counted literal, so that none can end a command.
fn command(name: &'static str, texts: &[&str]) -> Result<Vec<u8>> {
    let mut command = name.as_bytes().to_vec();
    for text in texts {
        if text.contains('\0') {
            return Err(Error::Unwritable("a script or its name"));
        }
        command.extend_from_slice(format!(" {{{}+}}\r\n{text}", text.len()).as_bytes());
    }
    command.extend_from_slice(b"\r\n");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Piece;

    fn reply(text: &str) -> Reply {
        Reply::read(&Frame { pieces: vec![Piece::Text(text.as_bytes().to_vec())] }).unwrap()
    }

    #[test]
    fn replies_are_read() {
        assert_eq!(reply("OK (WARNINGS) \"line 8\""), Reply::Ok);
        let no = Reply::No { code: "QUOTA/MAXSIZE".into(), text: "too large".into() };
        assert_eq!(reply("NO (QUOTA/MAXSIZE) \"too large\""), no);
        assert!(matches!(reply("\"OK\" ACTIVE"), Reply::Data(line) if line.len() == 2));
    }

    #[test]
    fn texts_are_counted_in_bytes() {
        let sent = command("PUTSCRIPT", &["ü\r\nLOGOUT", "keep;\r\n"]).unwrap();
        assert_eq!(sent, "PUTSCRIPT {10+}\r\nü\r\nLOGOUT {7+}\r\nkeep;\r\n\r\n".as_bytes());
        assert!(command("CHECKSCRIPT", &["a\0"]).is_err());
    }
}
