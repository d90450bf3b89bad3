//! Where links lead: the last step, on cleaned tokens.

use ammonia::Url;

use super::policy::{Policy, WARNING_CLASS};
use super::tokens::Token;
use crate::text;

/// Why a link is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Its text names one place and it leads to another.
    OtherPlace,
    /// The host is written with letters that look like others.
    LookAlike,
    /// A name stands before the host, as in `https://bank.example@thief.example/`.
    NameInFront,
    /// Its text holds signs that turn the direction of writing.
    Reversed,
}

/// A link of the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub target: String,
    /// What it shows.
    pub text: String,
    /// What is wrong with it, if anything.
    pub suspicion: Option<Suspicion>,
}

/// Puts the target into each link's `title`, opens it in a window of its own, and adds a mark with the
/// true host after those that deceive.
pub(super) fn annotate(tokens: Vec<Token>, policy: &Policy<'_>) -> (Vec<Token>, Vec<Link>) {
    let mut out = Vec::with_capacity(tokens.len());
    let mut links = Vec::new();
    let mut open: Option<(String, String)> = None;
    for token in tokens {
        match token {
            Token::Start { name, mut attributes } if name == "a" => {
                attributes.retain(|(key, _)| !matches!(key.as_str(), "title" | "target" | "rel"));
                let target =
                    attributes.iter().find(|(key, _)| key == "href").map(|(_, to)| to.clone());
                if let Some(target) = target {
                    if !target.starts_with('#') && !policy.quoting {
                        attributes.push(("title".into(), target.clone()));
                        attributes.push(("target".into(), "_blank".into()));
                        attributes.push(("rel".into(), "noopener noreferrer nofollow".into()));
                    }
                    open = Some((target, String::new()));
                }
                out.push(Token::Start { name, attributes });
            }
            Token::End(name) if name == "a" => {
                out.push(Token::End(name));
                if let Some((target, text)) = open.take() {
                    let suspicion = inspect_link(&text, &target);
                    if suspicion.is_some() && !policy.quoting {
                        mark(&mut out, &target);
                    }
                    links.push(Link { target, text: text.trim().to_owned(), suspicion });
                }
            }
            Token::Text(text) => {
                if let Some((_, shown)) = &mut open
                    && shown.len() < 2000
                {
                    shown.push_str(&text);
                }
                out.push(Token::Text(text));
            }
            other => out.push(other),
        }
    }
    (out, links)
}

fn mark(out: &mut Vec<Token>, target: &str) {
    let place = Url::parse(target)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| target.chars().take(80).collect());
    out.push(Token::Start {
        name: "span".into(),
        attributes: vec![("class".into(), WARNING_CLASS.into())],
    });
    out.push(Token::Text(format!(" ⚠ {place} ")));
    out.push(Token::End("span".into()));
}

/// What is wrong with a link that shows `text` and leads to `target`.
pub fn inspect_link(text: &str, target: &str) -> Option<Suspicion> {
    let url = Url::parse(target).ok()?;
    if text::has_direction_controls(text) {
        return Some(Suspicion::Reversed);
    }
    if url.scheme() == "mailto" {
        let shown = text.trim();
        let differs = text::looks_like_address(shown)
            && !url.path().eq_ignore_ascii_case(shown)
            && !super::urls::percent_decoded(url.path()).eq_ignore_ascii_case(shown);
        return differs.then_some(Suspicion::OtherPlace);
    }
    let host = url.host_str()?;
    if !url.username().is_empty() || url.password().is_some() {
        return Some(Suspicion::NameInFront);
    }
    if let Some(named) = named_host(text)
        && !same_place(&named, host)
    {
        return Some(Suspicion::OtherPlace);
    }
    text::is_look_alike(host).then_some(Suspicion::LookAlike)
}

/// The host that a text names, in the letters that the domain system knows, if it names one.
fn named_host(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|one| !text::is_invisible(*one)).collect();
    let word = text.split_whitespace().find(|one| looks_like_host(one))?;
    let word = word.trim_matches(|one: char| "<>()[]\"'.,;:!?".contains(one));
    let url = if word.contains("://") {
        Url::parse(word)
    } else {
        Url::parse(&format!("https://{word}"))
    };
    url.ok()?.host_str().map(str::to_owned)
}

fn looks_like_host(word: &str) -> bool {
    let word = word.trim_matches(|one: char| "<>()[]\"'.,;:!?".contains(one));
    if word.contains('@') {
        return false;
    }
    let (schemed, rest) = match word.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, word),
    };
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let Some(last) = labels.last() else { return false };
    labels.len() >= 2
        && labels.iter().all(|one| {
            !one.is_empty() && one.chars().all(|one| one.is_alphanumeric() || one == '-')
        })
        && (schemed
            || host.starts_with("www.")
            || (last.chars().count() >= 2 && last.chars().all(char::is_alphabetic)))
        && (schemed || !is_file_ending(last))
}

/// Names of files look like hosts: `report.pdf` names no place.
fn is_file_ending(last: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "png", "jpg", "jpeg", "gif",
        "html", "htm", "csv", "xml", "json", "js", "exe", "ics", "odt", "ods", "mp", "svg",
    ];
    ENDINGS.iter().any(|one| last.eq_ignore_ascii_case(one))
}

/// Whether two hosts are the same, or one lies inside the other.
fn same_place(one: &str, other: &str) -> bool {
    let plain =
        |host: &str| host.trim_end_matches('.').trim_start_matches("www.").to_ascii_lowercase();
    let (one, other) = (plain(one), plain(other));
    one == other || one.ends_with(&format!(".{other}")) || other.ends_with(&format!(".{one}"))
}
