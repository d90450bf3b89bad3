//! Connections: accepted, counted, given TLS, and served until they end, stall or stay idle.
//!
//! No client may hold more of us than its share: see `count` for how many connections, `pace` for how slow a body, `stall` for how
//! long an answer may wait for its reader. hyper bounds heads, and HTTP/2 streams that are opened and reset.

mod count;
mod pace;
mod stall;

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::once;
use http::{Request, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::client::Client;
use crate::configuration::Limits;
use crate::journal;
use crate::sockets::{Listener, Speech};
use count::{Counter, Ticket};
use pace::Paced;
use stall::Unstalled;

/// Largest head, bytes.
const HEAD: usize = 32 * 1024;
/// Longest path with its query, bytes.
const TARGET: usize = 8 * 1024;
/// A body of HTTP/1 up to this size is read before anybody answers, bytes.
const SMALL: u64 = 16 * 1024;
/// Streams of one HTTP/2 connection at the same time.
const STREAMS: u32 = 100;
/// Streams that a client reset before we took them up (rapid reset, CVE-2023-44487).
const RESETS: usize = 16;
/// An HTTP/2 connection without a request is closed after so long.
const IDLE: Duration = Duration::from_secs(180);
/// So long may an answer wait for a reader that takes nothing.
const STALL: Duration = Duration::from_secs(60);
/// When there are no descriptors left, accepting waits.
const PAUSE: Duration = Duration::from_millis(200);

/// What all connections share.
pub(crate) struct Door {
    /// All pages.
    pub(crate) router: Router,
    /// What port 80 answers.
    pub(crate) plain: Router,
    /// Our side of TLS.
    pub(crate) tls: Option<TlsAcceptor>,
    limits: Limits,
    counter: Arc<Counter>,
    stop: watch::Receiver<bool>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Door {
    /// A door that closes when `stop` says so.
    pub(crate) fn new(
        router: Router,
        plain: Router,
        tls: Option<TlsAcceptor>,
        limits: Limits,
        stop: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let counter = Counter::new(limits.connections, limits.connections_per_client);
        Arc::new(Self { router, plain, tls, limits, counter, stop })
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.counter.open()
    }

    /// Accepts until the door closes.
    pub(crate) async fn accept(self: Arc<Self>, speech: Speech, listener: Listener) {
        let mut stop = self.stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = next(&listener) => accepted,
                _ = stop.changed() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    journal::warning(&format!("cannot accept a connection: {error}"));
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let client = Client { address, secure: speech == Speech::Https };
            // All clients of a proxy come from one address; it counts them itself.
            let network = (speech != Speech::Proxied).then(|| client.network());
            if let Some(ticket) = self.counter.enter(network) {
                tokio::spawn(Arc::clone(&self).connection(speech, client, stream, ticket));
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        speech: Speech,
        client: Client,
        stream: Stream,
        ticket: Ticket,
    ) {
        let _ticket = ticket;
        match speech {
            Speech::Https => {
                let Some(acceptor) = &self.tls else { return };
                let patience = Duration::from_secs(self.limits.read_seconds);
                let Ok(Ok(stream)) = tokio::time::timeout(patience, acceptor.accept(stream)).await
                else {
                    return;
                };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.http2(client, stream).await;
                } else {
                    self.http1(&self.router, Some(client), stream).await;
                }
            }
            Speech::Http => self.http1(&self.plain, Some(client), stream).await,
            Speech::Proxied => self.http1(&self.router, None, stream).await,
        }
    }

    async fn http1(&self, router: &Router, client: Option<Client>, stream: impl Io) {
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).max_buf_size(HEAD).half_close(false);
        server.header_read_timeout(Duration::from_secs(self.limits.read_seconds));
        let answer = |request| self.answer(router, client, request);
        let io = TokioIo::new(Unstalled::new(stream, STALL));
        let mut connection = pin!(server.serve_connection(io, service_fn(answer)));
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = stop.changed() => connection.as_mut().graceful_shutdown(),
            }
        }
    }

    async fn http2(&self, client: Client, stream: impl Io) {
        let mut server = http2::Builder::new(TokioExecutor::new());
        server
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(16 * 1024)
            .max_pending_accept_reset_streams(RESETS)
            .max_send_buf_size(64 * 1024)
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let activity = Arc::new(Activity::default());
        let answer = {
            let activity = Arc::clone(&activity);
            let (router, read_seconds) = (self.router.clone(), self.limits.read_seconds);
            move |request| {
                let (activity, router) = (Arc::clone(&activity), router.clone());
                async move {
                    let _busy = activity.begin();
                    Self::respond(router, Some(client), read_seconds, request).await
                }
            }
        };
        let io = TokioIo::new(Unstalled::new(stream, STALL));
        let mut connection = pin!(server.serve_connection(io, service_fn(answer)));
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = stop.changed() => connection.as_mut().graceful_shutdown(),
                () = activity.idle() => connection.as_mut().graceful_shutdown(),
            }
        }
    }

    fn answer(
        &self,
        router: &Router,
        client: Option<Client>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, std::convert::Infallible>> + use<> {
        Self::respond(router.clone(), client, self.limits.read_seconds, request)
    }

    async fn respond(
        router: Router,
        client: Option<Client>,
        read_seconds: u64,
        request: Request<Incoming>,
    ) -> Result<Response, std::convert::Infallible> {
        if let Some(refusal) = oversized(&request) {
            return Ok(refusal.into_response());
        }
        let client = client.unwrap_or_else(|| Client::behind_proxy(request.headers()));
        let paced = |body| Body::new(Paced::new(body, Duration::from_secs(read_seconds)));
        let (parts, body) = request.map(paced).into_parts();
        let body = if parts.version < Version::HTTP_2 { whole(body).await } else { body };
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(client);
        router.oneshot(request).await
    }
}

