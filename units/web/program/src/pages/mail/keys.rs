//! The keys of the mail pages, for people to read. `assets/mail.js` acts on the same.

use axum::response::Response;
use maud::html;

use crate::layout::{Page, Section};
use crate::session::Session;

/// Each key and the text that says what it does.
pub(super) const KEYS: [(&str, &str); 18] = [
    ("j", "mail.key-next"),
    ("k", "mail.key-previous"),
    ("o", "mail.key-open"),
    ("u", "mail.key-close"),
    ("x", "mail.key-select"),
    ("e", "mail.archive"),
    ("#", "mail.delete"),
    ("!", "mail.junk"),
    ("s", "mail.flag"),
    ("i", "mail.mark-read"),
    ("m", "mail.mark-unread"),
    ("z", "mail.undo"),
    ("r", "mail.reply"),
    ("a", "mail.reply-all"),
    ("f", "mail.forward"),
    ("c", "nav.compose"),
    ("/", "mail.search"),
    ("?", "mail.keys"),
];

/// GET `/mail/keys`.
pub(super) async fn show(session: Session) -> Response {
    let text = |key| session.text(key);
    let content = html! {
        h1 { (text("mail.keys")) }
        p { (text("mail.keys-hint")) }
        table {
            thead { tr { th scope="col" { (text("mail.key")) } th scope="col" { (text("mail.key-does")) } } }
            tbody { @for (key, does) in KEYS { tr { td { kbd { (key) } } td { (text(does)) } } } }
        }
        p { a href="/mail" { (text("mail.back")) } }
    };
    let title = text("mail.keys").to_owned();
    session.view.page(Page { section: Some(Section::Mail), title, content, styles: &["mail.css"], ..Page::default() })
}
