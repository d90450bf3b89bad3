//! What people write into a recipient field.

/// A recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient {
    /// The name as text, or empty.
    pub name: String,
    /// `local@domain`, checked; the domain is ASCII.
    pub address: String,
}

impl std::fmt::Display for Recipient {
    /// The form in which [`recipients`] reads it again.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name.is_empty() {
            return formatter.write_str(&self.address);
        }
        let name = self.name.replace('\\', "\\\\").replace('"', "\\\"");
        write!(formatter, "\"{name}\" <{}>", self.address)
    }
}

/// A piece of a recipient field that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mail address; write name@domain, and commas between recipients")]
pub struct BadAddress(pub String);

/// The longest local part and address (RFC 5321, section 4.5.3.1).
const LOCAL_LIMIT: usize = 64;
const ADDRESS_LIMIT: usize = 254;

/// Whether this is an address that can be written as it is: no quotes, no spaces, no controls, ASCII.
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |one: u8| one.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&one);
    let label = |one: &str| {
        !one.is_empty()
            && one.len() <= 63
            && one.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'-')
            && !one.starts_with('-')
            && !one.ends_with('-')
    };
    text.len() <= ADDRESS_LIMIT
        && !local.is_empty()
        && local.len() <= LOCAL_LIMIT
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').all(label)
}

/// Reads `Name <a@b.example>, "Last, First" <c@d.example>; e@f.example`. Separators are commas,
/// semicolons and line breaks outside quotes and brackets.
///
/// # Errors
///
/// With the first piece that is no address.
pub fn recipients(field: &str) -> Result<Vec<Recipient>, BadAddress> {
    let mut out: Vec<Recipient> = Vec::new();
    for piece in pieces(field) {
        let piece = piece.trim();
        if piece.is_empty() {
            continue;
        }
        let recipient =
            recipient(piece).ok_or_else(|| BadAddress(crate::text::visible_line(piece, 100)))?;
        if !out.iter().any(|one| one.address.eq_ignore_ascii_case(&recipient.address)) {
            out.push(recipient);
        }
    }
    Ok(out)
}

fn pieces(field: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for one in field.chars() {
        let ends = !quoted && matches!(one, ',' | ';' | '\n' | '\r');
        if ends {
            out.push(String::new());
            continue;
        }
        match one {
            '\\' if quoted && !escaped => escaped = true,
            '"' if !escaped => quoted = !quoted,
            _ => escaped = false,
        }
        if let Some(last) = out.last_mut() {
            last.push(one);
        }
    }
    out
}

fn recipient(piece: &str) -> Option<Recipient> {
    let (name, address) = match piece.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (unquoted(name.trim()), address.trim()),
        None => (String::new(), piece),
    };
    let (local, domain) = address.rsplit_once('@')?;
    let domain = idna::domain_to_ascii_strict(domain).ok()?;
    let address = format!("{local}@{domain}");
    is_address(&address).then_some(Recipient { name, address })
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let plain = match inner {
        Some(inner) => {
            let mut out = String::new();
            let mut rest = inner.chars();
            while let Some(one) = rest.next() {
                match one {
                    '\\' => out.extend(rest.next()),
                    other => out.push(other),
                }
            }
            out
        }
        None => name.to_owned(),
    };
    crate::text::visible_line(&plain, 200)
}
