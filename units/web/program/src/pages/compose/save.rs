//! The buttons of the page: each stores the draft first, so that nothing is lost whatever comes after.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::reading::{self, Letter, Part, inline_image_type};
use mailkiln_letter::text::visible_line;
use mailkiln_letter::writing::{self, Attachment, BadAddress, InlineImage, Outgoing};
use mailkiln_servers::Error;
use mailkiln_servers::imap::{self, SpecialUse};

use super::draft::{Draft, own_files};
use super::page::{self, Offers, Say};
use super::place::Place;
use super::queue;
use super::start::fetch;
use super::templates;
use super::upload::{Contents, Upload};
use crate::form::{Fields, escaped};
use crate::mailbox::{problem, special};
use crate::outbox::{self, Kind, New};
use crate::problem::Problem;
use crate::session::{Session, now};

/// Seconds in which sending can be stopped.
const UNDO: i64 = 10;
/// The furthest that sending can be put off: a year.
const FURTHEST: i64 = 366 * 86_400;
/// Messages that are looked at for addresses.
const LOOK_BACK: u32 = 200;

/// A draft that was stored.
pub(super) struct Stored {
    pub(super) uid: Option<u32>,
    outgoing: Outgoing,
    bad: Option<BadAddress>,
    /// Whether the one that it should replace was gone.
    is_stale: bool,
}

/// POST `/compose`.
pub(super) async fn act(session: Session, upload: Upload) -> Result<Response, Problem> {
    let fields = &upload.fields;
    let mut draft = Draft::read(fields);
    let action = fields.text("do").to_owned();
    let mut guard = session.app.mailboxes.open(&session).await?;
    let imap = guard.imap()?;
    if action == "discard" {
        return discard(imap, &draft).await;
    }
    let stored = match change(&session, imap, &mut draft, fields, upload.contents).await {
        Ok(stored) => stored,
        Err(Problem::Internal) => return Err(Problem::Internal),
        Err(reason) => {
            // What was typed stays on the page.
            let say = Say { problem: session.text(reason.key()).to_owned(), ..Say::default() };
            return Ok(page::show(&session, &draft, &say, &Offers::default()));
        }
    };
    if let Some(say) = unsettled(&session, &draft, &stored) {
        let offers = offers(imap, draft.place).await;
        return Ok(page::show(&session, &draft, &say, &offers));
    }
    // A template has no button for it.
    if matches!(action.as_str(), "send" | "later") && draft.place == Place::Drafts {
        let offers = offers(imap, draft.place).await;
        drop(guard);
        return send(
            &session,
            draft,
            &stored.outgoing,
            &action,
            fields.text("when"),
            fields.text("sure"),
            &offers,
        )
        .await;
    }
    let done = match action.as_str() {
        "template" if draft.place == Place::Drafts => {
            templates::keep(&session, imap, stored.outgoing).await?;
            "template"
        }
        "insert" => "inserted",
        _ => "saved",
    };
    Ok(Redirect::to(&address(&draft, done)).into_response())
}

/// What has to be said before anything goes on.
fn unsettled(session: &Session, draft: &Draft, stored: &Stored) -> Option<Say<'static>> {
    if stored.bad.is_none() && !stored.is_stale {
        return None;
    }
    let bad = |bad: &BadAddress| {
        session.view.language.fill("compose.bad-address", &[("address", &bad.0)])
    };
    Some(Say {
        problem: stored.bad.as_ref().map(bad).unwrap_or_default(),
        doubts: if stored.is_stale { vec![draft.place.stale()] } else { Vec::new() },
        ..Say::default()
    })
}

/// The page of what is stored.
fn address(draft: &Draft, done: &str) -> String {
    let uid = draft.stored.map(|uid| uid.to_string()).unwrap_or_default();
    match draft.place {
        Place::Drafts => {
            format!("/compose?draft={uid}&original={}&done={done}", escaped(&draft.original))
        }
        Place::Templates => format!("/compose?draft={uid}&place=templates&done={done}"),
    }
}

/// Takes away what is stored. A template can be brought back from the trash.
async fn discard(imap: &mut imap::Session, draft: &Draft) -> Result<Response, Problem> {
    if draft.place == Place::Templates {
        return templates::remove(imap, draft.stored).await;
    }
    if let Some(uid) = draft.stored {
        let folder = draft.place.folder(imap).await?;
        imap.select(&folder).await.map_err(problem)?;
        imap.expunge(&[uid]).await.map_err(problem)?;
    }
    Ok(Redirect::to("/mail").into_response())
}

