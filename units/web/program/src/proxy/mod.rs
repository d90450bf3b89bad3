//! DAV of the mail server, for phones and calendars: `/dav`, and the redirects of `/.well-known/{caldav,carddav}` (RFC 6764).
//!
//! A request is taken apart and put together again: hyper reads the client's framing, `forward` chooses what goes on, hyper writes a framing of
//! its own on a connection that carries this request alone. So client and mail server can't disagree about where it ends.

mod forward;
mod limit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::any;
use http::Uri;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::app::App;
use crate::client::Client;
use crate::journal;
use crate::problem::Problem;

pub(crate) use forward::fuzz;
pub(crate) use limit::Shares;

/// So long may the server think before it answers, and pause while it does.
const PATIENCE: Duration = Duration::from_secs(90);
/// Files of others are served from our name: none of them may run.
const POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The group's addresses.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/caldav", any(async || Redirect::temporary("/dav/cal")))
        .route("/.well-known/carddav", any(async || Redirect::temporary("/dav/card")))
        .route("/dav/{*path}", any(pass))
}

/// Hands one request to the mail server, and its answer back.
async fn pass(
    State(app): State<Arc<App>>,
    client: Client,
    request: Request,
) -> Result<Response, Problem> {
    let address = app.backend.own().ok_or(Problem::NotFound)?.address();
    let share = app.dav.take(client).ok_or(Problem::TooMany { seconds: 5 })?;
    let (parts, body) = request.into_parts();
    if !forward::is_method(&parts.method) {
        return Err(Problem::MethodNotAllowed);
    }
    if !forward::is_path(parts.uri.path()) || !forward::is_framed(&parts.headers) {
        return Err(Problem::BadRequest);
    }
    let (length, largest) =
        (forward::length(&parts.headers), app.configuration.limits.upload_bytes);
    if length.is_some_and(|length| length > largest) {
        return Err(Problem::TooLarge);
    }
    let (body, cut) = outgoing(body, largest);
    let mut out = Request::new(body);
    *out.method_mut() = parts.method.clone();
    let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    *out.uri_mut() = target.parse::<Uri>().map_err(|_| Problem::BadRequest)?;
    *out.headers_mut() = forward::request(&parts.headers, &app.configuration.host, client);
    if let Some(length) = length {
        out.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    match exchange(address, out).await {
        Ok(answer) => Ok(returned(answer, share)),
        Err(_) if cut.load(Ordering::Relaxed) => Err(Problem::TooLarge),
        Err(error) => {
            journal::warning(&format!("DAV at {address}: {error}"));
            Err(Problem::ServerAway)
        }
    }
}

/// The client's body as far as it is data: trailers are dropped, and what is longer than `largest` ends the request. The flag says
/// that it did.
fn outgoing(body: Body, largest: u64) -> (Body, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    if http_body::Body::is_end_stream(&body) {
        return (Body::empty(), cut);
    }
    let most = usize::try_from(largest).unwrap_or(usize::MAX);
    let flag = Arc::clone(&cut);
    let limited = Limited::new(body, most).map_err(move |error| {
        flag.store(error.is::<LengthLimitError>(), Ordering::Relaxed);
        error
    });
    (Body::from_stream(Body::new(limited).into_data_stream()), cut)
}

/// One request on a connection of its own.
async fn exchange(
    address: SocketAddr,
    request: http::Request<Body>,
) -> Result<http::Response<Incoming>, Failure> {
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer's body.
        tokio::spawn(connection);
        let body_ends = sender.send_request(request).await?;
        Ok::<_, Failure>(body_ends)
    };
    tokio::time::timeout(PATIENCE, asked).await?
}

/// The mail server's answer as ours. The share is given back with the last byte.
fn returned(answer: http::Response<Incoming>, share: limit::Share) -> Response {
    let (parts, body) = answer.into_parts();
    let body = body.map_frame(move |frame| {
        let _held = &share;
        frame
    });
    let mut response = Body::new(body).into_response();
    *response.status_mut() = parts.status;
    *response.headers_mut() = forward::response(&parts.headers);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Without a kind a browser would guess one.
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}
