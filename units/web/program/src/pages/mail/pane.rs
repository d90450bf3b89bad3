//! An open message: who, what, what to do with it, what is attached, and its body in a frame.

use mailkiln_letter::html::{NoImages, Policy};
use mailkiln_letter::reading::{
    self, Check, Letter, Mailbox as Person, NameDeceit, Notice, Outcome, Preference, Unsubscribe,
};
use mailkiln_servers::imap::{Change, Folder, Part, SpecialUse};
use maud::{Markup, html};

use super::message::{self, Message};
use super::place::Place;
use super::{conversation, folders, show, when};
use crate::form::escaped;
use crate::mailbox::{Mailbox, is_templates, problem};
use crate::problem::Problem;
use crate::session::Session;

/// The pane of a message.
pub(super) struct Pane {
    pub(super) markup: Markup,
    /// The message is to be marked as read.
    pub(super) marks: Option<Mark>,
}

/// A message that was opened and is not marked as read yet.
pub(super) struct Mark {
    folder: String,
    uid: u32,
}

impl Mark {
    /// Marks it. In a shared folder where that is not allowed the message is read all the same.
    ///
    /// # Errors
    /// [`Problem::ServerAway`] if the connection broke.
    pub(super) async fn set(self, mailbox: &mut Mailbox) -> Result<(), Problem> {
        let imap = mailbox.imap()?;
        imap.select(&self.folder).await.map_err(problem)?;
        match imap.flag(&[self.uid], Change::Add, "\\Seen").await {
            Err(error) if !error.keeps_connection() => Err(problem(error)),
            _ => Ok(()),
        }
    }
}

/// The pane of the message at `place`; one that is gone is said to be.
pub(super) async fn load(
    mailbox: &mut Mailbox,
    session: &Session,
    place: &Place,
    all: &[Folder],
) -> Result<Pane, Problem> {
    let uid = place.message.ok_or(Problem::BadRequest)?;
    let message = match message::open(mailbox, &place.folder, uid).await {
        Err(Problem::NotFound) => return Ok(Pane { markup: gone(session, place), marks: None }),
        other => other?,
    };
    let by_hand = session.view.preferences.get("mail-mark-read") == Some("manual");
    let marks = (!message.row.has("\\Seen") && !by_hand)
        .then(|| Mark { folder: place.folder.clone(), uid });
    let mut others = if place.grouped {
        conversation::find(mailbox, &place.folder, &message.row, all).await?
    } else {
        Vec::new()
    };
    for row in others.iter_mut().filter(|row| row.uid == uid && marks.is_some()) {
        row.unread &= row.folder.as_ref() != Some(&place.folder);
    }
    Ok(Pane { markup: pane(session, place, &message, all, &others), marks })
}

fn gone(session: &Session, place: &Place) -> Markup {
    html! {
        div.problem role="alert" { h1 { (session.text("mail.gone")) } }
        p { a.back href=(place.closed().here()) { (session.text("mail.back")) } }
    }
}

fn pane(
    session: &Session,
    place: &Place,
    message: &Message,
    all: &[Folder],
    others: &[super::row::Row],
) -> Markup {
    let text = |key: &str| session.text(key);
    let letter = reading::read(&message.bytes);
    // Only to say what is missing; the frame makes it anew with its images.
    let shown = reading::show(&letter, Preference::Html, &Policy::showing(&NoImages));
    let frame = place.closed().with(message.row.uid.unwrap_or(0)).link("/mail/body");
    html! {
        article.message aria-labelledby="subject" {
            p.back { a href=(place.closed().here()) data-close { (text("mail.back")) } }
            // A telephone shows it without the list and its heading.
            h1 #subject { (subject(session, &letter)) }
            (actions(session, place, message, all))
            (snooze(session, place, message))
            dl.fields {
                @for (key, people) in people(&letter) {
                    @if !people.is_empty() { dt { (text(key)) } dd { (listed(session, people)) } }
                }
                dt { (text("mail.date")) }
                dd { (when::long(&session.view, letter.headers.date.or(message.row.received).unwrap_or(0))) }
            }
            (warnings(session, &letter, &message.bytes))
            (conversation::strip(session, place, others, all))
            (attachments(session, place, message, &letter))
            @if shown.blocked_images > 0 {
                p.hint {
                    (session.view.language.count("mail.blocked-images", shown.blocked_images as u64)) " "
                    a href={ (frame) "&images=1" } target="letter" { (text("mail.load-images")) }
                }
            }
            @if shown.cut { p.hint { (text("mail.body-cut")) } }
            iframe.body src=(frame) name="letter" title=(text("mail.body")) sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer" {}
            p.more {
                a target="_blank" rel="noreferrer" href={ (frame) "&print=1" } { (text("mail.print")) } " · "
                a target="_blank" rel="noreferrer" href={ (frame) "&as=text" } { (text("mail.as-text")) } " · "
                a href=(place.link("/mail/headers")) { (text("mail.headers")) } " · "
                a href=(place.link("/mail/source")) { (text("mail.source")) } " · "
                a href=(place.link("/mail/conversation")) { (text("mail.conversation")) }
            }
        }
    }
}

