//! What stands below messages, for each address that is written from: plain, or with formatting and images.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::html::NoImages;
use mailkiln_letter::writing::{BadSignature, Signature};
use maud::{Markup, html};

use super::{framed, said};
use crate::form::{Query, escaped};
use crate::pages::compose::editor::{self, Text};
use crate::pages::compose::{Upload, identities, prefers_rich};
use crate::problem::Problem;
use crate::session::Session;
use crate::signatures::{self, COMMON};

const HERE: &str = "/settings/signature";

/// GET `/settings/signature`; `of` is the address, or nothing for the common one.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let address = own(&session, query.text("of"))?;
    let kept = signatures::kept(&session, &address).await?;
    let signature = kept.unwrap_or_else(|| Signature {
        html: prefers_rich(&session).then(String::new),
        ..Signature::default()
    });
    let said = said(&session, query.text("done"), None);
    Ok(page(&session, &address, &signature, &said))
}

/// One of the account's addresses, or that of the common signature.
fn own(session: &Session, wanted: &str) -> Result<String, Problem> {
    if wanted == COMMON {
        return Ok(COMMON.to_owned());
    }
    let all = identities(session);
    let found = all.into_iter().find(|one| one.address.eq_ignore_ascii_case(wanted));
    found.map(|one| one.address).ok_or(Problem::NotFound)
}

fn page(session: &Session, address: &str, signature: &Signature, said: &Markup) -> Response {
    let text = |key| session.text(key);
    let written = Text {
        plain: &signature.text,
        html: signature.html.as_deref(),
        images: &NoImages,
        needs_script: signature.html.as_ref().map(|_| "settings.signature-needs-script"),
        is_short: true,
    };
    let content = html! {
        (said)
        p { (text("settings.signature-hint")) }
        (addresses(session, address))
        form method="post" action=(HERE) enctype="multipart/form-data" {
            // First: it is looked at before any file is read.
            (session.view.csrf())
            input type="hidden" name="of" value=(address);
            (editor::field(session, &written))
            p.hint { (text("settings.signature-limits")) }
            button { (text("settings.save")) }
        }
        (editor::link_dialog(session))
    };
    editor::page(session, framed(session, HERE, "settings.signature", &content))
}

/// Which one is shown, where there are several.
fn addresses(session: &Session, address: &str) -> Markup {
    let all = identities(session);
    html! {
        @if all.len() > 1 {
            ul aria-label=(session.text("settings.signature-addresses")) {
                li { a href=(HERE) aria-current=[(address == COMMON).then_some("true")] { (session.text("settings.signature-common")) } }
                @for one in &all {
                    li {
                        a href=(format!("{HERE}?of={}", escaped(&one.address)))
                            aria-current=[one.address.eq_ignore_ascii_case(address).then_some("true")] { (one.address) }
                    }
                }
            }
        }
    }
}

/// POST `/settings/signature`.
pub(super) async fn save(session: Session, upload: Upload) -> Result<Response, Problem> {
    let fields = &upload.fields;
    let address = own(&session, fields.text("of"))?;
    let html = (fields.text("rich") == "1").then(|| fields.text("html"));
    let made = match html {
        // What is not an image came as a file.
        Some(_) if !upload.contents.files.is_empty() => Err(BadSignature::NoImage),
        Some(html) => Signature::rich(html, &upload.contents.images),
        None => Signature::plain(fields.text("text")),
    };
    match made {
        Ok(signature) => {
            signatures::keep(&session, &address, signature).await?;
            let of = escaped(&address);
            Ok(Redirect::to(&format!("{HERE}?of={of}&done=saved")).into_response())
        }
        Err(bad) => {
            let key = match bad {
                BadSignature::Long => "settings.too-long",
                BadSignature::LargeImage => "settings.signature-large-image",
                BadSignature::NoImage => "compose.not-image",
            };
            // Images that were not taken are gone; the text stays.
            let typed =
                Signature { text: fields.text("text").to_owned(), html: html.map(str::to_owned) };
            let said = said(&session, "", Some(session.view.language.text(key)));
            Ok(page(&session, &address, &typed, &said))
        }
    }
}
