//! What changes while a page is open, as a stream of events (server-sent events, HTML standard section 9.2).

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::broadcast::error::RecvError;

use crate::mailbox::{News, Watch};
use crate::problem::Problem;
use crate::session::Session;

/// A stream ends after so long; the browser asks again, and the session is looked at again.
const LIFE: Duration = Duration::from_secs(120);
/// A sign of life for proxies, which also shows that the reader is gone.
const BEAT: Duration = Duration::from_secs(25);

/// GET `/mail/events`.
pub(super) async fn events(session: Session) -> Result<Response, Problem> {
    let share = session.app.streams.take(session.client).ok_or(Problem::TooMany { seconds: 60 })?;
    let watch = session.app.mailboxes.watch(&session)?;
    let hello = Bytes::from_static(b"retry: 5000\n\n");
    let begin = Instant::now();
    let stream = unfold((watch, share, Some(hello)), move |(mut watch, share, hello)| async move {
        if let Some(hello) = hello {
            return Some((Ok::<_, Infallible>(hello), (watch, share, None)));
        }
        if begin.elapsed() > LIFE {
            return None;
        }
        let bytes = next(&mut watch).await?;
        Some((Ok(bytes), (watch, share, None)))
    });
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn next(watch: &mut Watch) -> Option<Bytes> {
    match tokio::time::timeout(BEAT, watch.0.recv()).await {
        Err(_) => Some(Bytes::from_static(b":\n\n")),
        Ok(Ok(news)) => Some(event(&news)),
        // Too slow: what was missed is read anew with the list.
        Ok(Err(RecvError::Lagged(_))) => Some(Bytes::from_static(b"event: missed\ndata: {}\n\n")),
        Ok(Err(RecvError::Closed)) => None,
    }
}

fn event(news: &News) -> Bytes {
    let value = serde_json::json!({
        "folder": news.folder,
        "messages": news.counters.messages,
        "unseen": news.counters.unseen,
    });
    // JSON has no line ends.
    Bytes::from(format!("data: {value}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkiln_servers::imap::Counters;

    #[test]
    fn a_folder_with_any_name_is_one_event() {
        let counters = Counters { unseen: Some(3), ..Counters::default() };
        let news = News { folder: "a\n\ndata: {\"x\"}".into(), counters };
        let text = String::from_utf8(event(&news).to_vec()).unwrap();
        assert_eq!(text.matches('\n').count(), 2, "{text}");
        assert!(text.contains("\"unseen\":3"));
    }
}
