//! Users and groups: `passwd`, `group`, `shadow`, `gshadow`.
//!
//! In: base-passwd's masters, every `sysusers.d` file of the tree, and the users of our own
//! services. Out: the four files in `/etc`, with numbers that depend on names alone.

mod database;
mod numbers;
mod sysusers;

use crate::draft::{Draft, FixupError, ORIGIN};
use crate::{Entry, TreePath};
use database::{Account, Database};
use sysusers::{GroupOf, Line, Number};

/// The shell of accounts that nobody logs in to.
const NO_LOGIN: &str = "/usr/sbin/nologin";

/// Debian's group `shadow`, which may read hashes: base-passwd's master, and the only owner
/// besides root in the packages' archives.
const SHADOW_GROUP: u32 = 42;

/// A user that one of our services runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name, and its group's.
    pub name: String,
    /// Its number, and its group's; see `docs/internals/contracts.md`.
    pub number: u32,
    /// What it is for, in words.
    pub comment: String,
    /// Its home directory, absolute.
    pub home: String,
    /// Its shell; `None` for nobody logs in.
    pub shell: Option<String>,
    /// Further groups it is a member of.
    pub groups: Vec<String>,
}

/// Writes the four files.
pub(crate) fn write(draft: &mut Draft<'_>, users: &[User]) -> Result<(), FixupError> {
    let database = collect(draft, users)?;
    draft.write("etc/passwd", database.passwd().into_bytes(), 0o644)?;
    draft.write("etc/group", database.group_file().into_bytes(), 0o644)?;
    for (path, text) in [("etc/shadow", database.shadow()), ("etc/gshadow", database.gshadow())] {
        let entry = Entry::file(text.into_bytes(), 0o640, ORIGIN).owned_by(0, SHADOW_GROUP);
        draft.put(path, entry)?;
    }
    Ok(())
}

fn collect(draft: &Draft<'_>, users: &[User]) -> Result<Database, FixupError> {
    let mut database = Database::default();
    read_masters(draft, &mut database)?;
    // Ours before the packages': their numbers are fixed, and so can't be given away.
    let ours = |why| FixupError::Account(why);
    for user in users {
        add_ours(&mut database, user).map_err(ours)?;
    }
    read_sysusers(draft, &mut database)?;
    for user in users {
        for group in &user.groups {
            database.add_member(&user.name, group).map_err(ours)?;
        }
    }
    Ok(database)
}

/// `/usr/share/base-passwd/{group,passwd}.master`: passwd(5) and group(5) with `*` passwords.
fn read_masters(draft: &Draft<'_>, database: &mut Database) -> Result<(), FixupError> {
    const GROUPS: &str = "usr/share/base-passwd/group.master";
    const USERS: &str = "usr/share/base-passwd/passwd.master";
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
    for_each_line(GROUPS, &draft.required_text(GROUPS, "/etc/group")?, |line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, gid, _] = fields[..] else { return Err("4 fields expected".to_owned()) };
        database.add_group(name, number(gid)?)
    })?;
    for_each_line(USERS, &draft.required_text(USERS, "/etc/passwd")?, |line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, comment, home, shell] = fields[..] else {
            return Err("7 fields expected".to_owned());
        };
        let account = Account {
            uid: number(uid)?,
            gid: number(gid)?,
            comment: comment.to_owned(),
            home: home.to_owned(),
            shell: shell.to_owned(),
            // Root has no password in any image; a console login is opened by the agent.
            password: if name == "root" { "!*" } else { "*" },
            expired: false,
        };
        database.add_user(name, account)
    })
}

fn add_ours(database: &mut Database, user: &User) -> Result<(), String> {
    sysusers::account_name(user.name.clone())?;
    database.add_group(&user.name, user.number)?;
    let account = Account {
        uid: user.number,
        gid: user.number,
        comment: user.comment.clone(),
        home: user.home.clone(),
        shell: user.shell.clone().unwrap_or_else(|| NO_LOGIN.to_owned()),
        password: "!*",
        expired: false,
    };
    database.add_user(&user.name, account)
}

/// Reads every `sysusers.d` file as `systemd-sysusers` does: groups, then users, then members,
/// so that the order of files does not matter.
fn read_sysusers(draft: &Draft<'_>, database: &mut Database) -> Result<(), FixupError> {
    let mut lines = Vec::new();
    for path in draft.drop_ins(&["etc/sysusers.d", "usr/lib/sysusers.d"], ".conf")? {
        let text = draft.text(&path)?.unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let malformed =
                |why| FixupError::Malformed { path: path.to_string(), line: number, why };
            if let Some(parsed) = sysusers::parse(line).map_err(malformed)? {
                lines.push((path.clone(), number, parsed));
            }
        }
    }
    // Fixed numbers first, then names in their order: no allocation depends on a file's name.
    lines.sort_by_key(|(_, _, line)| match line {
        Line::Group { name, number } => (matches!(number, Number::Any), 0, name.clone()),
        Line::User { name, number, .. } => (matches!(number, Number::Any), 1, name.clone()),
        Line::Member { user, .. } => (true, 2, user.clone()),
        Line::Range => (true, 3, String::new()),
    });
    for (path, number, line) in lines {
        let malformed = |why| FixupError::Malformed { path: path.to_string(), line: number, why };
        apply(draft, database, line).map_err(malformed)?;
    }
    Ok(())
}

