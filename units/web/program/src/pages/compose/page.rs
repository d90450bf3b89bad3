//! The page to write on.

use axum::response::Response;
use maud::{Markup, html};

use super::draft::{Draft, identities};
use super::editor::{self, Text};
use super::pictures::Held;
use super::place::Place;
use super::templates::{self, Template};
use crate::layout::{Page, Section};
use crate::session::Session;

/// What the page says besides.
#[derive(Debug, Default)]
pub(super) struct Say<'a> {
    /// `saved`, or nothing.
    pub(super) done: &'a str,
    /// A problem, in words.
    pub(super) problem: String,
    /// Keys of what may have been overlooked.
    pub(super) doubts: Vec<&'static str>,
    /// Whether the next click on Send means it.
    pub(super) ask: bool,
}

/// What the fields suggest.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Recipients.
    pub(super) people: Vec<String>,
    /// What can be inserted.
    pub(super) templates: Vec<Template>,
}

/// The page.
pub(super) fn show(session: &Session, draft: &Draft, say: &Say<'_>, offers: &Offers) -> Response {
    let text = |key| session.text(key);
    let view = &session.view;
    let is_template = draft.place == Place::Templates;
    let title = text(if is_template { "compose.template" } else { "compose.title" });
    let save = text(if is_template { "compose.template-save" } else { "compose.save" });
    let content = html! {
        h1 { (title) }
        (said(session, draft, say))
        form method="post" action="/compose" enctype="multipart/form-data" {
            // First: it is looked at before any file is read.
            (view.csrf())
            (hidden(draft, say.ask))
            // The first button is what the Enter key means.
            button.hidden name="do" value="save" tabindex="-1" { (save) }
            (from(session, draft))
            @for (name, key, value) in [("to", "compose.to", &draft.to), ("cc", "compose.cc", &draft.cc), ("bcc", "compose.bcc", &draft.bcc)] {
                label for=(name) { (view.language.text(key)) }
                input id=(name) name=(name) value=(value) list="people" autocomplete="off" maxlength="20000"
                    aria-describedby=[(name == "to").then_some("people-hint")];
            }
            p.hint id="people-hint" { (text("compose.people-hint")) }
            datalist id="people" { @for one in &offers.people { option value=(one); } }
            label for="subject" { (text("compose.subject")) }
            input id="subject" name="subject" value=(draft.subject) maxlength="20000";
            (text_field(session, draft))
            (files(session, draft))
            @if is_template {
                p.tools {
                    button name="do" value="save" { (save) } " "
                    @if draft.stored.is_some() { button.quiet.danger name="do" value="discard" { (text("compose.template-remove")) } }
                }
            } @else {
                p.tools {
                    button name="do" value="send" { @if say.ask { (text("compose.send-anyway")) } @else { (text("compose.send")) } } " "
                    button.quiet name="do" value="save" { (save) } " "
                    button.quiet.danger name="do" value="discard" { (text("compose.discard")) }
                }
                (later(session))
                (insert(session, offers))
            }
        }
        p {
            @if is_template { a href="/compose/templates" { (text("compose.templates")) } }
            @else { a href="/compose/outbox" { (text("compose.outbox")) } }
        }
        (editor::link_dialog(session))
    };
    editor::page(
        session,
        Page {
            section: Some(Section::Compose),
            title: title.to_owned(),
            content,
            ..Page::default()
        },
    )
}

fn text_field(session: &Session, draft: &Draft) -> Markup {
    let held = Held { place: draft.place, draft: draft.stored, images: &draft.images };
    let has_formatting = draft.html.is_some() && draft.stored.is_some();
    let written = Text {
        plain: &draft.text,
        html: draft.html.as_deref(),
        images: &held,
        needs_script: has_formatting.then_some("compose.needs-script"),
        is_short: false,
    };
    editor::field(session, &written)
}

/// What the last button did, and what is wrong.
fn said(session: &Session, draft: &Draft, say: &Say<'_>) -> Markup {
    let text = |key| session.text(key);
    let done = match (say.done, draft.place) {
        ("saved", Place::Drafts) => text("compose.saved"),
        ("saved", Place::Templates) | ("template", _) => text("compose.template-saved"),
        ("inserted", _) => text("compose.template-inserted"),
        _ => "",
    };
    html! {
        @if !say.problem.is_empty() { p.problem role="alert" { (say.problem) } }
        @if !done.is_empty() { p.done role="status" { (done) } }
        @for doubt in &say.doubts { p.problem role="alert" { (session.view.language.text(doubt)) } }
    }
}

fn later(session: &Session) -> Markup {
    let (view, text) = (&session.view, |key| session.text(key));
    html! {
        details {
            summary { (text("compose.later")) }
            label for="when" { (text("compose.when")) }
            input id="when" name="when" type="datetime-local" aria-describedby="when-hint";
            p.hint id="when-hint" {
                (view.language.fill("compose.when-hint", &[("zone", &view.preferences.get("time-zone").unwrap_or("UTC"))]))
            }
            button.quiet name="do" value="later" { (text("compose.send-later")) }
        }
    }
}

/// What was written as a template, and templates into what is written.
fn insert(session: &Session, offers: &Offers) -> Markup {
    let text = |key| session.text(key);
    html! {
        details {
            summary { (text("compose.templates")) }
            @if !offers.templates.is_empty() {
                label for="template" { (text("compose.template")) }
                select id="template" name="template" aria-describedby="template-hint" {
                    @for one in &offers.templates { option value=(one.uid) { (templates::name(session, one)) } }
                }
                p.hint id="template-hint" { (text("compose.template-insert-hint")) }
                button.quiet name="do" value="insert" { (text("compose.template-insert")) } " "
            }
            button.quiet name="do" value="template" { (text("compose.template-keep")) }
            p { a href="/compose/templates" { (text("compose.templates-all")) } }
        }
    }
}

fn hidden(draft: &Draft, sure: bool) -> Markup {
    let uid = draft.stored.map(|uid| uid.to_string()).unwrap_or_default();
    html! {
        @for (name, value) in [
            ("draft", uid),
            ("place", draft.place.name().to_owned()),
            ("in-reply-to", draft.in_reply_to.join(" ")),
            ("references", draft.references.join(" ")),
            ("original", draft.original.clone()),
            ("sure", if sure { "1".to_owned() } else { String::new() }),
        ] {
            input type="hidden" name=(name) value=(value);
        }
    }
}

fn from(session: &Session, draft: &Draft) -> Markup {
    let all = identities(session);
    html! {
        label for="from" { (session.text("compose.from")) }
        select id="from" name="from" {
            @for one in &all {
                option value=(one.address) selected[one.address.eq_ignore_ascii_case(&draft.from)] { (one) }
            }
        }
    }
}

fn files(session: &Session, draft: &Draft) -> Markup {
    let text = |key| session.text(key);
    html! {
        @if !draft.files.is_empty() {
            ul.files aria-label=(text("compose.files")) {
                @for (index, (name, size)) in draft.files.iter().enumerate() {
                    li {
                        (name) " (" (session.view.language.number((*size as u64).div_ceil(1000))) " kB) "
                        button.quiet name="do" value=(format!("remove-{index}"))
                            aria-label=(session.view.language.fill("compose.remove-named", &[("name", name)])) { (text("compose.remove")) }
                    }
                }
            }
        }
        label for="files" { (text("compose.add-files")) }
        input id="files" name="files" type="file" multiple;
        " "
        button.quiet name="do" value="attach" { (text("compose.attach")) }
    }
}
