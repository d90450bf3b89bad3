//! Invitations as fields of text (RFC 5545). Nothing in them becomes markup, a link or a request.

use crate::text;

/// Events, and lines of a calendar, that are read.
const EVENT_LIMIT: usize = 50;
const LINE_LIMIT: usize = 20_000;
/// Characters of a value.
const VALUE_LIMIT: usize = 4000;

/// One event, each value as text for a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What the sender wants: `REQUEST`, `CANCEL`, `REPLY`, `PUBLISH`.
    pub method: String,
    /// Title.
    pub summary: String,
    /// Start and end as written, with their time zone's name in brackets.
    pub start: String,
    /// As `start`.
    pub end: String,
    /// Where.
    pub location: String,
    /// Who invites.
    pub organizer: String,
    /// How many are invited.
    pub attendees: usize,
    /// How often, as written.
    pub repeats: String,
    /// Description, several lines.
    pub description: String,
}

/// The events of a calendar.
pub fn events(calendar: &str) -> Vec<Event> {
    let mut out = Vec::new();
    let mut method = String::new();
    let mut event: Option<Event> = None;
    // Alarms and zones inside have fields of the same names.
    let mut inner = 0_usize;
    for line in unfolded(calendar) {
        let Some((name, value)) = split_value(&line) else { continue };
        let mut parameters = name.split(';');
        let key = parameters.next().unwrap_or_default().to_ascii_uppercase();
        match (key.as_str(), &mut event) {
            ("BEGIN", None) if value.eq_ignore_ascii_case("VEVENT") => {
                event = Some(Event::default())
            }
            ("BEGIN", Some(_)) => inner += 1,
            ("END", Some(_)) if inner > 0 => inner -= 1,
            ("END", Some(_)) => {
                out.extend(event.take());
                if out.len() >= EVENT_LIMIT {
                    break;
                }
            }
            ("METHOD", None) => method = text::visible_line(value, 20),
            (_, Some(event)) if inner == 0 => fill(event, &key, &name, value),
            _ => {}
        }
    }
    for event in &mut out {
        event.method.clone_from(&method);
    }
    out
}

fn fill(event: &mut Event, key: &str, name: &str, value: &str) {
    match key {
        "SUMMARY" => event.summary = text::visible_line(&unescaped(value), 300),
        "LOCATION" => event.location = text::visible_line(&unescaped(value), 300),
        "DESCRIPTION" => {
            event.description = text::visible(&unescaped(value)).chars().take(VALUE_LIMIT).collect()
        }
        "DTSTART" => event.start = moment(name, value),
        "DTEND" => event.end = moment(name, value),
        "RRULE" => event.repeats = text::visible_line(value, 200),
        "ATTENDEE" => event.attendees += 1,
        "ORGANIZER" => {
            let address = value
                .get(..7)
                .filter(|one| one.eq_ignore_ascii_case("mailto:"))
                .map_or(value, |_| &value[7..]);
            event.organizer = text::visible_line(address, 300);
        }
        _ => {}
    }
}

/// `20261201T090000Z` as `2026-12-01 09:00 UTC`; what has another form stays as it is.
fn moment(name: &str, value: &str) -> String {
    let zone =
        name.split(';').find_map(|one| one.strip_prefix("TZID=")).map(|one| one.trim_matches('"'));
    let digits = |range: std::ops::Range<usize>| {
        value.get(range).filter(|one| one.bytes().all(|one| one.is_ascii_digit()))
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(4..6), digits(6..8)) else {
        return text::visible_line(value, 60);
    };
    let mut out = format!("{year}-{month}-{day}");
    if let (Some("T"), Some(hour), Some(minute)) = (value.get(8..9), digits(9..11), digits(11..13))
    {
        out.push_str(&format!(" {hour}:{minute}"));
    }
    match zone {
        Some(zone) => out.push_str(&format!(" ({})", text::visible_line(zone, 60))),
        None if value.ends_with('Z') => out.push_str(" UTC"),
        None => {}
    }
    out
}

fn unfolded(calendar: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in calendar.lines().take(LINE_LIMIT) {
        match (line.strip_prefix([' ', '\t']), out.last_mut()) {
            (Some(rest), Some(last)) if last.len() < 4 * VALUE_LIMIT => last.push_str(rest),
            (Some(_), Some(_)) => {}
            _ => out.push(line.to_owned()),
        }
    }
    out
}

/// Splits a line at the first `:` outside quotes.
fn split_value(line: &str) -> Option<(String, &str)> {
    let mut quoted = false;
    for (at, one) in line.char_indices() {
        match one {
            '"' => quoted = !quoted,
            ':' if !quoted => return Some((line[..at].to_owned(), &line[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(one) = rest.next() {
        match one {
            '\\' => match rest.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}
