//! A signed-in connection and the folder that is open on it.

use std::net::SocketAddr;

use crate::answer::Limits;
use crate::endpoint::{Endpoint, Security, within};
use crate::imap::command::Command;
use crate::imap::{Code, Counters, Folder, Quota, Response, Status};
use crate::wire::Wire;
use crate::{Credentials, Error, Result};

/// The folder that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Its name as the server writes it.
    pub wire: String,
    /// How many messages are in it.
    pub exists: u32,
    /// Changes when UIDs get another meaning.
    pub uid_validity: u32,
    /// What the next message's UID will be, at least; 0 if the server doesn't say.
    pub uid_next: u32,
    /// Nothing can be changed in it.
    pub read_only: bool,
}

/// A signed-in connection.
#[derive(Debug)]
pub struct Session {
    pub(crate) wire: Wire,
    pub(crate) tag: u32,
    capabilities: Vec<String>,
    selected: Option<Selected>,
    /// A command was begun whose end was not read: what comes next is not the answer to anything.
    pub(crate) busy: bool,
}

impl Session {
    /// Connects and signs in. `reader` is the address of whom the mail is for.
    ///
    /// # Errors
    /// [`Error::SignIn`] if the server does not accept the credentials; otherwise why there is no
    /// connection.
    pub async fn open(
        endpoint: &Endpoint,
        reader: Option<SocketAddr>,
        credentials: &Credentials,
        limits: Limits,
    ) -> Result<Session> {
        within(limits.patience, "sign-in", Session::opened(endpoint, reader, credentials, limits))
            .await
    }

    async fn opened(
        endpoint: &Endpoint,
        reader: Option<SocketAddr>,
        credentials: &Credentials,
        limits: Limits,
    ) -> Result<Session> {
        let tcp = endpoint.tcp(reader).await?;
        let mut session = match endpoint.security {
            Security::Implicit => {
                let mut session = Session::on(Wire::new(endpoint.encrypt(tcp).await?, limits));
                session.greeting().await?;
                session
            }
            Security::StartTls => {
                let mut plain = Session::on(Wire::new(tcp, limits));
                plain.greeting().await?;
                plain.run(Command::new("STARTTLS"), |_| ()).await?;
                let link = plain.wire.into_link()?;
                Session::on(Wire::new(endpoint.encrypt(link).await?, limits))
            }
        };
        session.sign_in(credentials).await?;
        Ok(session)
    }

    fn on(wire: Wire) -> Self {
        Session { wire, tag: 0, capabilities: Vec::new(), selected: None, busy: false }
    }

