//! A page to write on: empty, an answer, a forward, or a draft that is taken up again.

use std::time::Duration;

use axum::response::Response;
use mailkiln_letter::html::{NoImages, Policy};
use mailkiln_letter::reading::{self, Letter};
use mailkiln_letter::writing::{self, Answer, Recipient};
use mailkiln_servers::Error;
use mailkiln_servers::imap;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::draft::{Draft, identities, prefers_rich};
use super::place::Place;
use super::{page, save, templates};
use crate::form::{Fields, Query};
use crate::mailbox::problem;
use crate::problem::Problem;
use crate::session::Session;
use crate::signatures;

/// A message that is answered, forwarded or taken up again is in memory; so many at the same time. Not those of `upload`, which
/// last for as long as a slow browser sends files.
static SLOTS: Semaphore = Semaphore::const_new(2);
/// How long a reader waits for one of them.
const TURN: Duration = Duration::from_secs(20);

/// GET `/compose`.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    crate::outbox::resume(&session).await?;
    let uid = |name: &str| query.text(name).parse::<u32>().ok().filter(|uid| *uid > 0);
    let mut guard = session.app.mailboxes.open(&session).await?;
    let imap = guard.imap()?;
    let takes_up = ["draft", "template", "reply", "reply-all", "forward"];
    let takes_up = takes_up.iter().any(|it| uid(it).is_some());
    let slot = if takes_up { Some(turn().await?) } else { None };
    let mut doubts = Vec::new();
    let place = Place::read(query.text("place"));
    let draft = if let Some(uid) = uid("draft") {
        let folder = place.folder(imap).await?;
        let letter = reading::read(&fetch(&session, imap, &folder, uid).await?);
        Draft::of(&letter, place, uid, query.text("original"))
    } else if let Some(uid) = uid("template") {
        templates::begin(&session, imap, uid).await?
    } else if place == Place::Templates {
        templates::empty(&session)
    } else if let Some(uid) = uid("reply") {
        answer(&session, imap, &query, uid, false).await?.0
    } else if let Some(uid) = uid("reply-all") {
        let (draft, was_blind) = answer(&session, imap, &query, uid, true).await?;
        doubts.extend(was_blind.then_some("compose.doubt-blind"));
        draft
    } else if let Some(uid) = uid("forward") {
        forward(&session, imap, &query, uid).await?
    } else {
        empty(&session, &query).await?
    };
    drop(slot);
    let offers = save::offers(imap, place).await;
    drop(guard);
    let say = page::Say { done: query.text("done"), doubts, ..page::Say::default() };
    Ok(page::show(&session, &draft, &say, &offers))
}

pub(super) async fn turn() -> Result<SemaphorePermit<'static>, Problem> {
    let turn = tokio::time::timeout(TURN, SLOTS.acquire()).await;
    turn.map_err(|_| Problem::TooMany { seconds: 10 })?.map_err(|_| Problem::Internal)
}

/// The bytes of a message.
///
/// # Errors
/// [`Problem::TooLarge`] if it is larger than any that can be written here.
pub(super) async fn fetch(
    session: &Session,
    imap: &mut imap::Session,
    folder: &str,
    uid: u32,
) -> Result<Vec<u8>, Problem> {
    imap.select(folder).await.map_err(problem)?;
    let largest = session.app.configuration.limits.message_bytes();
    imap.whole(uid, largest).await.map_err(|error| match error {
        Error::TooMuch { .. } => Problem::TooLarge,
        other => problem(other),
    })
}

fn own_address(session: &Session) -> String {
    session.account.to_string()
}

/// An empty page, or one that a link has begun. Only text of the link gets in: no recipient hides, no file is attached.
async fn empty(session: &Session, query: &Fields) -> Result<Draft, Problem> {
    let line = |name: &str| {
        query.text(name).chars().filter(|one| !one.is_control()).take(2000).collect::<String>()
    };
    let body: String = query.text("body").chars().take(20_000).collect();
    let from = own_address(session);
    let signature = signatures::of(session, &from).await?;
    Ok(Draft {
        from,
        to: line("to"),
        cc: line("cc"),
        subject: line("subject"),
        html: prefers_rich(session)
            .then(|| writing::text_for_editor(&body) + &signature.below_html()),
        text: format!("{body}{}", signature.below_text()),
        ..Draft::default()
    })
}

