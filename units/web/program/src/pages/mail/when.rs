//! Times as a reader sees them: in the zone that they chose, else in UTC, which the script turns into the browser's own. It leaves
//! alone what has the attribute `data-local`.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::i18n::Language;
use crate::layout::View;

/// A time in a list: the clock for today, otherwise the day.
pub(super) fn short(view: &View, seconds: i64) -> Markup {
    let Ok(time) = Timestamp::from_second(seconds) else { return html! {} };
    let (zone, now) = (view.zone(), Timestamp::now());
    let (there, today) = (time.to_zoned(zone.clone()), now.to_zoned(zone));
    let text = match view.language {
        _ if there.date() == today.date() => there.strftime("%H:%M").to_string(),
        Language::German if there.year() == today.year() => there.strftime("%d.%m.").to_string(),
        Language::German => there.strftime("%d.%m.%y").to_string(),
        Language::English if there.year() == today.year() => there.strftime("%d %b").to_string(),
        Language::English => there.strftime("%d %b %y").to_string(),
    };
    html! { time datetime=(time.to_string()) data-short data-local[view.chosen_zone().is_some()] { (text) } }
}

/// A time with its day.
pub(super) fn long(view: &View, seconds: i64) -> Markup {
    let Ok(time) = Timestamp::from_second(seconds) else { return html! {} };
    let there = time.to_zoned(view.zone());
    let text = match view.language {
        Language::German => there.strftime("%d.%m.%Y %H:%M %Z").to_string(),
        Language::English => there.strftime("%d %b %Y, %H:%M %Z").to_string(),
    };
    html! { time datetime=(time.to_string()) data-local[view.chosen_zone().is_some()] { (text) } }
}

/// A size in words.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..=999 => format!("{bytes} B"),
        1_000..=999_999 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