    async fn greeting(&mut self) -> Result<()> {
        let frame = self.wire.frame().await?;
        match Response::within(&frame, self.wire.limits())? {
            Response::Said { status: Status::Ok, code, .. } => {
                self.learn(&code);
                Ok(())
            }
            Response::Said { status: Status::Bye, text, .. } => {
                Err(Error::Refused { code: "BYE".into(), text })
            }
            _ => Err(Error::Protocol("an unknown greeting")),
        }
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> Result<()> {
        if self.capabilities.is_empty() {
            self.ask_capabilities().await?;
        }
        let mechanism = credentials.mechanism();
        if !self.can(&format!("AUTH={mechanism}")) {
            return Err(Error::Lacks(mechanism));
        }
        let initial = credentials.initial()?;
        self.capabilities.retain(|word| !word.starts_with("AUTH="));
        let direct = self.can("SASL-IR");
        let mut command = Command::new("AUTHENTICATE").words(mechanism);
        if direct {
            // Base64, whose `=` at the end is no atom of ours.
            command = command.base64(&initial)?;
        }
        let mut asked = (!direct).then_some(initial);
        let code = self.authenticate(command, &mut asked).await.map_err(|error| match error {
            Error::Refused { text, .. } => Error::SignIn(text),
            error => error,
        })?;
        self.capabilities.clear();
        self.learn(&code);
        if self.capabilities.is_empty() {
            self.ask_capabilities().await?;
        }
        Ok(())
    }

    /// Sends AUTHENTICATE; answers the server's question once, and what it says of an error by an
    /// empty line (RFC 7628 section 3.2.3).
    async fn authenticate(
        &mut self,
        command: Command,
        answer: &mut Option<String>,
    ) -> Result<Code> {
        let tag = self.next_tag();
        self.busy = true;
        self.wire.begin();
        self.wire.send(&command.segments(&tag, true).concat()).await?;
        loop {
            match self.response().await? {
                Response::Continue(_) => {
                    let line = answer.take().unwrap_or_default();
                    self.wire.send(format!("{line}\r\n").as_bytes()).await?;
                }
                Response::Capability(words) => self.capabilities = words,
                done => {
                    if let Some(result) = self.end(&tag, done) {
                        return result;
                    }
                }
            }
        }
    }

    async fn ask_capabilities(&mut self) -> Result<()> {
        let mut found = Vec::new();
        let each = |response| {
            if let Response::Capability(words) = response {
                found = words;
            }
        };
        self.run(Command::new("CAPABILITY"), each).await?;
        self.capabilities = found;
        Ok(())
    }

    fn learn(&mut self, code: &Code) {
        if code.name() == "CAPABILITY" {
            self.capabilities = code.0.split(' ').skip(1).map(str::to_owned).collect();
        }
    }

    /// Whether the server can do something that it names in CAPABILITY.
    pub fn can(&self, what: &str) -> bool {
        self.capabilities.iter().any(|own| own.eq_ignore_ascii_case(what))
    }

    /// Whether another command can be sent: no, after an error of the connection, and after a
    /// command that was given up.
    pub fn is_usable(&self) -> bool {
        !self.busy
    }

    /// The folder that is open.
    pub fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    pub(crate) fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("w{}", self.tag)
    }

    /// The next response. What it says of the open folder is noted.
    pub(crate) async fn response(&mut self) -> Result<Response> {
        let frame = self.wire.frame().await?;
        let response = match Response::within(&frame, self.wire.limits()) {
            Ok(response) => response,
            Err(error) => Response::Unreadable(error.to_string()),
        };
        self.note(&response)?;
        Ok(response)
    }