/// What a button changes before all is stored.
async fn change(
    session: &Session,
    imap: &mut imap::Session,
    draft: &mut Draft,
    fields: &Fields,
    mut more: Contents,
) -> Result<Stored, Problem> {
    let action = fields.text("do");
    if action == "insert" {
        let uid = fields.text("template").parse().map_err(|_| Problem::NotFound)?;
        templates::insert(session, imap, uid, draft, &mut more).await?;
    }
    renew(session, imap, draft, action, more).await
}

async fn send(
    session: &Session,
    draft: Draft,
    outgoing: &Outgoing,
    action: &str,
    when: &str,
    sure: &str,
    offers: &Offers,
) -> Result<Response, Problem> {
    let again = |say: Say<'_>| Ok(page::show(session, &draft, &say, offers));
    let text = |key| session.text(key).to_owned();
    let recipients = outgoing.envelope();
    if recipients.is_empty() {
        return again(Say { problem: text("compose.no-recipient"), ..Say::default() });
    }
    let doubts = draft.doubts(outgoing);
    if !doubts.is_empty() && sure != "1" {
        return again(Say { doubts, ask: true, ..Say::default() });
    }
    let due = if action == "later" {
        match queue::read_moment(&session.view, when) {
            Some(due) if due > now() && due < now() + FURTHEST => due,
            _ => return again(Say { problem: text("compose.bad-time"), ..Say::default() }),
        }
    } else {
        now() + UNDO
    };
    let folder = {
        let mut guard = session.app.mailboxes.open(session).await?;
        Place::Drafts.folder(guard.imap()?).await?
    };
    let new = New {
        kind: Kind::Send,
        due,
        folder,
        message_id: outgoing.message_id.clone(),
        subject: visible_line(&outgoing.subject, 200),
        sender: outgoing.from.address.clone(),
        recipients,
        original: draft.original.clone(),
    };
    let id = outbox::enter(session, new).await?;
    Ok(Redirect::to(&format!("/compose/outbox?new={id}")).into_response())
}

/// Stores what the form holds, with the files of the draft before it but one that the button takes out. Afterwards `draft` says
/// what lies in Drafts, whether that worked or not.
async fn renew(
    session: &Session,
    imap: &mut imap::Session,
    draft: &mut Draft,
    action: &str,
    more: Contents,
) -> Result<Stored, Problem> {
    let earlier = kept(session, imap, draft).await?;
    // Then what was typed here becomes a draft of its own. Until it is stored the page keeps the old number, so that the next
    // button finds out again.
    let is_stale = earlier.is_none();
    let mut contents = earlier.unwrap_or_default();
    draft.files = listed(&contents.files);
    draft.images = ids(&contents.images);
    let removed = action.strip_prefix("remove-").and_then(|index| index.parse::<usize>().ok());
    if let Some(index) = removed.filter(|index| *index < contents.files.len()) {
        contents.files.remove(index);
    }
    contents.files.extend(more.files);
    add_images(&mut contents, more.images);
    if draft.html.is_none() {
        images_as_files(&mut contents);
    }
    let (list, images) = (listed(&contents.files), ids(&contents.images));
    let stored = store(session, imap, draft, contents).await?;
    draft.files = list;
    draft.images = images;
    draft.stored = stored.uid;
    Ok(Stored { is_stale, ..stored })
}

/// A template that is inserted twice brings its images twice. One of another image's name becomes a file.
fn add_images(contents: &mut Contents, more: Vec<InlineImage>) {
    for image in more {
        match contents.images.iter().find(|one| one.content_id == image.content_id) {
            None => contents.images.push(image),
            Some(known) if *known == image => {}
            Some(_) => contents.files.push(as_file(image)),
        }
    }
}

/// Plain text shows no images: they go along as files.
pub(super) fn images_as_files(contents: &mut Contents) {
    contents.files.extend(contents.images.drain(..).map(as_file));
}

fn as_file(image: InlineImage) -> Attachment {
    let kind = inline_image_type(&image.data).unwrap_or("application/octet-stream");
    let ending = kind.rsplit('/').next().unwrap_or_default();
    Attachment { name: format!("image.{ending}"), media_type: kind.to_owned(), data: image.data }
}

/// How the HTML names the images.
pub(super) fn ids(images: &[InlineImage]) -> Vec<String> {
    images.iter().map(|image| image.content_id.clone()).collect()
}

/// Names and sizes for the page.
pub(super) fn listed(files: &[Attachment]) -> Vec<(String, usize)> {
    files.iter().map(|file| (file.name.clone(), file.data.len())).collect()
}

