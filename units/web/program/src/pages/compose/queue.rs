//! What waits: messages that will be sent or come back, and how to stop them.

use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use jiff::civil::DateTime;
use mailkiln_letter::reading;
use mailkiln_letter::text::visible_line;
use maud::{Markup, html};

use crate::form::{Form, Query};
use crate::i18n::Language;
use crate::layout::{Page, Section, View};
use crate::mailbox::problem;
use crate::outbox::{self, Kind, New, Row, State};
use crate::problem::Problem;
use crate::session::{Session, now};

/// Where messages wait that come back.
const SNOOZED: &str = "Snoozed";

/// A moment as the reader's clock shows it.
pub(super) fn moment(view: &View, seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(seconds) else { return String::new() };
    let there = time.to_zoned(view.zone());
    match view.language {
        Language::German => there.strftime("%d.%m.%Y %H:%M").to_string(),
        Language::English => there.strftime("%d %b %Y, %H:%M").to_string(),
    }
}

/// What a browser sends of a `datetime-local` field, in the reader's zone.
pub(super) fn read_moment(view: &View, text: &str) -> Option<i64> {
    let there: DateTime = text.parse().ok()?;
    Some(there.to_zoned(view.zone()).ok()?.timestamp().as_second())
}

/// GET `/compose/outbox`.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    outbox::resume(&session).await?;
    let account = session.account.to_string();
    let rows =
        session.app.database.call(move |connection| outbox::list(connection, &account)).await?;
    let new: Option<i64> = query.text("new").parse().ok();
    let text = |key| session.text(key);
    let content = html! {
        h1 { (text("compose.outbox")) }
        @if let Some(row) = rows.iter().find(|row| Some(row.id) == new) { (sent(&session, row)) }
        @if rows.is_empty() { p { (text("compose.outbox-empty")) } }
        @else {
            table {
                thead { tr { th { (text("compose.subject")) } th { (text("compose.when")) } th { (text("compose.state")) } th { span.hidden { (text("compose.stop")) } } } }
                tbody { @for row in &rows { (line(&session, row)) } }
            }
        }
        p { a href="/mail" { (text("compose.back")) } " · " a href="/compose/outbox" { (text("compose.refresh")) } }
    };
    Ok(session.view.page(Page {
        section: Some(Section::Compose),
        title: text("compose.outbox").to_owned(),
        content,
        ..Page::default()
    }))
}

/// What is said after Send.
fn sent(session: &Session, row: &Row) -> Markup {
    let seconds = row.new.due - now();
    let soon = session.view.language.fill("compose.sending", &[("seconds", &seconds.max(0))]);
    let later = session
        .view
        .language
        .fill("compose.sending-at", &[("when", &moment(&session.view, row.new.due))]);
    html! {
        div.done role="status" {
            p { @if seconds < 60 { (soon) } @else { (later) } }
            (stop_form(session, row, "compose.undo"))
        }
    }
}

fn stop_form(session: &Session, row: &Row, key: &str) -> Markup {
    html! {
        form method="post" action="/compose/outbox/stop" {
            (session.view.csrf())
            input type="hidden" name="id" value=(row.id);
            button.quiet { (session.view.language.text(key)) }
        }
    }
}

fn line(session: &Session, row: &Row) -> Markup {
    let text = |key| session.text(key);
    let state = match (row.state, row.new.kind) {
        (State::Waiting, Kind::Send) if row.words.is_empty() => text("compose.state-waiting"),
        (State::Waiting, Kind::Send) => text("compose.state-again"),
        (State::Waiting, Kind::Return) => text("compose.state-snoozed"),
        (State::SignedOut, _) => text("compose.state-signed-out"),
        (State::Working, _) => text("compose.state-working"),
        (State::Unsure, _) => text("compose.state-unsure"),
        (State::Failed, _) => text("compose.state-failed"),
        (State::GivenUp, _) => text("compose.state-given-up"),
    };
    html! {
        tr {
            td { (row.new.subject) @if !row.new.recipients.is_empty() { br; span.hint { (row.new.recipients.join(", ")) } } }
            td { (moment(&session.view, row.new.due)) }
            td { (state) @if !row.words.is_empty() { br; q { (row.words) } } }
            td { @if row.state != State::Working { (stop_form(session, row, if row.new.kind == Kind::Send { "compose.stop" } else { "compose.stop-snooze" })) } }
        }
    }
}

