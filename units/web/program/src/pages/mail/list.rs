//! The middle of the page: search field, tools, rows, and the way to the pages around.

use mailkiln_servers::imap::{Folder, Order, SpecialUse};
use maud::{Markup, html};

use super::listing::Listing;
use super::place::Place;
use super::row::Row;
use super::{folders, show, when};
use crate::layout::View;

const ORDERS: [(Order, &str); 5] = [
    (Order::Arrival, "mail.order-arrival"),
    (Order::Date, "mail.order-date"),
    (Order::From, "mail.order-from"),
    (Order::Subject, "mail.order-subject"),
    (Order::Size, "mail.order-size"),
];

/// The list with all around it.
pub(super) fn list(
    view: &View,
    place: &Place,
    listing: &Listing,
    all: &[Folder],
    notice: &Markup,
) -> Markup {
    let text = |key: &str| view.language.text(key);
    let current = all.iter().find(|folder| folder.wire == place.folder);
    let heading = match current {
        Some(folder) if place.find.is_empty() => folders::name(view, folder),
        _ => text("mail.found").to_owned(),
    };
    html! {
        section #list.list aria-labelledby="list-title" data-place=(place.list().here()) data-first[place.from.is_none() && place.above.is_none()] {
            (search(view, place))
            div.head {
                h1 #list-title tabindex="-1" { (heading) }
                span.hint { (view.language.count("mail.messages", listing.total as u64)) }
                (orders(view, place, listing))
            }
            (notice)
            (remarks(view, listing))
            form #rows-form method="post" action="/mail/do" {
                (folders::form_fields(view, &Place { done: String::new(), ..place.clone() }))
                (tools(view, place, listing, all))
                @if listing.rows.is_empty() {
                    p.hint.empty { (text("mail.empty")) }
                } @else {
                    ul #rows.rows {
                        @for row in &listing.rows { (line(view, place, row, all)) }
                    }
                }
            }
            (pages(view, place, listing))
        }
    }
}

fn search(view: &View, place: &Place) -> Markup {
    let text = |key: &str| view.language.text(key);
    html! {
        form.search role="search" method="get" action="/mail" {
            input type="hidden" name="f" value=(place.folder);
            @if place.grouped { input type="hidden" name="g" value="1"; }
            label.hidden for="find" { (text("mail.search")) }
            input id="find" type="search" name="q" value=(place.find) maxlength="500" placeholder=(text("mail.search")) aria-describedby="find-help";
            button.quiet { (text("mail.search-go")) }
            @if !place.find.is_empty() {
                a.button.quiet href=(Place { find: String::new(), ..place.list() }.here()) { (text("mail.search-end")) }
            }
            details.find-help #find-help {
                summary { (text("mail.search-help")) }
                p { (text("mail.search-words")) }
                p { code { "from: to: cc: subject: body: list:" } " " code { "has:attachment" } " " code { "is:unread is:read is:flagged is:answered" } " "
                    code { "before:2026-01-31 after:2026-01-01" } " " code { "larger:5M smaller:20k" } " " code { "in:all in:Archive" } " " code { "-from:bob" } }
            }
        }
    }
}

fn orders(view: &View, place: &Place, listing: &Listing) -> Markup {
    let text = |key: &str| view.language.text(key);
    if listing.everywhere {
        return html! {};
    }
    let grouped = Place { grouped: !place.grouped, order: None, ..place.list() };
    let link = if place.grouped { format!("{}&g=0", grouped.here()) } else { grouped.here() };
    html! {
        details.orders {
            summary { (text("mail.view")) }
            ul {
                li { a href=(link) { (text(if place.grouped { "mail.ungroup" } else { "mail.group" })) } }
                @for (order, key) in ORDERS {
                    @let current = place.order.map_or(order == Order::Arrival && !place.grouped, |(own, _)| own == order);
                    li { a href=(place.sorted(order).here()) aria-current=[current.then_some("true")] { (text(key)) } }
                }
            }
        }
    }
}

fn remarks(view: &View, listing: &Listing) -> Markup {
    html! {
        @if !listing.doubtful.is_empty() {
            p.hint role="status" { (view.language.fill("mail.doubtful", &[("words", &listing.doubtful.join(", "))])) }
        }
        @if listing.cut { p.hint { (view.language.text("mail.cut")) } }
        @if listing.plain { p.hint { (view.language.text("mail.plain-order")) } }
    }
}

