//! The folders beside a list, and the page on which they are made, renamed and removed.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_servers::Error;
use mailkiln_servers::imap::{Folder, SpecialUse, folder_to_wire};
use maud::{Markup, html};

use super::place::Place;
use super::show::hidden;
use crate::form::{Form, Query};
use crate::layout::{Page, Section, View};
use crate::mailbox::{is_templates, problem};
use crate::problem::Problem;
use crate::session::Session;

/// A folder's name for people: those with a purpose have one in the reader's language.
pub(super) fn name(view: &View, folder: &Folder) -> String {
    let language = view.language;
    let text = match folder.special_use() {
        Some(SpecialUse::Inbox) => language.text("mail.folder-inbox"),
        Some(SpecialUse::Drafts) => language.text("mail.folder-drafts"),
        Some(SpecialUse::Sent) => language.text("mail.folder-sent"),
        Some(SpecialUse::Archive) => language.text("mail.folder-archive"),
        Some(SpecialUse::Junk) => language.text("mail.folder-junk"),
        Some(SpecialUse::Trash) => language.text("mail.folder-trash"),
        None if is_templates(folder) => language.text("mail.folder-templates"),
        None => return super::row::short(folder.last()),
    };
    text.to_owned()
}

/// In the order of the navigation: those with a purpose, then by name.
pub(super) fn ordered(all: &[Folder]) -> Vec<&Folder> {
    let mut ordered: Vec<&Folder> = all.iter().collect();
    ordered.sort_by_cached_key(|folder| {
        let purpose = folder.special_use().map_or(u8::MAX, |purpose| purpose as u8);
        (purpose, folder.name.to_lowercase(), folder.wire.clone())
    });
    ordered
}

/// The navigation.
pub(super) fn nav(view: &View, place: &Place, all: &[Folder]) -> Markup {
    let text = |key: &str| view.language.text(key);
    html! {
        nav #folders.folders aria-label=(text("mail.folders")) {
            details open {
                summary { (text("mail.folders")) }
                ul {
                    @for folder in ordered(all) {
                        (entry(view, place, folder))
                    }
                }
                p { a href="/mail/folders" { (text("mail.manage-folders")) } }
                p { a href="/mail/keys" { (text("mail.keys")) } }
            }
        }
    }
}

fn entry(view: &View, place: &Place, folder: &Folder) -> Markup {
    let unseen = folder.counters.unseen.unwrap_or(0);
    // Those with a purpose stand at the top and not below a parent.
    let depth = if folder.special_use().is_some() { 0 } else { folder.depth().min(5) };
    let current = place.find.is_empty() && folder.wire == place.folder;
    let link = Place { folder: folder.wire.clone(), grouped: place.grouped, ..Place::default() };
    html! {
        li class={ "depth-" (depth) } {
            @if folder.selectable() {
                a href=(link.here()) data-folder=(folder.wire) aria-current=[current.then_some("page")] {
                    span.name { (name(view, folder)) }
                    span.count data-count {
                        @if unseen > 0 {
                            (view.language.number(unseen.into()))
                            span.hidden { " " (view.language.text("mail.unread")) }
                        }
                    }
                }
            } @else {
                span.name { (name(view, folder)) }
            }
        }
    }
}

/// The choice of a folder to move to.
pub(super) fn choice(view: &View, place: &Place, all: &[Folder], id: &str) -> Markup {
    html! {
        select id=(id) name="to" aria-label=(view.language.text("mail.move-to")) {
            option value="" { (view.language.text("mail.move-to")) }
            @for folder in ordered(all).into_iter().filter(|folder| folder.selectable() && folder.wire != place.folder) {
                option value=(folder.wire) { (label(view, folder)) }
            }
        }
    }
}

/// A name that tells it from folders of the same name elsewhere.
pub(super) fn label(view: &View, folder: &Folder) -> String {
    match folder.special_use() {
        Some(_) => name(view, folder),
        None => super::row::short(&folder.name),
    }
}

