//! Names and types of attachments: what the sender says is never believed.

use std::fmt::Write as _;

/// Characters of a name.
const NAME_LIMIT: usize = 120;

/// A name to store a part under: no path, no control, no sign that turns the direction of writing, no
/// name that a system keeps for itself. `media_type` gives the ending where there is no name.
pub fn safe_name(given: Option<&str>, media_type: &str) -> String {
    let given = given.unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = (last.chars())
        .filter(|one| !one.is_control() && !crate::text::is_invisible(*one) && *one != '\u{fffd}')
        .map(|one| {
            if "<>:\"|?*".contains(one) || matches!(one, '\u{2028}' | '\u{2029}') {
                '_'
            } else {
                one
            }
        })
        .collect();
    name = name.trim().trim_matches(['.', ' ']).to_owned();
    if name.chars().count() > NAME_LIMIT {
        name = shortened(&name);
    }
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let reserved = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")));
    if reserved {
        name.insert(0, '_');
    }
    if name.is_empty() { format!("attachment.{}", ending(media_type)) } else { name }
}

/// Cuts the middle of a long name, so that the ending stays.
fn shortened(name: &str) -> String {
    let ending =
        name.rsplit_once('.').map(|(_, ending)| ending).filter(|one| one.chars().count() <= 12);
    let keep = NAME_LIMIT - ending.map_or(0, |one| one.chars().count() + 1);
    let start: String = name.chars().take(keep).collect();
    match ending {
        Some(ending) => format!("{start}.{ending}"),
        None => start,
    }
}

fn ending(media_type: &str) -> &'static str {
    match media_type {
        "message/rfc822" | "message/global" => "eml",
        "text/plain" => "txt",
        "text/html" => "html",
        "text/calendar" => "ics",
        "text/vcard" | "text/x-vcard" => "vcf",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        _ => "bin",
    }
}

/// Whether opening a file of this name runs something, or shows a page that could, on many machines.
pub fn is_dangerous(name: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "ade", "adp", "apk", "appx", "bat", "cab", "chm", "cmd", "com", "cpl", "dll", "dmg", "exe",
        "hta", "htm", "html", "img", "ins", "iso", "isp", "jar", "js", "jse", "lnk", "mde", "msc",
        "msi", "msix", "msp", "mst", "one", "pif", "ps1", "reg", "scf", "scr", "sct", "shb",
        "shtml", "svg", "sys", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "ws", "wsc", "wsf", "wsh",
        "xhtml", "xll", "xml", "xsl",
    ];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|one| ending.eq_ignore_ascii_case(one))
}

/// The type of an image by its first bytes, if it is one that a page may show.
pub fn inline_image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The value of `Content-Disposition` for a download (RFC 6266): always `attachment`, and a name that
/// can't leave its quotes.
pub fn content_disposition(name: &str) -> String {
    let plain: String = (name.chars())
        .map(|one| if one.is_ascii_alphanumeric() || " .-_()".contains(one) { one } else { '_' })
        .collect();
    let mut out = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        out.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
