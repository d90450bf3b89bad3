//! Answers and forwards: who gets them, what stands in their headers, what is quoted.

use super::address::{Recipient, is_address};
use crate::html::Policy;
use crate::reading::{Block, Letter, Mailbox, Preference, show};
use crate::text;

/// Ids that a conversation keeps: the first and the last ones (RFC 5322, section 3.6.4, sets no limit; a
/// header line of thousands breaks servers).
const REFERENCE_LIMIT: usize = 50;

/// The head of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Recipients.
    pub to: Vec<Recipient>,
    /// Recipients of copies.
    pub cc: Vec<Recipient>,
    /// Subject with `Re:` or `Fwd:` once.
    pub subject: String,
    /// Ids of what is answered.
    pub in_reply_to: Vec<String>,
    /// Ids of the conversation with it.
    pub references: Vec<String>,
    /// Whether the writer got the original as a blind copy, so that answering to all tells everybody so.
    pub was_blind: bool,
}

/// The head of an answer to `letter`, to its author or to all. `own` are the writer's addresses.
pub fn answer(letter: &Letter, to_all: bool, own: &[String]) -> Answer {
    let headers = &letter.headers;
    let is_own = |address: &str| own.iter().any(|one| one.eq_ignore_ascii_case(address));
    let author = if headers.reply_to.is_empty() { &headers.from } else { &headers.reply_to };
    // An answer to one's own message goes on to whom it went.
    let written_by_self =
        !headers.from.is_empty() && headers.from.iter().all(|one| is_own(&one.address));
    let mut out = head(letter, "Re:");
    let mut seen: Vec<String> = Vec::new();
    let mut add = |list: &mut Vec<Recipient>, from: &[Mailbox], keep_own: bool| {
        for one in from {
            let Some(recipient) = recipient(one) else { continue };
            let key = recipient.address.to_ascii_lowercase();
            if (keep_own || !is_own(&recipient.address)) && !seen.contains(&key) {
                seen.push(key);
                list.push(recipient);
            }
        }
    };
    if written_by_self {
        add(&mut out.to, &headers.to, true);
    } else {
        add(&mut out.to, author, true);
    }
    if to_all {
        if !written_by_self {
            add(&mut out.cc, &headers.to, false);
        }
        add(&mut out.cc, &headers.cc, false);
        let named = headers.to.iter().chain(&headers.cc).any(|one| is_own(&one.address));
        out.was_blind = !written_by_self && !named && headers.list_id.is_none();
    }
    out
}

/// The head of a forward: no recipients, but part of the conversation for its writer.
pub fn forward(letter: &Letter) -> Answer {
    let mut out = head(letter, "Fwd:");
    out.in_reply_to.clear();
    out
}

fn head(letter: &Letter, prefix: &str) -> Answer {
    let headers = &letter.headers;
    let mut references = if headers.references.is_empty() {
        headers.in_reply_to.clone()
    } else {
        headers.references.clone()
    };
    references.extend(headers.message_id.clone());
    if references.len() > REFERENCE_LIMIT {
        let newest = references.split_off(references.len() - (REFERENCE_LIMIT - 1));
        references.truncate(1);
        references.extend(newest);
    }
    Answer {
        subject: subject_with(prefix, &headers.subject),
        in_reply_to: headers.message_id.iter().cloned().collect(),
        references,
        ..Answer::default()
    }
}

fn recipient(mailbox: &Mailbox) -> Option<Recipient> {
    // A name that deceives is not carried on.
    let name = if mailbox.deceit.is_none() {
        mailbox.name.clone().unwrap_or_default()
    } else {
        String::new()
    };
    is_address(&mailbox.address).then(|| Recipient { name, address: mailbox.address.clone() })
}

/// `prefix` and the subject without the prefixes of the same meaning that other programs put there.
pub fn subject_with(prefix: &str, subject: &str) -> String {
    const ANSWERS: &[&str] = &["re:", "aw:", "antw:", "sv:", "odp:", "vs:"];
    const FORWARDS: &[&str] = &["fwd:", "fw:", "wg:", "tr:", "rv:", "i:"];
    let known = if prefix.eq_ignore_ascii_case("re:") { ANSWERS } else { FORWARDS };
    let mut rest = subject.trim();
    while let Some(found) = known
        .iter()
        .find(|one| rest.get(..one.len()).is_some_and(|head| head.eq_ignore_ascii_case(one)))
    {
        rest = rest[found.len()..].trim_start();
    }
    format!("{prefix} {rest}").trim_end().to_owned()
}

/// The body of a letter as plain text.
pub fn plain_text(letter: &Letter) -> String {
    let mut out = String::new();
    for block in &letter.text {
        let piece = match block {
            Block::Text(text) => text::visible(text),
            Block::Html(html) => crate::html::to_text(html),
            Block::Enriched(text) => crate::html::to_text(&text::enriched_to_html(text)),
            Block::Calendar(events) => events
                .iter()
                .map(|one| {
                    format!("{}\n{} – {}\n{}\n", one.summary, one.start, one.end, one.location)
                })
                .collect(),
            Block::Image(_) => continue,
        };
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        out.push_str(&piece);
    }
    out
}

/// The quote for a plain answer: `attribution` ("On …, … wrote:"), then the text behind `> `. The
/// original's signature is left out.
pub fn quoted_text(letter: &Letter, attribution: &str) -> String {
    let text = plain_text(letter);
    let text = text.split("\n-- \n").next().unwrap_or_default();
    format!("{}\n{}", text::visible_line(attribution, 300), text::quote(text))
}

/// The quote for a rich answer: cleaned for an editor, which runs in the page's own place. `policy` should
/// be [`Policy::quoting`]; it is made so here whatever it is.
pub fn quoted_html(letter: &Letter, attribution: &str, policy: &Policy<'_>) -> String {
    let policy = Policy { quoting: true, ..*policy };
    let shown = show(letter, Preference::Html, &policy);
    format!(
        "<p>{}</p><blockquote>{}</blockquote>",
        text::escape(&text::visible_line(attribution, 300)),
        shown.body
    )
}
