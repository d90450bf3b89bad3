//! Templates: messages in a folder of their own, as Thunderbird keeps them. What is saved here, other programs can use, and the other
//! way round. A template's name is its subject.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::reading;
use mailkiln_letter::text::visible_line;
use mailkiln_letter::writing::{self, Outgoing};
use mailkiln_servers::imap::{self, SpecialUse};
use maud::{Markup, html};

use super::draft::{Draft, prefers_rich};
use super::place::Place;
use super::save;
use super::start::fetch;
use super::upload::Contents;
use crate::form::{Form, Query};
use crate::layout::{Page, Section};
use crate::mailbox::{is_templates, problem, special};
use crate::problem::Problem;
use crate::random;
use crate::session::Session;

/// Templates that are listed: the newest.
const MOST: u32 = 200;

/// A template in a list.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) uid: u32,
    pub(super) subject: String,
}

/// All of them, by name. Does not make the folder.
pub(super) async fn list(imap: &mut imap::Session) -> Result<Vec<Template>, Problem> {
    let folders = imap.folders().await.map_err(problem)?;
    let Some(folder) = folders.iter().find(|folder| is_templates(folder)) else {
        return Ok(Vec::new());
    };
    let last = imap.select(&folder.wire).await.map_err(problem)?.exists;
    if last == 0 {
        return Ok(Vec::new());
    }
    let first = last.saturating_sub(MOST - 1).max(1);
    let rows = imap.window(first, last).await.map_err(problem)?;
    let mut found: Vec<Template> = rows
        .iter()
        .filter_map(|row| {
            let headers = reading::read(row.header().unwrap_or_default()).headers;
            Some(Template { uid: row.uid?, subject: visible_line(&headers.subject, 200) })
        })
        .collect();
    found.sort_by_cached_key(|one| (one.subject.to_lowercase(), one.uid));
    Ok(found)
}

/// What a page calls it.
pub(super) fn name<'a>(session: &Session, template: &'a Template) -> &'a str {
    match template.subject.trim() {
        "" => session.text("mail.no-subject"),
        subject => subject,
    }
}

/// GET `/compose/templates`.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut guard = session.app.mailboxes.open(&session).await?;
    let all = list(guard.imap()?).await?;
    drop(guard);
    let text = |key| session.text(key);
    let content = html! {
        h1 { (text("compose.templates")) }
        @if query.text("done") == "removed" { p.done role="status" { (text("compose.template-removed")) } }
        p { (text("compose.templates-hint")) }
        @if all.is_empty() { p { (text("compose.templates-empty")) } }
        @else {
            table {
                thead { tr { th { (text("compose.subject")) } th { span.hidden { (text("compose.template-change")) } } } }
                tbody { @for template in &all { (line(&session, template)) } }
            }
        }
        p { a.button href="/compose?place=templates" { (text("compose.template-new")) } }
    };
    Ok(session.view.page(Page {
        section: Some(Section::Compose),
        title: text("compose.templates").to_owned(),
        content,
        ..Page::default()
    }))
}

fn line(session: &Session, template: &Template) -> Markup {
    let name = name(session, template);
    let named = |key| session.view.language.fill(key, &[("name", &name)]);
    html! {
        tr {
            td { a href=(format!("/compose?template={}", template.uid)) { (name) } }
            td {
                form.tools method="post" action="/compose/templates" {
                    (session.view.csrf())
                    input type="hidden" name="uid" value=(template.uid);
                    a.button.quiet href=(format!("/compose?place=templates&draft={}", template.uid))
                        aria-label=(named("compose.template-edit-named")) { (session.text("compose.template-edit")) } " "
                    button.quiet.danger name="do" value="remove"
                        aria-label=(named("compose.template-remove-named")) { (session.text("compose.template-remove")) }
                }
            }
        }
    }
}

/// POST `/compose/templates`: takes one away.
pub(super) async fn act(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let uid: u32 = form.text("uid").parse().map_err(|_| Problem::BadRequest)?;
    let mut guard = session.app.mailboxes.open(&session).await?;
    remove(guard.imap()?, Some(uid)).await
}

/// Moves a template to the trash.
pub(super) async fn remove(
    imap: &mut imap::Session,
    uid: Option<u32>,
) -> Result<Response, Problem> {
    if let Some(uid) = uid {
        let folders = imap.folders().await.map_err(problem)?;
        let trash = special(imap, &folders, SpecialUse::Trash).await.map_err(problem)?;
        let folder = Place::Templates.folder(imap).await?;
        imap.select(&folder).await.map_err(problem)?;
        imap.move_to(&[uid], &trash).await.map_err(problem)?;
    }
    Ok(Redirect::to("/compose/templates?done=removed").into_response())
}

/// A page for a new template.
pub(super) fn empty(session: &Session) -> Draft {
    Draft {
        place: Place::Templates,
        from: session.account.to_string(),
        html: prefers_rich(session).then(String::new),
        ..Draft::default()
    }
}

/// A new message. With files or images it is stored at once, as they lie in it.
pub(super) async fn begin(
    session: &Session,
    imap: &mut imap::Session,
    uid: u32,
) -> Result<Draft, Problem> {
    let (mut draft, contents) = read(session, imap, uid).await?;
    if !contents.files.is_empty() || !contents.images.is_empty() {
        draft.files = save::listed(&contents.files);
        draft.stored = save::store(session, imap, &draft, contents).await?.uid;
    }
    Ok(draft)
}

/// Puts a template above what is written, and what it holds besides into `more`. Fields that say something already keep that.
pub(super) async fn insert(
    session: &Session,
    imap: &mut imap::Session,
    uid: u32,
    draft: &mut Draft,
    more: &mut Contents,
) -> Result<(), Problem> {
    let (template, contents) = read(session, imap, uid).await?;
    draft.begin_with(template);
    more.files.extend(contents.files);
    more.images.extend(contents.images);
    Ok(())
}

async fn read(
    session: &Session,
    imap: &mut imap::Session,
    uid: u32,
) -> Result<(Draft, Contents), Problem> {
    let folder = Place::Templates.folder(imap).await?;
    let bytes = fetch(session, imap, &folder, uid).await?;
    let letter = reading::read(&bytes);
    let contents = save::contents(&bytes, &letter)?;
    Ok((Draft::from_template(&letter, save::ids(&contents.images)), contents))
}

/// Keeps a message as a template: it belongs to no conversation, and is not the message that it was made of.
pub(super) async fn keep(
    session: &Session,
    imap: &mut imap::Session,
    mut outgoing: Outgoing,
) -> Result<(), Problem> {
    outgoing.in_reply_to.clear();
    outgoing.references.clear();
    outgoing.message_id = writing::message_id(&random::bytes::<16>()?, &outgoing.from.address);
    let folder = Place::Templates.folder(imap).await?;
    save::append(session, imap, &folder, &outgoing).await.map(drop)
}