fn typed(list: &[Recipient]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// "On …, … wrote:" in the reader's language.
fn attribution(session: &Session, letter: &Letter) -> String {
    let who = letter.headers.from.first().map(|one| one.label().to_owned()).unwrap_or_default();
    let when = letter
        .headers
        .date
        .map(|seconds| super::queue::moment(&session.view, seconds))
        .unwrap_or_default();
    session.view.language.fill("compose.attribution", &[("who", &who), ("when", &when)])
}

/// An answer, and whether it tells that the original came as a blind copy.
async fn answer(
    session: &Session,
    imap: &mut imap::Session,
    query: &Fields,
    uid: u32,
    to_all: bool,
) -> Result<(Draft, bool), Problem> {
    let folder = folder_of(query);
    let letter = reading::read(&fetch(session, imap, &folder, uid).await?);
    let own: Vec<String> = identities(session).into_iter().map(|one| one.address).collect();
    let head = writing::answer(&letter, to_all, &own);
    // Answers come from the address that the message went to.
    let reached = letter.headers.to.iter().chain(&letter.headers.cc).map(|one| &one.address);
    let from = reached.into_iter().find(|to| own.iter().any(|own| own.eq_ignore_ascii_case(to)));
    let from = from.cloned().unwrap_or_else(|| own_address(session));
    let signature = signatures::of(session, &from).await?;
    let was_blind = head.was_blind;
    let attribution = attribution(session, &letter);
    let quote = writing::quoted_text(&letter, &attribution);
    let rich = prefers_rich(session).then(|| {
        let quote = writing::quoted_html(&letter, &attribution, &Policy::quoting(&NoImages));
        format!("<div><br></div><div><br></div>{quote}{}", signature.below_html())
    });
    let mut draft = begun(head, format!("\n\n{quote}{}", signature.below_text()), rich);
    draft.from = from;
    draft.original = format!("\\Answered {uid} {folder}");
    Ok((draft, was_blind))
}

/// The longest quote that stays HTML, bytes: with what is written above it, it has to fit the form.
const QUOTE: usize = 1 << 20;

/// A page that begins with the text, or with the HTML if that is not too long.
fn begun(head: Answer, text: String, html: Option<String>) -> Draft {
    let html =
        html.map(|html| if html.len() <= QUOTE { html } else { writing::text_for_editor(&text) });
    Draft {
        to: typed(&head.to),
        cc: typed(&head.cc),
        subject: head.subject,
        in_reply_to: head.in_reply_to,
        references: head.references,
        text,
        html,
        ..Draft::default()
    }
}

/// A forward has the text in it and the files with it, so it is stored as a draft at once.
async fn forward(
    session: &Session,
    imap: &mut imap::Session,
    query: &Fields,
    uid: u32,
) -> Result<Draft, Problem> {
    let folder = folder_of(query);
    let bytes = fetch(session, imap, &folder, uid).await?;
    let letter = reading::read(&bytes);
    let headers = &letter.headers;
    let people = |all: &[reading::Mailbox]| {
        let one = |one: &reading::Mailbox| match &one.name {
            Some(name) => format!("{name} <{}>", one.address),
            None => one.address.clone(),
        };
        all.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let moment = |seconds| super::queue::moment(&session.view, seconds);
    let mut about = format!("---------- {} ----------\n", session.text("compose.forwarded"));
    for (key, value) in [
        ("compose.from", people(&headers.from)),
        ("compose.to", people(&headers.to)),
        ("compose.subject", headers.subject.clone()),
        ("compose.date", headers.date.map(moment).unwrap_or_default()),
    ] {
        about.push_str(&format!("{}: {value}\n", session.text(key)));
    }
    let signature = signatures::of(session, &own_address(session)).await?;
    let text = format!("{}\n\n{about}\n{}", signature.below_text(), writing::plain_text(&letter));
    let mut contents = save::contents(&bytes, &letter)?;
    let images = save::ids(&contents.images);
    let html = prefers_rich(session).then(|| {
        let original = writing::forwarded_html(&letter, &images);
        let begin = format!("<div><br></div>{}<div><br></div>", signature.below_html());
        format!("{begin}{}<div><br></div>{original}", writing::text_for_editor(&about))
    });
    if html.as_ref().is_none_or(|html| html.len() > QUOTE) {
        save::images_as_files(&mut contents);
    }
    let mut draft = begun(writing::forward(&letter), text, html);
    draft.from = own_address(session);
    draft.original = format!("$Forwarded {uid} {folder}");
    if !contents.files.is_empty() || !contents.images.is_empty() {
        (draft.files, draft.images) = (save::listed(&contents.files), images);
        draft.stored = save::store(session, imap, &draft, contents).await?.uid;
    }
    Ok(draft)
}

fn folder_of(query: &Fields) -> String {
    match query.text("f") {
        "" => "INBOX".to_owned(),
        folder => folder.to_owned(),
    }
}
