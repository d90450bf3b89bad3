//! What our server has found out about a message: `Authentication-Results` (RFC 8601) and the fields of
//! the spam filter. A sender can write both; only the topmost of our own server counts.

use mail_parser::MessageParser;

use super::headers::raw_values;
use crate::text;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is proved.
    Pass,
    /// It is disproved.
    Fail,
    /// It is likely disproved, but the domain's owner isn't sure (`softfail`, `policy`).
    Doubtful,
    /// The domain's owner says nothing (`none`, `neutral`).
    Nothing,
    /// It could not be found out (`temperror`, `permerror`).
    Error,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `spf`, `dkim`, `dmarc`, `arc`, `iprev`.
    pub method: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The domain or address that was checked, one line.
    pub of: Option<String>,
    /// Why, as the server says it, one line.
    pub reason: Option<String>,
}

/// The checks that the server of this name has made. `our_host` is its `authserv-id`.
pub fn authentication(message: &[u8], our_host: &str) -> Vec<Check> {
    let (message, _) = super::bounds::bounded(message);
    let Some(parsed) = MessageParser::default().parse_headers(message.as_ref()) else {
        return Vec::new();
    };
    // A field below the first `Received` line came with the message.
    let values = raw_values(&parsed, "Authentication-Results");
    let Some(value) = values.first() else { return Vec::new() };
    let mut sections = split_outside_quotes(value);
    if sections.is_empty() {
        return Vec::new();
    }
    let server = sections.remove(0);
    if !server.split_whitespace().next().is_some_and(|one| one.eq_ignore_ascii_case(our_host)) {
        return Vec::new();
    }
    sections.iter().take(50).filter_map(|one| check(one)).collect()
}

/// Splits at `;` outside quotes and comments.
fn split_outside_quotes(value: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut quoted, mut comment) = (false, 0_usize);
    for one in value.chars() {
        match one {
            '"' if comment == 0 => quoted = !quoted,
            '(' if !quoted => comment += 1,
            ')' if !quoted => comment = comment.saturating_sub(1),
            ';' if !quoted && comment == 0 => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(one);
        }
    }
    out
}

fn check(section: &str) -> Option<Check> {
    let mut comment = None;
    let mut plain = section.to_owned();
    if let (Some(from), Some(to)) = (section.find('('), section.rfind(')'))
        && from < to
    {
        comment = Some(text::visible_line(&section[from + 1..to], 200));
        plain = format!("{} {}", &section[..from], &section[to + 1..]);
    }
    let mut words = plain.split_whitespace();
    let (method, result) = words.next()?.split_once('=')?;
    let outcome = match result.to_ascii_lowercase().as_str() {
        "pass" => Outcome::Pass,
        "fail" | "hardfail" => Outcome::Fail,
        "softfail" | "policy" => Outcome::Doubtful,
        "temperror" | "permerror" => Outcome::Error,
        _ => Outcome::Nothing,
    };
    let mut of = None;
    let mut reason = comment;
    for word in words {
        let Some((key, value)) = word.split_once('=') else { continue };
        let value = text::visible_line(value.trim_matches('"'), 200);
        match key.to_ascii_lowercase().as_str() {
            "header.d" | "header.from" | "smtp.mailfrom" | "smtp.helo" | "policy.iprev"
                if of.is_none() =>
            {
                of = Some(value)
            }
            "reason" => reason = Some(value),
            _ => {}
        }
    }
    Some(Check {
        method: text::visible_line(&method.to_ascii_lowercase(), 20),
        outcome,
        of,
        reason,
    })
}

/// What the spam filter says.
#[derive(Debug, Clone, PartialEq)]
pub struct Spam {
    /// Whether it takes the message for spam.
    pub is_spam: bool,
    /// The sum of the reasons.
    pub score: Option<f32>,
    /// Each reason's tag and points, heaviest first.
    pub reasons: Vec<(String, f32)>,
}

/// The judgement in `X-Spam-Status` and `X-Spam-Result`, which our server removes from mail that comes in
/// before it writes its own.
pub fn spam(message: &[u8]) -> Option<Spam> {
    let (message, _) = super::bounds::bounded(message);
    let parsed = MessageParser::default().parse_headers(message.as_ref())?;
    let status = raw_values(&parsed, "X-Spam-Status").into_iter().next();
    let result = raw_values(&parsed, "X-Spam-Result").into_iter().next();
    if status.is_none() && result.is_none() {
        return None;
    }
    let status = status.unwrap_or_default();
    let score = (status.split([' ', ',', ';'])).find_map(|one| one.strip_prefix("score="));
    let mut reasons: Vec<(String, f32)> =
        result.unwrap_or_default().split(',').take(200).filter_map(reason).collect();
    reasons.sort_by(|one, other| {
        other.1.abs().total_cmp(&one.1.abs()).then_with(|| one.0.cmp(&other.0))
    });
    Some(Spam {
        is_spam: status.to_ascii_lowercase().starts_with("yes"),
        score: score.and_then(|one| one.parse().ok()).filter(|one: &f32| one.is_finite()),
        reasons,
    })
}

/// `TAG (1.50)`.
fn reason(text: &str) -> Option<(String, f32)> {
    let (tag, points) = text.trim().split_once('(')?;
    let points: f32 = points.trim_end_matches(')').trim().parse().ok()?;
    let tag: String = tag
        .trim()
        .chars()
        .filter(|one| one.is_ascii_alphanumeric() || *one == '_')
        .take(60)
        .collect();
    (points.is_finite() && !tag.is_empty()).then_some((tag, points))
}