/// GET `/mail/folders`.
pub(super) async fn manage(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let all = mailbox.imap()?.folders().await.map_err(problem)?;
    let quota = mailbox.imap()?.quota().await.map_err(problem)?;
    drop(mailbox);
    let (view, text) = (&session.view, |key: &str| session.text(key));
    let content = html! {
        h1 { (text("mail.manage-folders")) }
        (said(&session, query.text("said"), query.text("words")))
        @if let Some(quota) = quota {
            @let used = super::when::size(quota.used);
            @let limit = super::when::size(quota.limit);
            p {
                label for="quota" { (view.language.fill("mail.quota", &[("used", &used), ("limit", &limit)])) }
                meter id="quota" min="0" max=(quota.limit) value=(quota.used) {}
            }
        }
        h2 { (text("mail.folder-new")) }
        form.line method="post" action="/mail/folders" {
            (view.csrf())
            label for="name" { (text("mail.folder-name")) }
            input id="name" name="name" required maxlength="200" autocomplete="off";
            p.hint { (text("mail.folder-hint")) }
            button name="do" value="create" { (text("mail.folder-create")) }
        }
        h2 { (text("mail.folders")) }
        ul.manage {
            @for (index, folder) in ordered(&all).into_iter().enumerate() {
                li {
                    (label(view, folder)) " "
                    @if folder.special_use().is_none() {
                        details {
                            summary { (view.language.fill("mail.folder-change", &[("name", &label(view, folder))])) }
                            form method="post" action="/mail/folders" {
                                (view.csrf())
                                input type="hidden" name="f" value=(folder.wire);
                                @let id = format!("rename-{index}");
                                label for=(id) { (text("mail.folder-name")) }
                                input id=(id) name="name" value=(folder.name) maxlength="200" autocomplete="off";
                                button.quiet name="do" value="rename" { (text("mail.folder-rename")) } " "
                                button.danger name="do" value="remove" {
                                    (view.language.count("mail.folder-remove", folder.counters.messages.unwrap_or(0).into()))
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    let title = text("mail.manage-folders").to_owned();
    let page = Page {
        section: Some(Section::Mail),
        title,
        content,
        styles: &["mail.css"],
        ..Page::default()
    };
    Ok(view.page(page))
}

fn said(session: &Session, said: &str, words: &str) -> Markup {
    match said {
        "done" => html! { p.done role="status" { (session.text("mail.done-folders")) } },
        "refused" => {
            let words = super::row::short(words);
            let text = session.view.language.fill("mail.refused", &[("words", &words)]);
            html! { p.problem role="alert" { (text) } }
        }
        _ => html! {},
    }
}

/// POST `/mail/folders`.
pub(super) async fn change(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let (imap, results) = mailbox.both()?;
    let all = imap.folders().await.map_err(problem)?;
    let (wire, name) = (form.text("f"), form.text("name").trim());
    let ours = all.iter().any(|folder| folder.wire == wire && folder.special_use().is_none());
    let done = match form.text("do") {
        "create" if !name.is_empty() => imap.create(&folder_to_wire(name)).await,
        "rename" if ours && !name.is_empty() => imap.rename(wire, &folder_to_wire(name)).await,
        "remove" if ours => imap.remove(wire).await,
        _ => return Err(Problem::BadRequest),
    };
    results.forget(wire);
    let back = match done {
        Ok(()) => "/mail/folders?said=done".to_owned(),
        Err(Error::Refused { text, .. }) => {
            format!(
                "/mail/folders?said=refused&words={}",
                crate::form::escaped(&super::row::short(&text))
            )
        }
        Err(error) => return Err(problem(error)),
    };
    Ok(Redirect::to(&back).into_response())
}

/// The fields of a form that acts on the messages of a list.
pub(super) fn form_fields(view: &View, place: &Place) -> Markup {
    html! { (view.csrf()) (hidden(place)) }
}
