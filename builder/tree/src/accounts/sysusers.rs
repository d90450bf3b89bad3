//! One line of a `sysusers.d` file.
//!
//! In: a line's text. Out: a typed [`Line`], or why it is none. Format: sysusers.d(5) of
//! systemd 257, without specifiers (packages that go into an image use none).

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// `u`, `u!`: a user, and a group of the same name unless another group is named.
    User {
        name: String,
        number: Number,
        group: Option<GroupOf>,
        comment: String,
        home: String,
        shell: Option<String>,
        /// `u!`: the account is expired as well as without a password.
        locked: bool,
    },
    /// `g`: a group.
    Group { name: String, number: Number },
    /// `m`: the user becomes a member of the group.
    Member { user: String, group: String },
    /// `r`: a range of numbers; we have our own table and ignore it.
    Range,
}

/// How the number of a user or group is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    /// `-`: by us.
    Any,
    /// As written.
    Fixed(u32),
    /// The owner of this path of the tree.
    OwnerOf(String),
}

/// The group of a user that does not get one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupOf {
    /// By number.
    Number(u32),
    /// By name.
    Name(String),
}

/// Reads one line; `None` for an empty line or a comment.
pub(super) fn parse(line: &str) -> Result<Option<Line>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let fields = split(line)?;
    let field = |index: usize| fields.get(index).map(String::as_str).filter(|text| *text != "-");
    let required = |index: usize, what: &str| {
        field(index).map(str::to_owned).ok_or_else(|| format!("the {what} is missing"))
    };
    if fields.iter().take(3).any(|field| field.contains('%')) {
        return Err("specifiers (`%`) are not supported in names and numbers".to_owned());
    }
    if fields.len() > 6 {
        return Err(format!("{} fields; a line has 6 at most", fields.len()));
    }
    let parsed = match fields[0].as_str() {
        kind @ ("u" | "u!") => {
            let (number, group) = user_numbers(field(2))?;
            Line::User {
                name: account_name(required(1, "user's name")?)?,
                number,
                group,
                comment: field(3).unwrap_or_default().to_owned(),
                home: field(4).unwrap_or("/").to_owned(),
                shell: field(5).map(str::to_owned),
                locked: kind == "u!",
            }
        }
        "g" => Line::Group {
            name: account_name(required(1, "group's name")?)?,
            number: group_number(field(2))?,
        },
        "m" => Line::Member {
            user: account_name(required(1, "user's name")?)?,
            group: account_name(required(2, "group's name")?)?,
        },
        "r" => Line::Range,
        other => return Err(format!("`{other}` is not a line type; expected u, u!, g, m or r")),
    };
    Ok(Some(parsed))
}

/// The third field of a `u` line: `-`, `UID`, `UID:GID`, `UID:GROUP`, `-:GROUP` or a path.
fn user_numbers(field: Option<&str>) -> Result<(Number, Option<GroupOf>), String> {
    let Some(text) = field else { return Ok((Number::Any, None)) };
    if text.starts_with('/') {
        return Ok((Number::OwnerOf(text.to_owned()), None));
    }
    let (user, group) =
        text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let number = if user == "-" { Number::Any } else { Number::Fixed(number(user)?) };
    let group = match group {
        None => None,
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            Some(GroupOf::Number(self::number(digits)?))
        }
        Some(name) => Some(GroupOf::Name(account_name(name.to_owned())?)),
    };
    Ok((number, group))
}

fn group_number(field: Option<&str>) -> Result<Number, String> {
    match field {
        None => Ok(Number::Any),
        Some(path) if path.starts_with('/') => Ok(Number::OwnerOf(path.to_owned())),
        Some(digits) => number(digits).map(Number::Fixed),
    }
}

fn number(text: &str) -> Result<u32, String> {
    // The two highest are "none" to the kernel in 16 and 32 bits: systemd's uid_is_valid().
    text.parse().ok().filter(|number| *number < u32::MAX && *number != 65535).ok_or_else(|| {
        format!("`{text}` is not a user or group number; expected 0 to 4294967294, except 65535")
    })
}

/// A name that passwd(5) can hold: no `:`, no newline, nothing the kernel or tools choke on.
pub(super) fn account_name(name: String) -> Result<String, String> {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if first && rest && name.len() <= 31 {
        return Ok(name);
    }
    Err(format!(
        "`{}` is not an account name; write a letter or `_`, then letters, digits, `_`, `-`, `.`; \
         31 at most",
        name.escape_debug()
    ))
}

/// Splits at blanks; double and single quotes keep blanks, a backslash keeps the next character.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => {
                let next = characters.next().ok_or("it ends in a backslash")?;
                current.get_or_insert_default().push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => current.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(character);
                current.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => fields.extend(current.take()),
            (c, None) => current.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    fields.extend(current);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_debian_are_understood() {
        let user = |name: &str, number, group, comment: &str, home: &str, locked| {
            Some(Line::User {
                name: name.into(),
                number,
                group,
                comment: comment.into(),
                home: home.into(),
                shell: None,
                locked,
            })
        };
        for (text, line) in [
            ("", None),
            ("  # comment", None),
            ("g kvm    -", Some(Line::Group { name: "kvm".into(), number: Number::Any })),
            ("g adm 4 -", Some(Line::Group { name: "adm".into(), number: Number::Fixed(4) })),
            (
                "u! systemd-resolve - \"systemd Resolver\"",
                user("systemd-resolve", Number::Any, None, "systemd Resolver", "/", true),
            ),
            (
                "u sshd -:nogroup 'sshd user' /run/sshd",
                user(
                    "sshd",
                    Number::Any,
                    Some(GroupOf::Name("nogroup".into())),
                    "sshd user",
                    "/run/sshd",
                    false,
                ),
            ),
            (
                "u games 5:60 - /usr/games",
                user("games", Number::Fixed(5), Some(GroupOf::Number(60)), "", "/usr/games", false),
            ),
            ("u svc /srv/x", user("svc", Number::OwnerOf("/srv/x".into()), None, "", "/", false)),
            ("m alice adm", Some(Line::Member { user: "alice".into(), group: "adm".into() })),
            ("r - 500-900", Some(Line::Range)),
        ] {
            assert_eq!(parse(text), Ok(line), "{text}");
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for text in [
            "x name",
            "u",
            "u -",
            "g kvm abc",
            "u a:b",
            "u a 4294967295",
            "u a 65535",
            "u \"a",
            "u a\\",
            "u %b",
            "m a",
            "u a - b c d e f",
            "u 1a",
            "g ü",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
