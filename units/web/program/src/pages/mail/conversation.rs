//! A conversation across folders: what is in the folder of the message, and what its reader has sent.

use axum::response::Response;
use maud::{Markup, html};
use mailkiln_servers::imap::{Fetched, Folder, Key, SpecialUse};

use super::place::Place;
use super::row::Row;
use super::{folders, message, when};
use crate::form::Query;
use crate::layout::{Page, Section};
use crate::mailbox::{Mailbox, problem};
use crate::problem::Problem;
use crate::session::Session;

/// Messages of a conversation that are shown, of each folder.
const MOST: usize = 100;

/// The messages of the conversation that `row` in `folder` belongs to, oldest first.
pub(super) async fn find(
    mailbox: &mut Mailbox,
    folder: &str,
    row: &Fetched,
    all: &[Folder],
) -> Result<Vec<Row>, Problem> {
    let own = Row::of(row, false);
    let imap = mailbox.imap()?;
    let keys = match &row.thread {
        // The server knows (RFC 8474).
        Some(thread) => vec![Key::Thread(thread.clone())],
        None if own.id.is_empty() => return Ok(Vec::new()),
        None => {
            let answers = Key::Header("References".into(), own.id.clone());
            vec![Key::Or(Box::new(Key::Header("Message-ID".into(), own.id.clone())), Box::new(answers))]
        }
    };
    let mut places = vec![folder.to_owned()];
    let wanted = [SpecialUse::Inbox, SpecialUse::Sent, SpecialUse::Archive];
    for purpose in wanted {
        let found = all.iter().filter(|it| it.special_use() == Some(purpose) && it.wire != folder);
        places.extend(found.map(|it| it.wire.clone()));
    }
    let mut rows = Vec::new();
    for place in &places {
        imap.select(place).await.map_err(problem)?;
        let uids = imap.search(&keys).await.map_err(problem)?;
        let newest = &uids[uids.len().saturating_sub(MOST)..];
        let fetched = imap.rows(newest).await.map_err(problem)?;
        rows.extend(fetched.iter().map(|it| Row { folder: Some(place.clone()), ..Row::of(it, false) }));
    }
    // The list of the folder comes next.
    imap.select(folder).await.map_err(problem)?;
    rows.sort_by_key(|row| row.when);
    // A message to oneself is in two folders.
    let mut seen = std::collections::BTreeSet::new();
    rows.retain(|row| row.id.is_empty() || seen.insert(row.id.clone()));
    Ok(rows)
}

/// The other messages of a conversation, above an open one.
pub(super) fn strip(session: &Session, place: &Place, rows: &[Row], all: &[Folder]) -> Markup {
    if rows.len() < 2 {
        return html! {};
    }
    html! {
        nav.conversation aria-label=(session.text("mail.conversation")) {
            (entries(session, Some(place), rows, all))
        }
    }
}

fn entries(session: &Session, place: Option<&Place>, rows: &[Row], all: &[Folder]) -> Markup {
    let view = &session.view;
    html! {
        ol {
            @for row in rows {
                @let folder = row.folder.clone().unwrap_or_default();
                @let current = place.is_some_and(|place| place.folder == folder && place.message == Some(row.uid));
                @let grouped = place.is_some_and(|place| place.grouped);
                @let there = Place { folder: folder.clone(), message: Some(row.uid), grouped, ..Place::default() };
                li {
                    a href=(there.here()) aria-current=[current.then_some("true")] {
                        span.who { @if row.unread { span.hidden { (session.text("mail.unread")) ": " } } (row.who) } " "
                        span.preview { (row.preview) } " "
                        @if let Some(folder) = all.iter().find(|it| it.wire == folder) { span.where { (folders::label(view, folder)) } }
                        " " (when::short(view, row.when))
                    }
                }
            }
        }
    }
}

/// GET `/mail/conversation`: all its messages, one below the other.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let place = Place::read(&query);
    let uid = place.message.ok_or(Problem::BadRequest)?;
    let mut guard = session.app.mailboxes.open(&session).await?;
    let mailbox = &mut *guard;
    let all = mailbox.imap()?.folders().await.map_err(problem)?;
    let opened = message::open(mailbox, &place.folder, uid).await?;
    let rows = find(mailbox, &place.folder, &opened.row, &all).await?;
    drop(guard);
    let subject = Row::of(&opened.row, false).subject;
    let content = html! {
        p { a href=(place.here()) { (session.text("mail.back-message")) } }
        h1 { (session.text("mail.conversation")) ": " (subject) }
        div.conversation { (entries(&session, None, &rows, &all)) }
        @if let Some(oldest) = rows.first() {
            // The newest are read first, each in a frame of its own; a browser loads those that come into view.
            @for row in rows.iter().rev().take(20) {
                @let folder = row.folder.clone().unwrap_or_default();
                @let there = Place { folder, message: Some(row.uid), ..Place::default() };
                section.one aria-label=(row.who) {
                    h2 { (row.who) " · " (when::long(&session.view, row.when)) }
                    iframe.body loading="lazy" src=(there.link("/mail/body")) title=(session.view.language.fill("mail.body-of", &[("who", &row.who)]))
                        sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer" {}
                }
            }
            @if rows.len() > 20 { p.hint { (session.text("mail.cut")) " " (when::long(&session.view, oldest.when)) } }
        }
    };
    let title = session.text("mail.conversation").to_owned();
    let page = Page { section: Some(Section::Mail), title, content, styles: &["mail.css"], ..Page::default() };
    Ok(session.view.page(page))
}
