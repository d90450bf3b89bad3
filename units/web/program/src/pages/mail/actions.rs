//! What is done to messages: flags, moves, junk, deleting, and undoing it. Only forms of our own pages come here.

use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailkiln_servers::Error;
use mailkiln_servers::imap::{Change, Folder, SpecialUse};

use super::listing;
use super::place::Place;
use super::query::Search;
use crate::form::{Fields, Form};
use crate::mailbox::{Mailbox, Undo, problem, special};
use crate::problem::Problem;
use crate::random;
use crate::session::Session;

/// What a button asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Flag(Change, &'static str),
    Move,
    Copy,
    To(SpecialUse),
    /// Gone for good.
    Destroy,
}

impl Action {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "read" => Self::Flag(Change::Add, "\\Seen"),
            "unread" => Self::Flag(Change::Remove, "\\Seen"),
            "flag" => Self::Flag(Change::Add, "\\Flagged"),
            "unflag" => Self::Flag(Change::Remove, "\\Flagged"),
            "move" => Self::Move,
            "copy" => Self::Copy,
            "trash" => Self::To(SpecialUse::Trash),
            "archive" => Self::To(SpecialUse::Archive),
            "junk" => Self::To(SpecialUse::Junk),
            "not-junk" => Self::To(SpecialUse::Inbox),
            "destroy" => Self::Destroy,
            _ => return None,
        })
    }

    /// The text that says what was done.
    fn text(self) -> &'static str {
        match self {
            Self::Flag(..) => "mail.done-flag",
            Self::Copy => "mail.done-copy",
            Self::Destroy => "mail.done-destroy",
            Self::To(SpecialUse::Trash) => "mail.done-trash",
            Self::To(SpecialUse::Junk) => "mail.done-junk",
            Self::Move | Self::To(_) => "mail.done-move",
        }
    }
}

/// POST `/mail/do`.
pub(super) async fn act(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let place = Place::read(&form);
    let action = Action::read(form.text("do")).ok_or(Problem::BadRequest)?;
    let mut guard = session.app.mailboxes.open(&session).await?;
    let mailbox = &mut *guard;
    let folders = mailbox.imap()?.folders().await.map_err(problem)?;
    let chosen = chosen(mailbox, &form, &place, &folders).await?;
    let mut back = place.closed();
    if chosen.is_empty() {
        back.done = "none".to_owned();
        return Ok(Redirect::to(&back.here()).into_response());
    }
    let mut count = 0;
    let (mut now, mut moves) = (String::new(), Vec::new());
    for (folder, uids) in chosen {
        mailbox.imap()?.select(&folder).await.map_err(problem)?;
        count += uids.len();
        let target = form.text("to");
        let moved = one(mailbox, action, &folder, &uids, target, &folders).await;
        match moved {
            Ok(Some((target, new))) if !new.is_empty() => {
                now = target;
                moves.push((folder, new));
            }
            Ok(Some(_)) => {}
            Ok(None) => {}
            Err(Error::Refused { text, code }) => return Ok(refused(mailbox, back, &code, &text)),
            Err(error) => return Err(problem(error)),
        }
    }
    let token = token()?;
    mailbox.remember(Undo { token: token.clone(), now, moves, text: action.text(), count });
    back.done = token;
    // A message stays open when only its flags were changed, unless it is unread now.
    if matches!(action, Action::Flag(_, "\\Flagged"))
        || action == Action::Flag(Change::Add, "\\Seen")
    {
        back.message = place.message;
    }
    Ok(Redirect::to(&back.here()).into_response())
}

/// The server's own words, kept for the next page.
fn refused(mailbox: &mut Mailbox, mut back: Place, code: &str, text: &str) -> Response {
    let token = format!("refused-{}", super::row::short(code));
    let words = super::row::short(text);
    mailbox.remember(Undo {
        token: token.clone(),
        now: words,
        moves: Vec::new(),
        text: "mail.refused",
        count: 0,
    });
    back.done = token;
    Redirect::to(&back.here()).into_response()
}

type Moved = Option<(String, Vec<u32>)>;

