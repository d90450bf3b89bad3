//! The body of a letter as one piece of HTML for its frame.

use super::calendar::Event;
use super::letter::{Block, Letter};
use crate::html::{self, Link, Policy};
use crate::text::{enriched_to_html, escape, to_html};

/// Bytes of plain text that are shown.
const TEXT_LIMIT: usize = 2 << 20;

/// Which body to show where there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preference {
    /// HTML.
    #[default]
    Html,
    /// Plain text.
    Text,
}

/// A body for a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Rules for a `style` element; they apply inside [`html::BODY_CLASS`] alone.
    pub style: String,
    /// HTML for the inside of an element of that class.
    pub body: String,
    /// Images that are left out because remote images are off.
    pub blocked_images: usize,
    /// Links in order.
    pub links: Vec<Link>,
    /// Whether something was too long to be shown whole.
    pub cut: bool,
}

/// The body of `letter`. Every piece of it is cleaned, whichever form it had; nothing is changed after.
pub fn show(letter: &Letter, preference: Preference, policy: &Policy<'_>) -> Shown {
    let blocks = match preference {
        Preference::Html => &letter.html,
        Preference::Text => &letter.text,
    };
    let mut shown = Shown::default();
    for block in blocks {
        let foreign = match block {
            Block::Html(html) if preference == Preference::Html => html.clone(),
            Block::Html(html) => text_html(&html::to_text(html), &mut shown.cut),
            Block::Text(text) => text_html(text, &mut shown.cut),
            Block::Enriched(text) => enriched_to_html(text),
            Block::Calendar(events) => events.iter().map(event_html).collect(),
            Block::Image(id) => match letter.parts.iter().find(|one| one.id == *id) {
                Some(part) => image_html(part, policy),
                None => continue,
            },
        };
        let cleaned = html::clean(&foreign, policy);
        if !shown.body.is_empty() {
            shown.body.push_str("<hr>");
        }
        shown.style.push_str(&cleaned.style);
        shown.body.push_str(&cleaned.body);
        shown.blocked_images += cleaned.blocked_images;
        shown.links.extend(cleaned.links);
        shown.cut |= cleaned.cut;
    }
    shown
}

fn text_html(text: &str, cut: &mut bool) -> String {
    let mut end = text.len().min(TEXT_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    *cut |= end < text.len();
    format!("<div class=\"plain\">{}</div>", to_html(&text[..end]))
}

fn image_html(part: &super::Part, policy: &Policy<'_>) -> String {
    // The caller knows images by their Content-ID; one without is known by its place.
    let key = part.content_id.clone().unwrap_or_else(|| format!("part:{}", part.id));
    match policy.images.inline(&key) {
        Some(url) => {
            format!("<p><img src=\"{}\" alt=\"{}\"></p>", escape(&url), escape(&part.name))
        }
        None => String::new(),
    }
}

fn event_html(event: &Event) -> String {
    let rows = [
        ("📅", event.summary.clone()),
        (
            "🕘",
            if event.end.is_empty() {
                event.start.clone()
            } else {
                format!("{} – {}", event.start, event.end)
            },
        ),
        ("↻", event.repeats.clone()),
        ("📍", event.location.clone()),
        ("👤", event.organizer.clone()),
        ("👥", if event.attendees == 0 { String::new() } else { event.attendees.to_string() }),
    ];
    let mut out = String::from("<table class=\"event\">");
    for (sign, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        out.push_str(&format!("<tr><td>{sign}</td><td>{}</td></tr>", escape(value)));
    }
    out.push_str("</table>");
    if !event.description.is_empty() {
        out.push_str(&to_html(&event.description));
    }
    out
}
