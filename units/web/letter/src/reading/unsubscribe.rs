//! `List-Unsubscribe` (RFC 2369) and one-click (RFC 8058).

use mail_parser::MessageParser;

use super::headers::raw_values;

/// How to leave a mailing list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsubscribe {
    /// POST `List-Unsubscribe=One-Click` to this https address, from the server, by the same rules as the
    /// image proxy: it is a stranger's address.
    OneClick(String),
    /// Open this https address in a window of its own.
    Page(String),
    /// Send a message: address and subject.
    Mail(String, String),
}

/// The ways that a message names, best first.
pub fn unsubscribe(message: &[u8]) -> Vec<Unsubscribe> {
    let (message, _) = super::bounds::bounded(message);
    let Some(parsed) = MessageParser::default().parse_headers(message.as_ref()) else {
        return Vec::new();
    };
    let one_click = (raw_values(&parsed, "List-Unsubscribe-Post").iter())
        .any(|one| one.eq_ignore_ascii_case("List-Unsubscribe=One-Click"));
    let Some(value) = raw_values(&parsed, "List-Unsubscribe").into_iter().next() else {
        return Vec::new();
    };
    let mut out: Vec<Unsubscribe> = Vec::new();
    for piece in value.split('<').skip(1).take(10) {
        let Some((address, _)) = piece.split_once('>') else { continue };
        let address: String = address.split_whitespace().collect();
        let Ok(url) = ammonia::Url::parse(&address) else { continue };
        match url.scheme() {
            "https" if url.has_host() && url.username().is_empty() => {
                if one_click {
                    out.push(Unsubscribe::OneClick(url.to_string()));
                }
                out.push(Unsubscribe::Page(url.to_string()));
            }
            "mailto" => {
                let to = crate::html::percent_decoded(url.path());
                if crate::writing::is_address(&to) {
                    let subject =
                        url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case("subject"));
                    let subject = subject
                        .map_or_else(|| "unsubscribe".to_owned(), |(_, value)| value.into_owned());
                    out.push(Unsubscribe::Mail(to, crate::text::visible_line(&subject, 200)));
                }
            }
            _ => {}
        }
    }
    out.sort_by_key(|one| match one {
        Unsubscribe::OneClick(_) => 0,
        Unsubscribe::Mail(..) => 1,
        Unsubscribe::Page(_) => 2,
    });
    out
}
