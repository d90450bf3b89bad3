//! The local API: the quarantine over HTTP on a Unix socket, for a web unit and for scripts.
//!
//! In: requests of whoever may open the socket (its group is `mail-filter`). Out: JSON.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | workers, counters, bytes in the quarantine |
//! | `GET /v1/quarantine` | `{"messages": [ENTRY…]}`, the oldest first |
//! | `GET /v1/quarantine/ID` | the entry |
//! | `GET /v1/quarantine/ID/message` | the message, as `message/rfc822` |
//! | `POST /v1/quarantine/ID/release` | `{"accepted": […], "refused": [[ADDRESS, WHY]…]}` |
//! | `DELETE /v1/quarantine/ID` | `{}` |
//!
//! An error is `{"error": "…"}` with the status 400, 404, 405, or 500.

pub mod http;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::filter::Filter;
use crate::journal;
use crate::quarantine::release::{ReleaseError, Target};
use crate::quarantine::{Id, QuarantineError};
use http::{Request, Response};

/// Connections at a time: pages of a few administrators.
const MOST_CONNECTIONS: usize = 8;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Opens the socket, for its owner and group alone.
///
/// # Errors
/// What the file system says.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    // One that an earlier process left, which was killed.
    crate::durable::remove(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Serves requests until the process ends.
pub fn serve(listener: &UnixListener, filter: &Arc<Filter>, target: &Target) {
    let connections = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            connections.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (filter, target, connections) =
            (Arc::clone(filter), target.clone(), Arc::clone(&connections));
        thread::spawn(move || {
            // Who hangs up early has seen enough.
            let _ = connection(&stream, &filter, &target);
            connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn connection(stream: &UnixStream, filter: &Filter, target: &Target) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut stream = stream;
    let response = match http::read(&mut stream) {
        Ok(request) => answer(&request, filter, target),
        Err(error) => Response::error(400, &error.to_string()),
    };
    response.write(&mut stream)
}

/// What a request gets.
fn answer(request: &Request, filter: &Filter, target: &Target) -> Response {
    let path: Vec<&str> = request.path.split('/').skip(1).collect();
    let id =
        |text: &str| text.parse::<Id>().map_err(|error| Response::error(404, &error.to_string()));
    let done = match (request.method.as_str(), path.as_slice()) {
        ("GET", ["v1", "status"]) => status(filter),
        ("GET", ["v1", "quarantine"]) => {
            let listed = filter.quarantine.list().map_err(|error| refusal(&error));
            listed.map(|messages| Response::json(&json!({ "messages": messages })))
        }
        ("GET", ["v1", "quarantine", name]) => id(name).and_then(|id| {
            let entry = filter.quarantine.entry(&id).map_err(|error| refusal(&error))?;
            Ok(Response::json(&json!(entry)))
        }),
        ("GET", ["v1", "quarantine", name, "message"]) => id(name).and_then(|id| {
            let message = filter.quarantine.message(&id).map_err(|error| refusal(&error))?;
            Ok(Response { status: 200, kind: "message/rfc822", body: message })
        }),
        ("POST", ["v1", "quarantine", name, "release"]) => id(name).and_then(|id| {
            let released = filter.quarantine.release(&id, target);
            let outcome = released.map_err(|error| match error {
                ReleaseError::Quarantine(error) => refusal(&error),
                error => Response::error(500, &error.to_string()),
            })?;
            journal::note(&format!("{id} was released through the API"));
            Ok(Response::json(&json!({
                "accepted": outcome.accepted,
                "refused": outcome.refused,
            })))
        }),
        ("DELETE", ["v1", "quarantine", name]) => id(name).and_then(|id| {
            filter.quarantine.delete(&id).map_err(|error| refusal(&error))?;
            journal::note(&format!("{id} was deleted through the API"));
            Ok(Response::json(&json!({})))
        }),
        (_, ["v1", "status" | "quarantine", ..]) => {
            Err(Response::error(405, "this path has no such method"))
        }
        _ => Err(Response::error(404, "there is nothing at this path")),
    };
    done.unwrap_or_else(|refused| refused)
}

fn refusal(error: &QuarantineError) -> Response {
    let status = if matches!(error, QuarantineError::Absent(_)) { 404 } else { 500 };
    Response::error(status, &error.to_string())
}

fn status(filter: &Filter) -> Result<Response, Response> {
    let bytes = filter.quarantine.bytes().map_err(|error| refusal(&error))?;
    let (busy, idle) = filter.pool.counts();
    let counters = &filter.counters;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Response::json(&json!({
        "workers": { "busy": busy, "idle": idle },
        "since_start": {
            "scanned": count(&counters.scanned),
            "rejected": count(&counters.rejected),
            "quarantined": count(&counters.quarantined),
            "marked": count(&counters.marked),
            "failed": count(&counters.failed),
        },
        "quarantine": { "bytes": bytes, "most_bytes": filter.quarantine.most_bytes },
    })))
}
