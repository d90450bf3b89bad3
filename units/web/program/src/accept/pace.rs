//! Bodies that keep a pace: one that pauses too long, or drips, ends with an error.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// After this time a body must have come at [`RATE`] on average.
const GRACE: Duration = Duration::from_secs(60);
/// Bytes a second; a modem of the last century was five times as fast.
const RATE: u64 = 1024;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("the body comes too slowly")]
pub(crate) struct TooSlow;

/// A body of a request.
#[derive(Debug)]
pub(crate) struct Paced<B> {
    body: B,
    pause: Duration,
    begin: Instant,
    seen: u64,
    limit: Pin<Box<Sleep>>,
}

impl<B> Paced<B> {
    /// `body`, no two pieces of which may be further apart than `pause`.
    pub(crate) fn new(body: B, pause: Duration) -> Self {
        let limit = Box::pin(tokio::time::sleep(pause));
        Self { body, pause, begin: Instant::now(), seen: 0, limit }
    }

    fn drips(&self) -> bool {
        let passed = self.begin.elapsed();
        passed > GRACE && self.seen < (passed - GRACE).as_secs() * RATE
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B>
where
    B::Error: Into<Failure>,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.remaining());
                this.seen += u64::try_from(length).unwrap_or(u64::MAX);
                if this.drips() {
                    return Poll::Ready(Some(Err(TooSlow.into())));
                }
                this.limit.as_mut().reset(Instant::now() + this.pause);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Into::into))),
            Poll::Pending => {
                std::task::ready!(this.limit.as_mut().poll(context));
                Poll::Ready(Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    /// A body of `pieces`, each after `pause`.
    fn body(
        pieces: usize,
        size: usize,
        pause: Duration,
    ) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin {
        let pieces = futures_util::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok(Frame::data(Bytes::from(vec![b'a'; size])))
        });
        StreamBody::new(Box::pin(pieces))
    }

    async fn length(pieces: usize, size: usize, pause: Duration) -> Option<usize> {
        let body = Paced::new(body(pieces, size, pause), Duration::from_secs(15));
        Some(body.collect().await.ok()?.to_bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_end() {
        let seconds = Duration::from_secs;
        assert_eq!(length(3, 10, seconds(10)).await, Some(30), "short and slow");
        assert_eq!(length(3, 10, seconds(20)).await, None, "a pause");
        assert_eq!(length(100, 1, seconds(10)).await, None, "drops");
        assert_eq!(length(100, 20_480, seconds(10)).await, Some(2_048_000), "a slow line");
    }
}