/// hyper looks at its buffer's size only while a head is unfinished; one that came in a single piece may be larger.
fn oversized(request: &Request<Incoming>) -> Option<StatusCode> {
    let lines = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let target = request.uri().path_and_query().map_or(0, |it| it.as_str().len());
    if target > TARGET {
        Some(StatusCode::URI_TOO_LONG)
    } else if lines.sum::<usize>() > HEAD {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else {
        None
    }
}

/// A small body, read to its end. Where nobody needs one, as for a redirect, the answer would be there before a body that comes
/// after its head; hyper then ends the connection without a word, on which the client already sends its next request.
async fn whole(body: Body) -> Body {
    if !body.size_hint().exact().is_some_and(|size| (1..=SMALL).contains(&size)) {
        return body;
    }
    match body.collect().await {
        Ok(read) => Body::from(read.to_bytes()),
        // Whoever reads it hears of the failure.
        Err(error) => Body::from_stream(once(ready(Err::<Bytes, _>(error)))),
    }
}

/// Whether an HTTP/2 connection is used.
#[derive(Debug)]
struct Activity {
    busy: AtomicUsize,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { busy: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }
}

struct Busy(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Waits until there was no request for a while.
    async fn idle(&self) {
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let left = IDLE.saturating_sub(last.elapsed());
            let busy = self.busy.load(Ordering::Relaxed) > 0;
            if left.is_zero() && !busy {
                // The next look is as far away, should closing take longer.
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                return;
            }
            tokio::time::sleep(if busy { IDLE } else { left }).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes both ways.
trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

type Stream = Box<dyn Io>;

async fn next(listener: &Listener) -> std::io::Result<(Stream, IpAddr)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Answers are written whole; waiting for more would only delay them.
            stream.set_nodelay(true)?;
            Ok((Box::new(stream), address.ip().to_canonical()))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            Ok((Box::new(stream), IpAddr::V4(Ipv4Addr::LOCALHOST)))
        }
    }
}
