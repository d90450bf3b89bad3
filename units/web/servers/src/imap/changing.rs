//! Commands that change what an account has: flags, places, folders.

use crate::imap::command::Command;
use crate::imap::set::expand;
use crate::imap::{Code, Response, Session, UidSet};
use crate::{Error, Result};

/// How flags are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Change {
    Add,
    Remove,
}

impl Session {
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

    /// Makes a folder for archived mail, and says so where the server takes note (RFC 6154 section 3).
    ///
    /// # Errors
    /// [`Error::Refused`] if there is one already.
    pub async fn create_archive(&mut self, wire: &str) -> Result<()> {
        if !self.can("CREATE-SPECIAL-USE") {
            return self.create(wire).await;
        }
        let command = Command::new("CREATE").string(wire)?.words("(USE (\\Archive))");
        self.run(command, |_| ()).await?;
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
}

/// `COPYUID 38505 304,319:320 3956:3958`: the new UIDs.
fn copied_uids(code: &Code) -> Vec<u32> {
    if code.name() != "COPYUID" {
        return Vec::new();
    }
    expand(code.0.split(' ').nth(3).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_uids_are_read() {
        let code = |text: &str| copied_uids(&Code(text.into()));
        assert_eq!(code("COPYUID 3 304,319:320 3956:3958"), [3956, 3957, 3958]);
        assert!(code("COPYUID 3 1 1:4294967295").is_empty());
        assert!(code("APPENDUID 3 1").is_empty());
    }
}