/// POST `/compose/outbox/stop`: back to writing, or back to the inbox.
pub(super) async fn stop(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let id: i64 = form.text("id").parse().map_err(|_| Problem::BadRequest)?;
    let account = session.account.to_string();
    let rows =
        session.app.database.call(move |connection| outbox::list(connection, &account)).await?;
    let row = rows.into_iter().find(|row| row.id == id && row.state != State::Working);
    let next = match row {
        Some(row) if row.new.kind == Kind::Send => stop_sending(&session, &row).await?,
        Some(row) => bring_back(&session, &row).await?,
        None => None,
    };
    Ok(Redirect::to(next.as_deref().unwrap_or("/compose/outbox")).into_response())
}

/// Out of the outbox first, which would go on while the mail server is asked. The draft stays in Drafts, whatever fails then.
async fn stop_sending(session: &Session, row: &Row) -> Result<Option<String>, Problem> {
    if !cancel(session, row.id).await? {
        return Ok(None);
    }
    let mut guard = session.app.mailboxes.open(session).await?;
    let found = outbox::find(guard.imap()?, &row.new.folder, &row.new.message_id).await;
    let original = crate::form::escaped(&row.new.original);
    let uid = found.map_err(problem)?;
    Ok(uid.map(|uid| format!("/compose?draft={uid}&original={original}")))
}

/// Out of the outbox last: if the mail server fails, the message still comes back at its time.
async fn bring_back(session: &Session, row: &Row) -> Result<Option<String>, Problem> {
    let mut guard = session.app.mailboxes.open(session).await?;
    let imap = guard.imap()?;
    let found = outbox::find(imap, &row.new.folder, &row.new.message_id).await;
    let uid = match found.map_err(problem) {
        Ok(uid) => uid,
        // The folder is gone too.
        Err(Problem::NotFound) => None,
        Err(other) => return Err(other),
    };
    if let Some(uid) = uid {
        imap.move_to(&[uid], "INBOX").await.map_err(problem)?;
    }
    cancel(session, row.id).await?;
    Ok(uid.map(|_| "/mail".to_owned()))
}

/// Takes a row out; `false` if it is too late.
async fn cancel(session: &Session, id: i64) -> Result<bool, Problem> {
    let account = session.account.to_string();
    let cancelled = session
        .app
        .database
        .call(move |connection| outbox::cancel(connection, &account, id))
        .await?;
    Ok(cancelled.is_some())
}

/// POST `/compose/snooze`: out of the folder until a moment (`when`, or `in` so many hours). Fields `f` and `m` as on the mail pages.
pub(super) async fn snooze(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let uid: u32 = form.text("m").parse().map_err(|_| Problem::BadRequest)?;
    let hours = form.text("in").parse::<i64>().ok().filter(|hours| (1..=24 * 366).contains(hours));
    let due = match hours {
        Some(hours) => now() + hours * 3600,
        None => read_moment(&session.view, form.text("when")).ok_or(Problem::BadRequest)?,
    };
    if due <= now() || due > now() + 366 * 86_400 {
        return Err(Problem::BadRequest);
    }
    let mut guard = session.app.mailboxes.open(&session).await?;
    let imap = guard.imap()?;
    let folder = if form.text("f").is_empty() { "INBOX" } else { form.text("f") };
    imap.select(folder).await.map_err(problem)?;
    let header = imap.section(uid, "HEADER").await.map_err(problem)?;
    let headers = reading::read(&header).headers;
    // Without an id it could not be found again.
    let message_id = headers.message_id.ok_or(Problem::NotFound)?;
    if !imap.folders().await.map_err(problem)?.iter().any(|it| it.wire == SNOOZED) {
        imap.create(SNOOZED).await.map_err(problem)?;
    }
    imap.select(folder).await.map_err(problem)?;
    // Entered first: if the move fails, the row finds nothing and says so; the other way round mail would stay away for ever.
    let new = New {
        kind: Kind::Return,
        due,
        folder: SNOOZED.to_owned(),
        message_id,
        subject: visible_line(&headers.subject, 200),
        sender: String::new(),
        recipients: Vec::new(),
        original: String::new(),
    };
    outbox::enter(&session, new).await?;
    imap.move_to(&[uid], SNOOZED).await.map_err(problem)?;
    Ok(Redirect::to(&format!("/mail?f={}", crate::form::escaped(folder))).into_response())
}
