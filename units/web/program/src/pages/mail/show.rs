//! The page itself: folders, list, and the pane of an open message, side by side where there is room.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use mailkiln_servers::imap::{Folder, SpecialUse};
use maud::{Markup, html};
use std::sync::Arc;

use super::place::Place;
use super::{folders, list, listing, pane};
use crate::app::App;
use crate::form::Query;
use crate::layout::{Page, Section, fragment};
use crate::mailbox::{Mailbox, problem};
use crate::problem::Problem;
use crate::session::Session;

/// Our script names the part of a page that it wants in this header, and puts it in the place of the old one.
pub(super) const PART: &str = "x-part";

/// GET `/mail`.
pub(super) async fn show(
    State(_): State<Arc<App>>,
    session: Session,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response, Problem> {
    let mut place = Place::read(&query);
    place.grouped |=
        query.get("g").is_none() && session.view.preferences.get("mail-grouped") == Some("1");
    let part = headers.get(PART).and_then(|part| part.to_str().ok()).unwrap_or_default();
    let mut guard = session.app.mailboxes.open(&session).await?;
    let mailbox = &mut *guard;
    if part == "pane" {
        let folders = mailbox.imap()?.folders().await.map_err(problem)?;
        let pane = pane::load(mailbox, &session, &place, &folders).await?;
        if let Some(mark) = pane.marks {
            // Whoever opens a message need not wait for its mark; the session's next request does.
            tokio::spawn(async move { mark.set(&mut guard).await });
        }
        return Ok(fragment(pane.markup));
    }
    let opened = match place.message {
        Some(_) if part.is_empty() => {
            let folders = mailbox.imap()?.folders().await.map_err(problem)?;
            let pane = pane::load(mailbox, &session, &place, &folders).await?;
            if let Some(mark) = pane.marks {
                mark.set(mailbox).await?;
            }
            Some(pane.markup)
        }
        _ => None,
    };
    // After the message was opened and marked, as that changes what is counted.
    let all = mailbox.imap()?.counted_folders().await.map_err(problem)?;
    let listing = listing::load(mailbox, &place, &all).await?;
    let notice = notice(mailbox, &session, &place);
    drop(guard);
    let title = title(&session, &place, &all);
    let content = html! {
        (folders::nav(&session.view, &place, &all))
        (list::list(&session.view, &place, &listing, &all, &notice))
    };
    if part == "list" {
        return Ok(fragment(html! { div data-title=(title) { (content) } }));
    }
    let content = html! {
        div.mail data-open[place.message.is_some()] {
            (content)
            section #pane.pane aria-label=(session.text("mail.pane")) tabindex="-1" {
                @match opened {
                    Some(opened) => (opened),
                    None => p.hint.empty { (session.text("mail.nothing-open")) },
                }
            }
        }
    };
    let page = Page {
        section: Some(Section::Mail),
        title,
        styles: &["mail.css"],
        scripts: &["mail.js"],
        content,
        wide: true,
    };
    Ok(session.view.page(page))
}

/// What the last form did, with a way back where there is one.
fn notice(mailbox: &Mailbox, session: &Session, place: &Place) -> Markup {
    let view = &session.view;
    let say = |text: &str| html! { p.done role="status" { (text) } };
    match place.done.as_str() {
        "" => html! {},
        "none" => say(session.text("mail.done-none")),
        "undone" => say(session.text("mail.done-undone")),
        "too-late" => say(session.text("mail.done-too-late")),
        "folders" => say(session.text("mail.done-folders")),
        token => {
            let Some(undo) = mailbox.remembered(token) else { return html! {} };
            if undo.text == "mail.refused" {
                let said = view.language.fill("mail.refused", &[("words", &undo.now)]);
                return html! { p.problem role="alert" { (said) } };
            }
            let text = view.language.count(undo.text, undo.count as u64);
            html! {
                div.done role="status" {
                    (text)
                    @if !undo.moves.is_empty() {
                        form.undo method="post" action="/mail/undo" {
                            (view.csrf())
                            (hidden(&place.closed()))
                            button.quiet name="undo" value=(token) data-undo { (session.text("mail.undo")) }
                        }
                    }
                }
            }
        }
    }
}

/// The fields of a place for a form.
pub(super) fn hidden(place: &Place) -> Markup {
    html! { @for (name, value) in place.fields() { input type="hidden" name=(name) value=(value); } }
}

fn title(session: &Session, place: &Place, all: &[Folder]) -> String {
    if place.find.is_empty() {
        let folder = all.iter().find(|folder| folder.wire == place.folder);
        return folder.map_or_else(String::new, |folder| folders::name(&session.view, folder));
    }
    session.view.language.fill("mail.found-title", &[("find", &place.find)])
}

/// Whether a folder is for a purpose.
pub(super) fn is(all: &[Folder], wire: &str, wanted: SpecialUse) -> bool {
    all.iter().any(|folder| folder.wire == wire && folder.special_use() == Some(wanted))
}
