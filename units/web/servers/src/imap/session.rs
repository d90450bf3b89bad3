//! A signed-in connection and the folder that is open on it.

use std::net::SocketAddr;

use crate::answer::Limits;
use crate::endpoint::{Endpoint, Security, within};
use crate::imap::command::Command;
use crate::imap::search::{self, Key, Order};
use crate::imap::{Code, Counters, Fetched, Folder, Quota, Response, Status};
use crate::wire::Wire;
use crate::{Credentials, Error, Result};

/// No command has a longer set of UIDs.
const LONGEST_SET: usize = 6000;
/// What a row of a list needs. No BODYSTRUCTURE and no whole header: neither is in the server's
/// metadata, so each would read the message itself.
const ROW: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE \
MESSAGE-ID IN-REPLY-TO REFERENCES CONTENT-TYPE LIST-ID)]";

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

/// How flags are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Change {
    Add,
    Remove,
}

/// UIDs as IMAP writes them: `1:3,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UidSet(String);

impl UidSet {
    /// The sets that hold these UIDs, each short enough for a command.
    pub fn of(uids: &[u32]) -> Vec<UidSet> {
        let mut sorted = uids.iter().copied().filter(|&uid| uid > 0).collect::<Vec<_>>();
        sorted.sort_unstable();
        sorted.dedup();
        let (mut sets, mut current) = (Vec::new(), String::new());
        for run in sorted.chunk_by(|one, next| one + 1 == *next) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            if current.len() > LONGEST_SET {
                sets.push(UidSet(std::mem::take(&mut current)));
            }
            if !current.is_empty() {
                current.push(',');
            }
            current.push_str(&first.to_string());
            if last > first {
                current.push_str(&format!(":{last}"));
            }
        }
        if !current.is_empty() {
            sets.push(UidSet(current));
        }
        sets
    }

    /// As IMAP writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
        within(limits.patience, "sign-in", Session::opened(endpoint, reader, credentials, limits)).await
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
            _ => Err(Error::Protocol("a greeting that is none")),
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
    async fn authenticate(&mut self, command: Command, answer: &mut Option<String>) -> Result<Code> {
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

    /// All folders; with what is in them where the server says so in the same answer.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn folders(&mut self) -> Result<Vec<Folder>> {
        let mut command = Command::new("LIST \"\" \"*\"");
        if self.can("LIST-STATUS") {
            command =
                command.words("RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY))");
        } else if self.can("SPECIAL-USE") && self.can("LIST-EXTENDED") {
            command = command.words("RETURN (SPECIAL-USE)");
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

    fn row(&self) -> Vec<&'static str> {
        let mut words = vec![ROW];
        words.extend(self.can("OBJECTID").then_some("THREADID"));
        words.extend(self.can("PREVIEW").then_some("PREVIEW"));
        words.push(")");
        words
    }

    /// The rows of a window of the open folder, `first` to `last` counted from 1, oldest first.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn window(&mut self, first: u32, last: u32) -> Result<Vec<Fetched>> {
        let set = format!("{}:{}", first.max(1), last.max(1));
        let command = Command::new("FETCH").atom(&set)?;
        let mut rows = self.fetch(self.row().into_iter().fold(command, Command::words)).await?;
        rows.retain(|row| (first..=last).contains(&row.number));
        rows.sort_by_key(|row| row.number);
        rows.dedup_by_key(|row| row.number);
        Ok(rows)
    }

    /// The rows of these messages, in the order of `uids`. Those that are gone are left out.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn rows(&mut self, uids: &[u32]) -> Result<Vec<Fetched>> {
        let mut found = std::collections::BTreeMap::new();
        for set in UidSet::of(uids) {
            let command = Command::new("UID FETCH").atom(set.as_str())?;
            let command = self.row().into_iter().fold(command, Command::words);
            found.extend(self.fetch(command).await?.into_iter().filter_map(|row| Some((row.uid?, row))));
        }
        Ok(uids.iter().filter_map(|uid| found.remove(uid)).collect())
    }

    async fn fetch(&mut self, command: Command) -> Result<Vec<Fetched>> {
        let mut rows: Vec<Fetched> = Vec::new();
        let each = |response| {
            // FLAGS alone is news and no row.
            if let Response::Fetch(row) = response
                && row.uid.is_some()
                && (row.size.is_some() || !row.sections.is_empty() || row.structure.is_some())
            {
                rows.push(*row);
            }
        };
        self.run(command, each).await?;
        Ok(rows)
    }

    /// How many messages of the open folder have this UID or a lower one: the number of the message, or
    /// of the one before its place if it is gone.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn place_of(&mut self, uid: u32) -> Result<u32> {
        let set = format!("1:{}", uid.max(1));
        if !self.can("ESEARCH") {
            let found = self.numbers(Command::new("SEARCH UID").atom(&set)?).await?;
            return Ok(found.into_iter().max().unwrap_or(0));
        }
        let mut count = 0;
        let each = |response| {
            if let Response::Count(number) = response {
                count = number;
            }
        };
        self.run(Command::new("SEARCH RETURN (COUNT) UID").atom(&set)?, each).await?;
        Ok(count)
    }

    /// The flags of these messages. Those that are gone are left out.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn flags(&mut self, uids: &[u32]) -> Result<Vec<Fetched>> {
        let mut found = Vec::new();
        for set in UidSet::of(uids) {
            let command = Command::new("UID FETCH").atom(set.as_str())?.words("(UID FLAGS)");
            let each = |response| {
                if let Response::Fetch(row) = response
                    && row.uid.is_some_and(|uid| uids.contains(&uid))
                {
                    found.push(*row);
                }
            };
            self.run(command, each).await?;
        }
        Ok(found)
    }

    /// One message without its text: flags, size, date, conversation and what it is made of.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `NONEXISTENT` if it is gone.
    pub async fn structure(&mut self, uid: u32) -> Result<Fetched> {
        let command = Command::new("UID FETCH").number(uid.into());
        let command = command.words("(UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE)");
        let found = self.fetch(command).await?;
        one(found, uid)
    }

    /// Flags, size, date and conversation of one message.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `NONEXISTENT` if it is gone.
    pub async fn summary(&mut self, uid: u32) -> Result<Fetched> {
        let mut rows = self.rows(&[uid]).await?;
        one(std::mem::take(&mut rows), uid)
    }

    /// A section of a message, in memory: `HEADER`, `1.2`, `1.2.MIME`; empty for all of it.
    ///
    /// # Errors
    /// [`Error::TooMuch`] over the limit of a literal: [`Session::pass`] is for those.
    pub async fn section(&mut self, uid: u32, section: &str) -> Result<Vec<u8>> {
        let allowed = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.';
        if !section.chars().all(allowed) {
            return Err(Error::Unwritable("a section"));
        }
        let command = Command::new("UID FETCH").number(uid.into());
        let command = command.words("(UID").section("BODY.PEEK", section).words(")");
        let mut found = one(self.fetch(command).await?, uid)?;
        let bytes = found.sections.pop().and_then(|section| section.bytes);
        Ok(bytes.unwrap_or_default())
    }

    /// The UIDs of the open folder for which all conditions hold, in rising order.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn search(&mut self, keys: &[Key]) -> Result<Vec<u32>> {
        let mut command = Command::new("UID SEARCH");
        if search::needs_utf8(keys) {
            command = command.words("CHARSET UTF-8");
        }
        let mut uids = self.numbers(search::add(command, keys)?).await?;
        uids.sort_unstable();
        Ok(uids)
    }

    /// The same in an order.
    ///
    /// # Errors
    /// [`Error::Lacks`] if the server can't sort.
    pub async fn sort(&mut self, order: Order, newest_first: bool, keys: &[Key]) -> Result<Vec<u32>> {
        if !self.can("SORT") {
            return Err(Error::Lacks("SORT"));
        }
        let command = Command::new("UID SORT").words(order.words(newest_first)).words("UTF-8");
        self.numbers(search::add(command, keys)?).await
    }

    async fn numbers(&mut self, command: Command) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        let each = |response| {
            if let Response::Numbers(numbers) = response {
                found.extend(numbers);
            }
        };
        self.run(command, each).await?;
        Ok(found)
    }

    /// The conversations of the open folder: the UIDs of each in rising order, and the one with the
    /// newest message first.
    ///
    /// # Errors
    /// [`Error::Lacks`] if the server knows no conversations.
    pub async fn threads(&mut self, keys: &[Key]) -> Result<Vec<Vec<u32>>> {
        if !self.can("THREAD=REFERENCES") {
            return Err(Error::Lacks("THREAD=REFERENCES"));
        }
        let command = Command::new("UID THREAD REFERENCES UTF-8");
        let mut found: Vec<Vec<u32>> = Vec::new();
        let each = |response| {
            if let Response::Threads(threads) = response {
                found.extend(threads);
            }
        };
        self.run(search::add(command, keys)?, each).await?;
        found.retain(|thread| !thread.is_empty());
        for thread in &mut found {
            thread.sort_unstable();
        }
        found.sort_by_key(|thread| std::cmp::Reverse(thread.last().copied()));
        Ok(found)
    }

    /// Adds or removes a flag of messages in the open folder.
    ///
    /// # Errors
    /// [`Error::Refused`] where the user may not.
    pub async fn flag(&mut self, uids: &[u32], change: Change, flag: &str) -> Result<()> {
        let words = match change {
            Change::Add => "+FLAGS.SILENT (",
            Change::Remove => "-FLAGS.SILENT (",
        };
        for set in UidSet::of(uids) {
            let command = Command::new("UID STORE").atom(set.as_str())?.words(words);
            self.run(command.atom(flag)?.words(")"), |_| ()).await?;
        }
        Ok(())
    }

    /// Moves messages of the open folder to another. Returns their new UIDs where the server says.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `TRYCREATE` if there is no such folder.
    pub async fn move_to(&mut self, uids: &[u32], wire: &str) -> Result<Vec<u32>> {
        let mut new = Vec::new();
        for set in UidSet::of(uids) {
            if self.can("MOVE") {
                let command = Command::new("UID MOVE").atom(set.as_str())?.string(wire)?;
                let mut copied = Vec::new();
                let each = |response| {
                    if let Response::Said { code, .. } = response {
                        copied.extend(copied_uids(&code));
                    }
                };
                let code = self.run(command, each).await?;
                new.extend(copied);
                new.extend(copied_uids(&code));
            } else {
                let command = Command::new("UID COPY").atom(set.as_str())?.string(wire)?;
                new.extend(copied_uids(&self.run(command, |_| ()).await?));
                self.delete(&set).await?;
            }
        }
        Ok(new)
    }

    /// Copies messages of the open folder to another.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `TRYCREATE` if there is no such folder.
    pub async fn copy_to(&mut self, uids: &[u32], wire: &str) -> Result<()> {
        for set in UidSet::of(uids) {
            let command = Command::new("UID COPY").atom(set.as_str())?.string(wire)?;
            self.run(command, |_| ()).await?;
        }
        Ok(())
    }

    /// Removes messages of the open folder for good.
    ///
    /// # Errors
    /// [`Error::Refused`] where the user may not; [`Error::Lacks`] without UIDPLUS, as other
    /// messages could go with them.
    pub async fn expunge(&mut self, uids: &[u32]) -> Result<()> {
        for set in UidSet::of(uids) {
            self.delete(&set).await?;
        }
        Ok(())
    }

    async fn delete(&mut self, set: &UidSet) -> Result<()> {
        if !self.can("UIDPLUS") {
            return Err(Error::Lacks("UIDPLUS"));
        }
        let store = Command::new("UID STORE").atom(set.as_str())?;
        self.run(store.words("+FLAGS.SILENT (\\Deleted)"), |_| ()).await?;
        self.run(Command::new("UID EXPUNGE").atom(set.as_str())?, |_| ()).await?;
        Ok(())
    }

    /// Makes a folder, and subscribes to it so that other clients show it.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is one already.
    pub async fn create(&mut self, wire: &str) -> Result<()> {
        self.run(Command::new("CREATE").string(wire)?, |_| ()).await?;
        self.run(Command::new("SUBSCRIBE").string(wire)?, |_| ()).await?;
        Ok(())
    }

    /// Gives a folder another name.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none, or one of the new name.
    pub async fn rename(&mut self, wire: &str, to: &str) -> Result<()> {
        self.forget_selected();
        self.run(Command::new("RENAME").string(wire)?.string(to)?, |_| ()).await?;
        Ok(())
    }

    /// Removes a folder with all that is in it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it can't be removed.
    pub async fn remove(&mut self, wire: &str) -> Result<()> {
        self.forget_selected();
        self.run(Command::new("DELETE").string(wire)?, |_| ()).await?;
        Ok(())
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

fn one(found: Vec<Fetched>, uid: u32) -> Result<Fetched> {
    found.into_iter().find(|row| row.uid == Some(uid)).ok_or(Error::Refused {
        code: "NONEXISTENT".into(),
        text: "there is no such message".into(),
    })
}

/// `COPYUID 38505 304,319:320 3956:3958`: the new UIDs.
fn copied_uids(code: &Code) -> Vec<u32> {
    if code.name() != "COPYUID" {
        return Vec::new();
    }
    expand(code.0.split(' ').nth(3).unwrap_or_default())
}

/// The numbers of a set, as long as they are not more than a mailbox holds.
fn expand(set: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else { continue };
        let (first, last) = (first.min(last), first.max(last));
        if numbers.len() as u64 + u64::from(last - first) > 1_000_000 {
            return Vec::new();
        }
        numbers.extend(first..=last);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sets_are_short_and_new_uids_are_read() {
        assert_eq!(UidSet::of(&[7, 1, 3, 2, 2, 0]), [UidSet("1:3,7".into())]);
        assert!(UidSet::of(&[]).is_empty());
        let scattered = (1..20_000).map(|number| number * 2).collect::<Vec<u32>>();
        let sets = UidSet::of(&scattered);
        assert!(sets.iter().all(|set| set.0.len() < LONGEST_SET + 20));
        assert_eq!(sets.iter().flat_map(|set| expand(&set.0)).collect::<Vec<_>>(), scattered);
        assert_eq!(copied_uids(&Code("COPYUID 3 304,319:320 3956:3958".into())), [3956, 3957, 3958]);
        assert!(copied_uids(&Code("COPYUID 3 1 1:4294967295".into())).is_empty());
    }

    proptest! {
        #[test]
        fn sets_hold_what_was_put_in(mut uids in proptest::collection::vec(1_u32.., 0..50)) {
            let sets = UidSet::of(&uids);
            uids.sort_unstable();
            uids.dedup();
            prop_assert_eq!(sets.iter().flat_map(|set| expand(&set.0)).collect::<Vec<_>>(), uids);
        }
    }
}
