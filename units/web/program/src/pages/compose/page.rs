//! The page to write on.

use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use maud::{Markup, html};

use super::draft::{Draft, identities};
use super::editor;
use crate::guard;
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

/// The page.
pub(super) fn show(session: &Session, draft: &Draft, say: &Say<'_>, people: &[String]) -> Response {
    let text = |key| session.text(key);
    let view = &session.view;
    let content = html! {
        h1 { (text("compose.title")) }
        @if !say.problem.is_empty() { p.problem role="alert" { (say.problem) } }
        @if say.done == "saved" { p.done role="status" { (text("compose.saved")) } }
        @for doubt in &say.doubts { p.problem role="alert" { (view.language.text(doubt)) } }
        form method="post" action="/compose" enctype="multipart/form-data" {
            // First: it is looked at before any file is read.
            (view.csrf())
            (hidden(draft, say.ask))
            // The first button is what the Enter key means.
            button.hidden name="do" value="save" tabindex="-1" { (text("compose.save")) }
            (from(session, draft))
            @for (name, key, value) in [("to", "compose.to", &draft.to), ("cc", "compose.cc", &draft.cc), ("bcc", "compose.bcc", &draft.bcc)] {
                label for=(name) { (view.language.text(key)) }
                input id=(name) name=(name) value=(value) list="people" autocomplete="off" maxlength="20000"
                    aria-describedby=[(name == "to").then_some("people-hint")];
            }
            p.hint id="people-hint" { (text("compose.people-hint")) }
            datalist id="people" { @for one in people { option value=(one); } }
            label for="subject" { (text("compose.subject")) }
            input id="subject" name="subject" value=(draft.subject) maxlength="20000";
            (editor::field(session, draft))
            (files(session, draft))
            p.tools {
                button name="do" value="send" { @if say.ask { (text("compose.send-anyway")) } @else { (text("compose.send")) } } " "
                button.quiet name="do" value="save" { (text("compose.save")) } " "
                button.quiet.danger name="do" value="discard" { (text("compose.discard")) }
            }
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
        p { a href="/compose/outbox" { (text("compose.outbox")) } }
        (editor::link_dialog(session))
    };
    let mut response = view.page(Page {
        section: Some(Section::Compose),
        title: text("compose.title").to_owned(),
        content,
        scripts: &["compose.js"],
        styles: &["compose.css"],
        ..Page::default()
    });
    let policy = HeaderValue::from_static(guard::WRITING);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn hidden(draft: &Draft, sure: bool) -> Markup {
    let uid = draft.stored.map(|uid| uid.to_string()).unwrap_or_default();
    html! {
        @for (name, value) in [
            ("draft", uid),
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