/// The files and images of the stored draft; `None` if it is gone: it was saved, sent or discarded in another window.
async fn kept(
    session: &Session,
    imap: &mut imap::Session,
    draft: &Draft,
) -> Result<Option<Contents>, Problem> {
    let Some(uid) = draft.stored else { return Ok(Some(Contents::default())) };
    let folder = draft.place.folder(imap).await?;
    let bytes = match fetch(session, imap, &folder, uid).await {
        Ok(bytes) => bytes,
        Err(Problem::NotFound) => return Ok(None),
        Err(other) => return Err(other),
    };
    contents(&bytes, &reading::read(&bytes)).map(Some)
}

/// What a message holds besides its text.
pub(super) fn contents(bytes: &[u8], letter: &Letter) -> Result<Contents, Problem> {
    let content = |part: &Part| reading::content(bytes, &part.id).map_err(|_| Problem::Internal);
    let shown = writing::shown_images(letter);
    let mut found = Contents::default();
    for part in &shown {
        if let Some(content_id) = part.content_id.clone() {
            found.images.push(InlineImage { content_id, data: content(part)? });
        }
    }
    for part in own_files(letter, &shown) {
        let (name, media_type) = (part.name.clone(), part.media_type.clone());
        found.files.push(Attachment { name, media_type, data: content(part)? });
    }
    Ok(found)
}

/// Stores a draft and takes the one away that it replaces: in this order, so that one of them always exists.
pub(super) async fn store(
    session: &Session,
    imap: &mut imap::Session,
    draft: &Draft,
    contents: Contents,
) -> Result<Stored, Problem> {
    let (outgoing, bad) = draft.message(session, contents)?;
    let folder = draft.place.folder(imap).await?;
    let uid = append(session, imap, &folder, &outgoing).await?;
    // It may be gone already. If it stays, nothing is lost: the new one is stored.
    if let Some(old) = draft.stored
        && imap.select(&folder).await.is_ok()
    {
        let _ = imap.expunge(&[old]).await;
    }
    Ok(Stored { uid, outgoing, bad, is_stale: false })
}

/// Stores what is written in a folder.
pub(super) async fn append(
    session: &Session,
    imap: &mut imap::Session,
    folder: &str,
    outgoing: &Outgoing,
) -> Result<Option<u32>, Problem> {
    let bytes = outgoing.write().map_err(|_| Problem::BadRequest)?;
    let size = bytes.len() as u64;
    // With the files of earlier uploads it may be too large to be opened again.
    if size > session.app.configuration.limits.message_bytes() {
        return Err(Problem::TooLarge);
    }
    let appended = imap.append(folder, &["\\Draft", "\\Seen"], size, &mut bytes.as_slice()).await;
    appended.map_err(|error| match error {
        Error::Refused { code, .. }
            if code == "OVERQUOTA" || code == "LIMIT" || code == "TOOBIG" =>
        {
            Problem::TooLarge
        }
        other => problem(other),
    })
}

/// What the fields of the page suggest.
pub(super) async fn offers(imap: &mut imap::Session, place: Place) -> Offers {
    let templates = match place {
        Place::Drafts => templates::list(imap).await.unwrap_or_default(),
        Place::Templates => Vec::new(),
    };
    Offers { people: people(imap).await, templates }
}

/// Addresses for the list that the recipient fields offer: of the newest messages that were sent, then received.
async fn people(imap: &mut imap::Session) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let folders = imap.folders().await.unwrap_or_default();
    let sent = special(imap, &folders, SpecialUse::Sent).await.unwrap_or_default();
    for (name, own) in [(sent.as_str(), true), ("INBOX", false)] {
        let Ok(selected) = imap.select(name).await else { continue };
        let last = selected.exists;
        if last == 0 {
            continue;
        }
        let rows =
            imap.window(last.saturating_sub(LOOK_BACK - 1).max(1), last).await.unwrap_or_default();
        for row in rows.iter().rev() {
            let headers = reading::read(row.header().unwrap_or_default()).headers;
            let list = if own { [headers.to, headers.cc] } else { [headers.from, Vec::new()] };
            for one in list.into_iter().flatten().filter(|one| one.deceit.is_none()) {
                let known =
                    found.iter().any(|it| it.to_lowercase().contains(&one.address.to_lowercase()));
                if found.len() < 300 && !known && mailkiln_letter::writing::is_address(&one.address)
                {
                    let name = one.name.unwrap_or_default();
                    found.push(
                        mailkiln_letter::writing::Recipient { name, address: one.address }
                            .to_string(),
                    );
                }
            }
        }
    }
    found
}
