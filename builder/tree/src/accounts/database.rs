//! Users and groups as a value, and the four files that hold them.
//!
//! In: accounts, added one by one and checked against each other. Out: `passwd`, `group`,
//! `shadow` and `gshadow` (passwd(5), shadow(5), gshadow(5)), in order of number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::numbers::number_for;

/// A user of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) comment: String,
    pub(super) home: String,
    pub(super) shell: String,
    /// What shadow(5) holds instead of a hash: `*` or `!*`. No hash ever enters an image.
    pub(super) password: &'static str,
    /// Whether shadow(5) says the account expired on the first day of 1970.
    pub(super) expired: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Group {
    gid: u32,
    members: BTreeSet<String>,
}

/// All users and groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Database {
    users: BTreeMap<String, Account>,
    groups: BTreeMap<String, Group>,
}

impl Database {
    pub(super) fn user(&self, name: &str) -> Option<&Account> {
        self.users.get(name)
    }

    pub(super) fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|group| group.gid)
    }

    /// A free number for `name`: its group's, if it has one that no user holds, else by the table.
    pub(super) fn free_number(&self, name: &str) -> Result<u32, String> {
        let mut taken: BTreeSet<u32> = self.users.values().map(|user| user.uid).collect();
        if let Some(gid) = self.group(name).filter(|gid| !taken.contains(gid)) {
            return Ok(gid);
        }
        taken.extend(self.groups.values().map(|group| group.gid));
        number_for(name, &taken).ok_or_else(|| format!("no number is left for `{name}`"))
    }

    /// Adds a group. The same name with the same number twice is one group.
    pub(super) fn add_group(&mut self, name: &str, gid: u32) -> Result<(), String> {
        if let Some(old) = self.groups.get(name) {
            let same = old.gid == gid;
            return if same {
                Ok(())
            } else {
                Err(format!("the group `{name}` is {} already, not {gid}", old.gid))
            };
        }
        if let Some((other, _)) = self.groups.iter().find(|(_, group)| group.gid == gid) {
            return Err(format!("the groups `{other}` and `{name}` both want number {gid}"));
        }
        self.groups.insert(name.to_owned(), Group { gid, members: BTreeSet::new() });
        Ok(())
    }

    /// Adds a user; its group must be there.
    pub(super) fn add_user(&mut self, name: &str, account: Account) -> Result<(), String> {
        for (what, text) in
            [("comment", &account.comment), ("home", &account.home), ("shell", &account.shell)]
        {
            if text.contains(|c: char| c == ':' || c.is_control()) {
                return Err(format!("the {what} of `{name}` holds a `:` or a control character"));
            }
        }
        let clash = |(other, old): (&String, &Account)| {
            (other == name || old.uid == account.uid).then(|| (other.clone(), old.uid))
        };
        if let Some((other, uid)) = self.users.iter().find_map(clash) {
            return Err(format!("the user `{name}` ({}) meets `{other}` ({uid})", account.uid));
        }
        if !self.groups.values().any(|group| group.gid == account.gid) {
            return Err(format!(
                "the user `{name}` is of group {}, which does not exist",
                account.gid
            ));
        }
        self.users.insert(name.to_owned(), account);
        Ok(())
    }

    /// Makes a user a member of a group; both must be there.
    pub(super) fn add_member(&mut self, user: &str, group: &str) -> Result<(), String> {
        if !self.users.contains_key(user) {
            return Err(format!("`{user}` is to join the group `{group}` and does not exist"));
        }
        let Some(group) = self.groups.get_mut(group) else {
            return Err(format!("`{user}` is to join the group `{group}`, which does not exist"));
        };
        group.members.insert(user.to_owned());
        Ok(())
    }

    /// passwd(5).
    pub(super) fn passwd(&self) -> String {
        let mut text = String::new();
        for (name, user) in self.users_by_number() {
            let Account { uid, gid, comment, home, shell, .. } = user;
            let _ = writeln!(text, "{name}:x:{uid}:{gid}:{comment}:{home}:{shell}");
        }
        text
    }

    /// shadow(5): no password, no dates but that of expiry.
    pub(super) fn shadow(&self) -> String {
        let mut text = String::new();
        for (name, user) in self.users_by_number() {
            let expiry = if user.expired { "1" } else { "" };
            let _ = writeln!(text, "{name}:{}::::::{expiry}:", user.password);
        }
        text
    }

    /// group(5).
    pub(super) fn group_file(&self) -> String {
        let mut text = String::new();
        for (name, group) in self.groups_by_number() {
            let _ = writeln!(text, "{name}:x:{}:{}", group.gid, members(group));
        }
        text
    }

    /// gshadow(5).
    pub(super) fn gshadow(&self) -> String {
        let mut text = String::new();
        for (name, group) in self.groups_by_number() {
            let _ = writeln!(text, "{name}:!*::{}", members(group));
        }
        text
    }

    fn users_by_number(&self) -> Vec<(&String, &Account)> {
        let mut users: Vec<_> = self.users.iter().collect();
        users.sort_by_key(|(_, user)| user.uid);
        users
    }

    fn groups_by_number(&self) -> Vec<(&String, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| group.gid);
        groups
    }
}

fn members(group: &Group) -> String {
    group.members.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