fn apply(draft: &Draft<'_>, database: &mut Database, line: Line) -> Result<(), String> {
    match line {
        Line::Range => Ok(()),
        Line::Member { user, group } => database.add_member(&user, &group),
        Line::Group { name, .. } if database.group(&name).is_some() => Ok(()),
        Line::Group { name, number } => {
            let gid = match number {
                Number::Fixed(gid) => gid,
                Number::Any => database.free_number(&name)?,
                Number::OwnerOf(path) => owner_of(draft, &path)?.gid,
            };
            database.add_group(&name, gid)
        }
        Line::User { name, .. } if database.user(&name).is_some() => Ok(()),
        Line::User { name, number, group, comment, home, shell, locked } => {
            let uid = match number {
                Number::Fixed(uid) => uid,
                Number::Any => database.free_number(&name)?,
                Number::OwnerOf(path) => owner_of(draft, &path)?.uid,
            };
            let gid = match group {
                Some(GroupOf::Number(gid)) => gid,
                Some(GroupOf::Name(group)) => database
                    .group(&group)
                    .ok_or_else(|| format!("the group `{group}` does not exist"))?,
                None => own_group(database, &name, uid)?,
            };
            let shell = shell.unwrap_or_else(|| NO_LOGIN.to_owned());
            let account =
                Account { uid, gid, comment, home, shell, password: "!*", expired: locked };
            database.add_user(&name, account)
        }
    }
}

/// The group of a user that names none: the one that is called like it.
fn own_group(database: &mut Database, name: &str, uid: u32) -> Result<u32, String> {
    if let Some(gid) = database.group(name) {
        return Ok(gid);
    }
    database.add_group(name, uid)?;
    Ok(uid)
}

fn owner_of(draft: &Draft<'_>, path: &str) -> Result<crate::Owner, String> {
    let found = TreePath::parse(path).ok().and_then(|path| draft.tree.resolve(&path));
    let entry = found.and_then(|path| draft.tree.get(&path));
    entry.map(|entry| entry.owner).ok_or_else(|| format!("{path} is not in the image"))
}

fn for_each_line(
    path: &str,
    text: &str,
    mut apply: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), FixupError> {
    for (number, line) in (1..).zip(text.lines()) {
        apply(line).map_err(|why| FixupError::Malformed {
            path: format!("/{path}"),
            line: number,
            why,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NothingPacked, Tree};

    const GROUPS: &str = "root:*:0:\nshadow:*:42:\nmail:*:8:\nnogroup:*:65534:\n";
    const USERS: &str =
        "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n";

    fn draft(files: &[(&str, &str)]) -> Draft<'static> {
        let mut draft = Draft::new(Tree::default(), &NothingPacked);
        draft.write_default("usr/share/base-passwd/group.master", GROUPS).unwrap();
        draft.write_default("usr/share/base-passwd/passwd.master", USERS).unwrap();
        for (path, text) in files {
            draft.write_default(path, text).unwrap();
        }
        draft
    }

    fn user(name: &str, number: u32) -> User {
        User {
            name: name.into(),
            number,
            comment: "test".into(),
            home: "/var/lib/test".into(),
            shell: None,
            groups: vec!["mail".into()],
        }
    }

    fn file(draft: &Draft<'_>, path: &str) -> String {
        draft.text(&TreePath::parse(path).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn the_four_files_hold_masters_services_and_sysusers() {
        let mut draft = draft(&[
            ("usr/lib/sysusers.d/a.conf", "u sshd -:nogroup \"sshd user\" /run/sshd\ng kvm -\n"),
            ("usr/lib/sysusers.d/b.conf", "u! systemd-resolve - \"Resolver\"\nm sshd kvm\n"),
            ("etc/sysusers.d/c.conf", "# hides the other\n"),
            ("usr/lib/sysusers.d/c.conf", "g hidden 77\n"),
        ]);
        write(&mut draft, &[user("mail-server", 801)]).unwrap();
        assert_eq!(
            file(&draft, "etc/passwd"),
            "root:x:0:0:root:/root:/bin/bash\n\
             mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n\
             mail-server:x:801:801:test:/var/lib/test:/usr/sbin/nologin\n\
             sshd:x:910:65534:sshd user:/run/sshd:/usr/sbin/nologin\n\
             systemd-resolve:x:918:918:Resolver:/:/usr/sbin/nologin\n"
        );
        assert_eq!(
            file(&draft, "etc/group"),
            "root:x:0:\nmail:x:8:mail-server\nshadow:x:42:\nmail-server:x:801:\nkvm:x:904:sshd\n\
             systemd-resolve:x:918:\nnogroup:x:65534:\n"
        );
        assert_eq!(
            file(&draft, "etc/shadow"),
            "root:!*:::::::\nmail:*:::::::\nmail-server:!*:::::::\nsshd:!*:::::::\n\
             systemd-resolve:!*::::::1:\n"
        );
        assert!(file(&draft, "etc/gshadow").contains("mail:!*::mail-server\n"));
        let shadow = draft.tree.get(&TreePath::parse("etc/shadow").unwrap()).unwrap();
        assert_eq!((shadow.mode, shadow.owner.gid), (0o640, 42));
    }

    #[test]
    fn collisions_are_named() {
        let mut twice = draft(&[]);
        let error = write(&mut twice, &[user("a", 801), user("b", 801)]).unwrap_err();
        assert!(error.to_string().contains("`a` and `b` both want number 801"), "{error}");
        let mut broken = draft(&[("usr/lib/sysusers.d/x.conf", "g ok 7\nq nonsense\n")]);
        let error = write(&mut broken, &[]).unwrap_err();
        assert!(error.to_string().starts_with("/usr/lib/sysusers.d/x.conf, line 2:"), "{error}");
    }
}