/// Does it to messages of the folder that is open.
async fn one(
    mailbox: &mut Mailbox,
    action: Action,
    folder: &str,
    uids: &[u32],
    target: &str,
    folders: &[Folder],
) -> Result<Moved, Error> {
    let (imap, results) = mailbox.both().map_err(|_| Error::Closed { step: "mailbox" })?;
    let is =
        |wanted| folders.iter().any(|it| it.wire == folder && it.special_use() == Some(wanted));
    match action {
        Action::Flag(change, flag) => {
            imap.flag(uids, change, flag).await?;
            // What was found may depend on it.
            results.forget(folder);
            return Ok(None);
        }
        Action::Copy => {
            imap.copy_to(uids, target).await?;
            return Ok(None);
        }
        Action::Destroy => {
            // Only what is in the trash or junk already; elsewhere the page offers the trash.
            if !is(SpecialUse::Trash) && !is(SpecialUse::Junk) {
                return Err(Error::Refused { code: "CANNOT".into(), text: folder.into() });
            }
            imap.expunge(uids).await?;
            results.forget(folder);
            return Ok(None);
        }
        Action::Move | Action::To(_) => {}
    }
    let target = match action {
        Action::To(wanted) => special(imap, folders, wanted).await?,
        _ => target.to_owned(),
    };
    if target == folder {
        return Ok(None);
    }
    // Moving trains the filter; the keywords tell other programs.
    let junk = match action {
        Action::To(SpecialUse::Junk) => Some(("$NotJunk", "$Junk")),
        Action::To(SpecialUse::Inbox) if is(SpecialUse::Junk) => Some(("$Junk", "$NotJunk")),
        _ => None,
    };
    if let Some((old, new)) = junk {
        imap.flag(uids, Change::Remove, old).await?;
        imap.flag(uids, Change::Add, new).await?;
    }
    let new = imap.move_to(uids, &target).await?;
    results.forget(folder);
    results.forget(&target);
    Ok(Some((target, new)))
}

/// The messages that a form means, by folder: those that are ticked, or everything that the list shows on all pages.
async fn chosen(
    mailbox: &mut Mailbox,
    form: &Fields,
    place: &Place,
    folders: &[Folder],
) -> Result<Vec<(String, Vec<u32>)>, Problem> {
    let search = Search::read(&place.find);
    let here = listing::scoped(&search, place, folders);
    if form.text("all") == "1" && search.scope != super::query::Scope::Everywhere {
        let uids = listing::all(mailbox, place, &here, &search).await?;
        return Ok(vec![(here, uids)]);
    }
    let mut chosen: Vec<(String, Vec<u32>)> = Vec::new();
    for value in form.all("u") {
        // `12`, or `12@FOLDER` where a list has several.
        let (uid, folder) = value.split_once('@').unwrap_or((value, &here));
        let uid: u32 = uid.parse().map_err(|_| Problem::BadRequest)?;
        match chosen.iter_mut().find(|(own, _)| own == folder) {
            Some((_, uids)) => uids.push(uid),
            None => chosen.push((folder.to_owned(), vec![uid])),
        }
    }
    if place.grouped {
        whole_conversations(mailbox, &here, &search, &mut chosen).await?;
    }
    Ok(chosen)
}

/// A row of a list by conversation stands for all its messages.
async fn whole_conversations(
    mailbox: &mut Mailbox,
    folder: &str,
    search: &Search,
    chosen: &mut [(String, Vec<u32>)],
) -> Result<(), Problem> {
    let imap = mailbox.imap()?;
    if !imap.can("THREAD=REFERENCES") {
        return Ok(());
    }
    let Some((_, uids)) = chosen.iter_mut().find(|(own, _)| own == folder) else { return Ok(()) };
    imap.select(folder).await.map_err(problem)?;
    let threads = imap.threads(&search.keys).await.map_err(problem)?;
    let ticked = std::mem::take(uids);
    for thread in threads {
        if thread.last().is_some_and(|newest| ticked.contains(newest)) {
            uids.extend(thread);
        }
    }
    // What is gone from its conversation meanwhile is still what was ticked.
    uids.extend(ticked);
    uids.sort_unstable();
    uids.dedup();
    Ok(())
}

/// POST `/mail/undo`.
pub(super) async fn undo(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let place = Place::read(&form);
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let mut back = place.closed();
    let undo = mailbox.take(form.text("undo")).filter(|undo| !undo.moves.is_empty());
    if let Some(undo) = undo {
        let (imap, results) = mailbox.both()?;
        imap.select(&undo.now).await.map_err(problem)?;
        for (before, uids) in &undo.moves {
            imap.move_to(uids, before).await.map_err(problem)?;
            results.forget(before);
        }
        results.forget(&undo.now);
        back.done = "undone".to_owned();
    } else {
        back.done = "too-late".to_owned();
    }
    Ok(Redirect::to(&back.here()).into_response())
}

fn token() -> Result<String, Problem> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<12>()?))
}
