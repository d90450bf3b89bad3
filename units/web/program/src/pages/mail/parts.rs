//! What leaves as a file: attachments and sources. Always as an attachment or as plain text, never as something a browser runs.

use std::str::FromStr as _;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use maud::html;
use mailkiln_letter::reading::{self, PartId};
use tokio::io::{AsyncReadExt as _, DuplexStream};

use super::message;
use super::place::Place;
use crate::form::Query;
use crate::layout::{Page, Section};
use crate::mailbox::{connect, problem};
use crate::problem::Problem;
use crate::session::Session;

/// Bytes between the mail server and a slow reader.
const BETWEEN: usize = 64 << 10;

/// GET `/mail/part`: an attachment.
pub(super) async fn part(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let place = Place::read(&query);
    let uid = place.message.ok_or(Problem::BadRequest)?;
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let message = message::open(&mut mailbox, &place.folder, uid).await?;
    drop(mailbox);
    let Some(structure) = message.structure else {
        let letter = reading::read(&message.bytes);
        let id = PartId::from_str(query.text("p")).map_err(|_| Problem::NotFound)?;
        let part = letter.parts.iter().find(|part| part.id == id).ok_or(Problem::NotFound)?;
        let bytes = reading::content(&message.bytes, &id).map_err(|_| Problem::NotFound)?;
        return Ok(file(Body::from(bytes), &part.name));
    };
    let part = structure.parts.iter().find(|part| part.path == query.text("s"));
    let part = part.ok_or(Problem::NotFound)?;
    let name = reading::safe_name(part.name.as_deref(), &part.kind);
    Ok(file(stream(&session, place.folder, uid, part.path.clone()).await?, &name))
}

/// A part of a message as it comes from the server, on a connection of its own: others can be opened meanwhile.
async fn stream(session: &Session, folder: String, uid: u32, section: String) -> Result<Body, Problem> {
    let mut imap = connect(session).await?;
    imap.select(&folder).await.map_err(problem)?;
    let (mut writer, reader) = tokio::io::duplex(BETWEEN);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let passed = imap.pass(uid, &section, &mut writer).await;
        drop(writer);
        // A reader who went away has nobody to be told.
        let _ = sender.send(passed.map(drop));
        imap.close().await;
    });
    let start = (reader, Some(receiver));
    let chunks = unfold(start, |(mut reader, receiver)| async move {
        let receiver = receiver?;
        match chunk(&mut reader).await {
            Ok(bytes) if bytes.is_empty() => match receiver.await {
                Ok(Ok(())) => None,
                // The download must not look complete when it is not.
                _ => Some((Err(std::io::Error::other("the mail server broke off")), (reader, None))),
            },
            Ok(bytes) => Some((Ok(bytes), (reader, Some(receiver)))),
            Err(error) => Some((Err(error), (reader, None))),
        }
    });
    Ok(Body::from_stream(chunks))
}

async fn chunk(reader: &mut DuplexStream) -> std::io::Result<Bytes> {
    let mut chunk = vec![0; 16 << 10];
    let count = reader.read(&mut chunk).await?;
    chunk.truncate(count);
    Ok(chunk.into())
}

/// A download that no browser shows.
fn file(body: Body, name: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    harmless(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let disposition = reading::content_disposition(name);
    let disposition = HeaderValue::from_str(&disposition);
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

fn harmless(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
}

/// GET `/mail/source`: the message as it came, as a file.
pub(super) async fn source(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let place = Place::read(&query);
    let uid = place.message.ok_or(Problem::BadRequest)?;
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let message = message::open(&mut mailbox, &place.folder, uid).await?;
    drop(mailbox);
    let name = format!("{uid}.eml");
    if message.structure.is_some() {
        return Ok(file(stream(&session, place.folder, uid, String::new()).await?, &name));
    }
    Ok(file(Body::from(message.bytes.to_vec()), &name))
}

/// GET `/mail/headers`: all fields of a message.
pub(super) async fn headers(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let place = Place::read(&query);
    let uid = place.message.ok_or(Problem::BadRequest)?;
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let message = message::open(&mut mailbox, &place.folder, uid).await?;
    drop(mailbox);
    let title = session.text("mail.headers").to_owned();
    let content = html! {
        p { a href=(place.here()) { (session.text("mail.back-message")) } }
        h1 { (title) }
        table.headers {
            thead { tr { th scope="col" { (session.text("mail.field")) } th scope="col" { (session.text("mail.value")) } } }
            tbody {
                @for (name, value) in reading::header_lines(&message.bytes) { tr { th scope="row" { (name) } td { (value) } } }
            }
        }
    };
    let page = Page { section: Some(Section::Mail), title, content, styles: &["mail.css"], ..Page::default() };
    Ok(session.view.page(page))
}
