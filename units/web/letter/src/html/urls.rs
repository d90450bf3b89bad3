//! Addresses in a mail: which may stay, and as what.

use ammonia::Url;

use super::policy::Policy;

/// Longer addresses are nobody's: 8 KiB is what servers take.
const LINK_LIMIT: usize = 8192;
/// An image that is written into the mail's own HTML: 2 MiB of base64.
const DATA_LIMIT: usize = 2 << 20;

/// The types of image that a browser draws without running anything in them.
const DATA_IMAGES: &[&str] = &[
    "data:image/png;base64,",
    "data:image/gif;base64,",
    "data:image/jpeg;base64,",
    "data:image/webp;base64,",
];

/// A link's target as it may stay, or `None`.
pub(super) fn link(value: &str, policy: &Policy<'_>, prefix: &str) -> Option<String> {
    let value = value.trim_matches(|one: char| one.is_ascii_whitespace() || one.is_control());
    if value.len() > LINK_LIMIT {
        return None;
    }
    if let Some(compose) = policy.compose
        && value.starts_with(compose)
    {
        return Some(compose_target(compose, &value[compose.len()..]));
    }
    if let Some(fragment) = value.strip_prefix('#') {
        let name = prefixed(fragment, prefix)?;
        return Some(format!("#{name}"));
    }
    let url = Url::parse(value).ok()?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Some(url.to_string()),
        "tel" => Some(url.to_string()),
        "mailto" => match policy.compose {
            Some(compose) => Some(compose_target(compose, url.path())),
            None => Some(url.to_string()),
        },
        _ => None,
    }
}

/// The caller's address with a recipient that can't leave its place: everything but letters, digits
/// and `%@.-_+` is dropped.
fn compose_target(compose: &str, recipient: &str) -> String {
    let recipient: String = (recipient.chars())
        .filter(|one| one.is_ascii_alphanumeric() || "%@.-_+,".contains(*one))
        .take(320)
        .collect();
    format!("{compose}{recipient}")
}

/// What becomes of an image's address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// It may be fetched from here.
    From(String),
    /// It is remote, and remote images are off.
    Blocked,
    /// It is nothing that a mail may show.
    Refused,
}

/// Decides on an image's address.
pub(super) fn image(value: &str, policy: &Policy<'_>) -> Image {
    let value = value.trim_matches(|one: char| one.is_ascii_whitespace() || one.is_control());
    if policy.images.is_ours(value) {
        return Image::From(value.to_owned());
    }
    let start: String = value.chars().take(32).collect::<String>().to_ascii_lowercase();
    if start.starts_with("data:") {
        return match DATA_IMAGES.iter().find(|one| start.starts_with(**one)) {
            Some(kind) if value.len() <= DATA_LIMIT && is_base64(&value[kind.len()..]) => {
                Image::From(format!("{kind}{}", strip_blanks(&value[kind.len()..])))
            }
            _ => Image::Refused,
        };
    }
    if start.starts_with("cid:") {
        let id = percent_decoded(&value[4..]);
        return match policy.images.inline(id.trim_matches(['<', '>'])) {
            Some(url) => Image::From(url),
            None => Image::Refused,
        };
    }
    // `//host/path` takes the scheme of the page that holds it; a mail has none, so take the safe one.
    let absolute =
        if value.starts_with("//") { format!("https:{value}") } else { value.to_owned() };
    if absolute.len() > LINK_LIMIT {
        return Image::Refused;
    }
    match Url::parse(&absolute) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            match policy.images.remote(url.as_str()) {
                Some(ours) => Image::From(ours),
                None => Image::Blocked,
            }
        }
        _ => Image::Refused,
    }
}

fn is_base64(text: &str) -> bool {
    text.bytes().all(|one| {
        one.is_ascii_alphanumeric()
            || matches!(one, b'+' | b'/' | b'=')
            || one.is_ascii_whitespace()
    })
}

fn strip_blanks(text: &str) -> String {
    text.chars().filter(|one| !one.is_ascii_whitespace()).collect()
}

/// `%41` becomes `A`; what is no such sequence stays.
pub(crate) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .filter(|two| two.iter().all(u8::is_ascii_hexdigit))
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        if let Some(byte) = digits {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A name with the prefix that keeps it apart from the page's: letters, digits, `-`, `_` alone, 64 of
/// them at most. `None` if nothing is left.
pub(super) fn prefixed(name: &str, prefix: &str) -> Option<String> {
    let mut name: String = (name.chars())
        .filter(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_'))
        .take(64)
        .collect();
    if name.is_empty() || name == prefix {
        return None;
    }
    if !name.starts_with(prefix) {
        name.truncate(64 - prefix.len());
        name.insert_str(0, prefix);
    }
    Some(name)
}