/// The subject, or what stands for none.
pub(super) fn subject(session: &Session, letter: &Letter) -> String {
    if letter.headers.subject.is_empty() {
        return session.text("mail.no-subject").to_owned();
    }
    letter.headers.subject.clone()
}

/// The fields that name people, with their texts.
pub(super) fn people(letter: &Letter) -> [(&'static str, &[Person]); 6] {
    let headers = &letter.headers;
    [
        ("mail.from", &headers.from),
        ("mail.sender", &headers.sender),
        ("mail.to", &headers.to),
        ("mail.cc", &headers.cc),
        ("mail.bcc", &headers.bcc),
        ("mail.reply-to", &headers.reply_to),
    ]
}

/// People on one line.
pub(super) fn plain(people: &[Person]) -> String {
    let one = |person: &Person| match &person.name {
        Some(name) => format!("{name} <{}>", person.address),
        None => person.address.clone(),
    };
    people.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn listed(session: &Session, people: &[Person]) -> Markup {
    let one = |person: &Person| {
        html! {
            span.person {
                (person.label())
                @if person.label() != person.address { " " span.hint { "<" (person.address) ">" } }
            }
        }
    };
    html! {
        @for person in people.iter().take(5) { (one(person)) " " }
        @if people.len() > 5 {
            details {
                summary { (session.view.language.count("mail.more-people", people.len() as u64 - 5)) }
                @for person in people.iter().skip(5) { (one(person)) " " }
            }
        }
    }
}

fn actions(session: &Session, place: &Place, message: &Message, all: &[Folder]) -> Markup {
    let text = |key: &str| session.text(key);
    let uid = message.row.uid.unwrap_or(0);
    let is = |wanted| show::is(all, &place.folder, wanted);
    let write = |how: &str| format!("/compose?{how}={uid}&f={}", escaped(&place.folder));
    let button = |action: &str, key: &'static str| html! { button.quiet name="do" value=(action) { (text(key)) } " " };
    html! {
        form.tools method="post" action="/mail/do" aria-label=(text("mail.tools-message")) {
            (folders::form_fields(&session.view, place))
            input type="hidden" name="u" value=(uid);
            @if all.iter().any(|it| it.wire == place.folder && is_templates(it)) {
                a.button href=(write("template")) { (text("mail.use-template")) } " "
            }
            @if is(SpecialUse::Drafts) { a.button href=(write("draft")) { (text("mail.edit-draft")) } }
            a.button data-reply href=(write("reply")) { (text("mail.reply")) } " "
            a.button.quiet data-reply-all href=(write("reply-all")) { (text("mail.reply-all")) } " "
            a.button.quiet data-forward href=(write("forward")) { (text("mail.forward")) } " "
            (button("archive", "mail.archive"))
            @if is(SpecialUse::Trash) { (button("destroy", "mail.destroy")) } @else { (button("trash", "mail.delete")) }
            @if is(SpecialUse::Junk) { (button("not-junk", "mail.not-junk")) } @else { (button("junk", "mail.junk")) }
            (button("unread", "mail.mark-unread"))
            @if message.row.has("\\Flagged") { (button("unflag", "mail.unflag")) } @else { (button("flag", "mail.flag")) }
            (folders::choice(&session.view, place, all, "to-one")) (button("move", "mail.move"))
        }
    }
}

/// Puts the message away for a while.
fn snooze(session: &Session, place: &Place, message: &Message) -> Markup {
    let text = |key| session.text(key);
    html! {
        details.snooze {
            summary { (text("mail.snooze")) }
            form.tools method="post" action="/compose/snooze" {
                (session.view.csrf())
                input type="hidden" name="f" value=(place.folder);
                input type="hidden" name="m" value=(message.row.uid.unwrap_or(0));
                @for (hours, key) in [("3", "mail.snooze-hours"), ("24", "mail.snooze-day"), ("168", "mail.snooze-week")] {
                    button.quiet name="in" value=(hours) { (session.view.language.text(key)) } " "
                }
            }
        }
    }
}

/// What a reader should know before believing the message.
fn warnings(session: &Session, letter: &Letter, bytes: &[u8]) -> Markup {
    let text = |key: &str| session.text(key);
    let deceit = letter.headers.from.iter().find_map(|person| person.deceit);
    let checks = reading::authentication(bytes, &session.app.configuration.host);
    let failed =
        checks.iter().any(|check| check.method == "dmarc" && check.outcome == Outcome::Fail);
    html! {
        @if let Some(deceit) = deceit {
            p.problem { (text(match deceit {
                NameDeceit::OtherAddress => "mail.deceit-address",
                NameDeceit::LookAlike => "mail.deceit-look-alike",
                NameDeceit::HiddenSigns => "mail.deceit-hidden",
            })) }
        }
        @if failed { p.problem { (text("mail.unproved")) } }
        @for notice in &letter.notices {
            p.hint { (text(match notice {
                Notice::HeadersCut => "mail.notice-headers",
                Notice::TooManyParts => "mail.notice-parts",
                Notice::TooDeep => "mail.notice-deep",
                Notice::Garbled => "mail.notice-garbled",
                Notice::RichText => "mail.notice-rich",
                Notice::Unreadable => "mail.notice-unreadable",
            })) }
        }
        (proof(session, &checks, bytes))
        (unsubscribe(session, bytes))
    }
}

/// Who the message is proved to be from, and why it was taken for junk or not.
fn proof(session: &Session, checks: &[Check], bytes: &[u8]) -> Markup {
    let text = |key: &str| session.text(key);
    let spam = reading::spam(bytes);
    if checks.is_empty() && spam.is_none() {
        return html! {};
    }
    let outcome = |outcome| {
        text(match outcome {
            Outcome::Pass => "mail.check-pass",
            Outcome::Fail => "mail.check-fail",
            Outcome::Doubtful => "mail.check-doubtful",
            Outcome::Nothing => "mail.check-nothing",
            Outcome::Error => "mail.check-error",
        })
    };
    html! {
        details.proof {
            summary { (text("mail.proof")) }
            ul {
                @for check in checks {
                    li { (check.method.to_uppercase()) ": " (outcome(check.outcome)) @if let Some(of) = &check.of { " (" (of) ")" } }
                }
                @if let Some(spam) = spam {
                    li {
                        (text(if spam.is_spam { "mail.spam-yes" } else { "mail.spam-no" }))
                        @if let Some(score) = spam.score { " (" (format!("{score:.1}")) ")" }
                        @if !spam.reasons.is_empty() {
                            ul { @for (reason, points) in spam.reasons.iter().take(30) { li { (reason) ": " (format!("{points:+.1}")) } } }
                        }
                    }
                }
            }
        }
    }
}

fn unsubscribe(session: &Session, bytes: &[u8]) -> Markup {
    // One click asks a stranger's server in our name, which needs the rules of the image proxy; until there is
    // one, its page or its address is offered.
    let ways = reading::unsubscribe(bytes);
    let way = ways.first().map(|way| match way {
        Unsubscribe::OneClick(url) | Unsubscribe::Page(url) => (url.clone(), true),
        Unsubscribe::Mail(to, subject) => {
            (format!("/compose?to={}&subject={}", escaped(to), escaped(subject)), false)
        }
    });
    html! {
        @if let Some((link, foreign)) = way {
            p { a href=(link) target=[foreign.then_some("_blank")] rel="noreferrer noopener" { (session.text("mail.unsubscribe")) } }
        }
    }
}

fn attachments(session: &Session, place: &Place, message: &Message, letter: &Letter) -> Markup {
    let text = |key: &str| session.text(key);
    let language = session.view.language;
    let link = |field: &str, value: &str| {
        format!(
            "{}&{field}={}",
            place.closed().with(message.row.uid.unwrap_or(0)).link("/mail/part"),
            escaped(value)
        )
    };
    let entry = |href: &str, name: &str, size: u64, dangerous: bool| {
        html! {
            li {
                a href=(href) download { (name) } " " span.hint { (when::size(size)) }
                @if dangerous { " " span.danger { (text("mail.dangerous")) } }
            }
        }
    };
    let large = message.structure.as_ref();
    let of_large: Vec<&Part> = large.map_or_else(Vec::new, |structure| {
        let shown = |part: &&Part| {
            part.kind.starts_with("text/") && part.disposition.as_deref() != Some("attachment")
        };
        structure.parts.iter().filter(|part| !shown(part)).collect()
    });
    let of_small: Vec<_> =
        if large.is_some() { Vec::new() } else { letter.attachments().take(200).collect() };
    let count = (of_large.len() + of_small.len()) as u64;
    html! {
        @if count > 0 {
            section.attachments aria-labelledby="attached" {
                h2 #attached { (language.count("mail.attachments", count)) }
                ul {
                    @for part in &of_large {
                        @let name = reading::safe_name(part.name.as_deref(), &part.kind);
                        // Base64 takes a third more than what it holds.
                        @let size = if part.encoding == "base64" { part.size / 4 * 3 } else { part.size };
                        (entry(&link("s", &part.path), &name, size, reading::is_dangerous(&name)))
                    }
                    @for part in &of_small {
                        (entry(&link("p", &part.id.to_string()), &part.name, part.size as u64, part.is_dangerous))
                    }
                }
                @if large.is_some_and(|structure| !structure.complete) { p.hint { (text("mail.notice-parts")) } }
            }
        }
    }
}