    pub(crate) fn note(&mut self, response: &Response) -> Result<()> {
        if let Response::Said { status: Status::Bye, text, .. } = response {
            return Err(Error::Refused { code: "BYE".into(), text: text.clone() });
        }
        let Some(selected) = self.selected.as_mut() else { return Ok(()) };
        match response {
            Response::Exists(count) => selected.exists = *count,
            Response::Expunge(_) => selected.exists = selected.exists.saturating_sub(1),
            Response::Said { code, .. } => {
                let number = code.number(1).and_then(|number| u32::try_from(number).ok());
                match (code.name().as_str(), number) {
                    ("UIDVALIDITY", Some(number)) => selected.uid_validity = number,
                    ("UIDNEXT", Some(number)) => selected.uid_next = number,
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The result, if a response is the end of the command.
    pub(crate) fn end(&mut self, tag: &str, response: Response) -> Option<Result<Code>> {
        let Response::Done { tag: own, status, code, text } = response else { return None };
        if own != tag {
            return Some(Err(Error::Protocol("the end of another command")));
        }
        self.busy = false;
        Some(match status {
            Status::Ok => Ok(code),
            _ => Err(Error::Refused { code: code.name(), text }),
        })
    }

    /// Sends a command and hands each response to `each` until the command ends.
    pub(crate) async fn run(
        &mut self,
        command: Command,
        each: impl FnMut(Response),
    ) -> Result<Code> {
        if self.busy {
            return Err(Error::Closed { step: "an earlier command" });
        }
        within(self.wire.limits().patience, "command", self.run_on(command, each)).await
    }

    async fn run_on(&mut self, command: Command, mut each: impl FnMut(Response)) -> Result<Code> {
        let tag = self.next_tag();
        self.busy = true;
        self.wire.begin();
        let segments = command.segments(&tag, self.can("LITERAL+"));
        for (index, segment) in segments.iter().enumerate() {
            self.wire.send(segment).await?;
            while index + 1 < segments.len() {
                match self.response().await? {
                    Response::Continue(_) => break,
                    response => {
                        if let Some(result) = self.end(&tag, response.clone()) {
                            return result;
                        }
                        each(response);
                    }
                }
            }
        }
        loop {
            let response = self.response().await?;
            if let Some(result) = self.end(&tag, response.clone()) {
                return result;
            }
            each(response);
        }
    }

    /// All folders, and what each is for where the server says so.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn folders(&mut self) -> Result<Vec<Folder>> {
        self.list("RETURN (SPECIAL-USE)").await
    }

    /// All folders, with what is in them where the server says so in the same answer. It counts the
    /// messages of each for that, so [`Session::folders`] is for those who need no numbers.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn counted_folders(&mut self) -> Result<Vec<Folder>> {
        if !self.can("LIST-STATUS") {
            return self.folders().await;
        }
        self.list("RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY))").await
    }

    async fn list(&mut self, returned: &'static str) -> Result<Vec<Folder>> {
        let mut command = Command::new("LIST \"\" \"*\"");
        let extended = self.can("SPECIAL-USE") && self.can("LIST-EXTENDED");
        if extended || self.can("LIST-STATUS") {
            command = command.words(returned);
        }
        let (mut folders, mut counted) = (Vec::<Folder>::new(), Vec::new());
        self.run(command, |response| match response {
            Response::List(folder) => folders.push(folder),
            Response::Counters(wire, counters) => counted.push((wire, counters)),
            _ => {}
        })
        .await?;
        let counted: std::collections::BTreeMap<String, Counters> = counted.into_iter().collect();
        for folder in &mut folders {
            if let Some(counters) = counted.get(&folder.wire) {
                folder.counters = *counters;
            }
        }
        Ok(folders)
    }

    /// What is in a folder.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such folder.
    pub async fn counters(&mut self, wire: &str) -> Result<Counters> {
        let command = Command::new("STATUS").string(wire)?;
        let command = command.words("(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)");
        let mut found = Counters::default();
        let each = |response| {
            if let Response::Counters(_, counters) = response {
                found = counters;
            }
        };
        self.run(command, each).await?;
        Ok(found)
    }

    /// Opens a folder, unless it is open already; then the server is only asked for news.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such folder.
    pub async fn select(&mut self, wire: &str) -> Result<Selected> {
        if self.selected.as_ref().is_some_and(|selected| selected.wire == wire) {
            self.run(Command::new("NOOP"), |_| ()).await?;
        } else {
            // A SELECT that fails leaves no folder open.
            self.selected = Some(Selected { wire: wire.to_owned(), ..Selected::default() });
            match self.run(Command::new("SELECT").string(wire)?, |_| ()).await {
                Ok(code) => {
                    if let Some(selected) = self.selected.as_mut() {
                        selected.read_only = code.name() == "READ-ONLY";
                    }
                }
                Err(error) => {
                    self.selected = None;
                    return Err(error);
                }
            }
        }
        self.selected.clone().ok_or(Error::Protocol("no folder"))
    }

    /// Forgets which folder is open, so that the next [`Session::select`] opens it anew.
    pub fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// How full the account is; none without a quota.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn quota(&mut self) -> Result<Option<Quota>> {
        if !self.can("QUOTA") {
            return Ok(None);
        }
        let mut found = None;
        let each = |response| {
            if let Response::Quota(quota) = response {
                found = Some(quota);
            }
        };
        self.run(Command::new("GETQUOTAROOT \"INBOX\""), each).await?;
        Ok(found)
    }

    /// Says goodbye; the connection closes.
    pub async fn close(mut self) {
        // The server may be gone already, and then nobody waits for it.
        drop(within(2, "logout", self.run(Command::new("LOGOUT"), |_| ())).await);
    }
}