fn tools(view: &View, place: &Place, listing: &Listing, all: &[Folder]) -> Markup {
    let text = |key: &str| view.language.text(key);
    let is = |wanted| show::is(all, &place.folder, wanted);
    let button = |action: &str, key: &'static str, class: &str| html! { button class=(class) name="do" value=(action) { (text(key)) } " " };
    html! {
        div.tools role="group" aria-label=(text("mail.tools")) {
            @if is(SpecialUse::Trash) || is(SpecialUse::Junk) {
                (button("destroy", "mail.destroy", "danger"))
            } @else {
                (button("trash", "mail.delete", "quiet"))
            }
            @if is(SpecialUse::Junk) { (button("not-junk", "mail.not-junk", "quiet")) }
            @else { (button("archive", "mail.archive", "quiet")) (button("junk", "mail.junk", "quiet")) }
            details.others {
                summary { (text("mail.more-tools")) }
                div.tools {
                    (button("read", "mail.mark-read", "quiet"))
                    (button("unread", "mail.mark-unread", "quiet"))
                    (button("flag", "mail.flag", "quiet"))
                    (button("unflag", "mail.unflag", "quiet"))
                    (folders::choice(view, place, all, "to")) " "
                    (button("move", "mail.move", "quiet"))
                    (button("copy", "mail.copy", "quiet"))
                }
            }
            @if !listing.everywhere && listing.total > 0 {
                label.all {
                    input type="checkbox" name="all" value="1";
                    (view.language.count("mail.all", listing.total as u64))
                }
            }
        }
    }
}

fn line(view: &View, place: &Place, row: &Row, all: &[Folder]) -> Markup {
    let text = |key: &str| view.language.text(key);
    let subject = if row.subject.is_empty() { text("mail.no-subject") } else { &row.subject };
    let folder = row.folder.as_deref();
    let value =
        folder.map_or_else(|| row.uid.to_string(), |folder| format!("{}@{folder}", row.uid));
    let there = folder.map_or_else(
        || place.with(row.uid),
        |folder| Place { folder: folder.to_owned(), message: Some(row.uid), ..Place::default() },
    );
    let current = place.message == Some(row.uid);
    let mark = |on: bool, sign: &str, key: &str| {
        html! {
            @if on { span.mark title=(text(key)) { span aria-hidden="true" { (sign) } span.hidden { (text(key)) } } }
        }
    };
    html! {
        li.row.unread[row.unread].flagged[row.flagged] data-uid=(value) draggable="true" {
            input type="checkbox" name="u" value=(value) aria-label=(view.language.fill("mail.select", &[("subject", &subject)]));
            a href=(there.here()) data-open-message aria-current=[current.then_some("true")] {
                span.who { @if row.unread { span.hidden { (text("mail.unread")) ": " } } (row.who)
                    @if row.count > 1 { " " span.thread { (row.count) span.hidden { " " (text("mail.in-conversation")) } } } }
                span.marks {
                    (mark(row.flagged, "★", "mail.flagged")) (mark(row.answered, "↩", "mail.answered"))
                    (mark(row.forwarded, "↪", "mail.forwarded")) (mark(row.clip, "📎", "mail.clip")) (mark(row.draft, "✎", "mail.draft"))
                }
                span.when { (when::short(view, row.when)) }
                span.subject { (subject) }
                span.preview { (row.preview) }
                @if let Some(folder) = folder.and_then(|wire| all.iter().find(|it| it.wire == wire)) {
                    span.where { (folders::label(view, folder)) }
                }
            }
        }
    }
}

fn pages(view: &View, place: &Place, listing: &Listing) -> Markup {
    let text = |key: &str| view.language.text(key);
    if listing.older.is_none() && listing.newer.is_none() {
        return html! {};
    }
    let first = listing.before + 1;
    let last = listing.before + listing.rows.len();
    let (first, last, total) = (first as u64, last as u64, listing.total as u64);
    let number = |number| view.language.number(number);
    html! {
        nav.pages aria-label=(text("mail.pages")) {
            @if let Some(uid) = listing.newer {
                a.button.quiet href=(place.list().here()) { (text("mail.first")) } " "
                a.button.quiet rel="prev" href=(place.above(uid).here()) { (text("mail.newer")) } " "
            }
            span { (view.language.fill("mail.range", &[("first", &number(first)), ("last", &number(last)), ("total", &number(total))])) }
            @if let Some(uid) = listing.older {
                " " a.button.quiet rel="next" href=(place.from(uid).here()) { (text("mail.older")) }
            }
        }
    }
}
