//! A form with files. As `form::Form` it refuses what our own page did not send, and it looks at that before it reads a file.

use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Request};
use mailkiln_letter::reading::safe_name;
use mailkiln_letter::writing::Attachment;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::app::App;
use crate::form::{Fields, LARGEST, escaped};
use crate::problem::Problem;
use crate::session::csrf;

/// Files of one form.
const MOST_FILES: usize = 50;
/// Fields of one form.
const MOST_FIELDS: usize = 200;
/// A message with its files is in memory while it is put together; so many at the same time.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// What was sent.
pub(super) struct Upload {
    pub(super) fields: Fields,
    pub(super) files: Vec<Attachment>,
    /// Held while the message is in memory.
    _slot: SemaphorePermit<'static>,
}

impl FromRequest<Arc<App>> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let limit = usize::try_from(app.configuration.limits.upload_bytes).unwrap_or(usize::MAX);
        let length = request
            .headers()
            .get(http::header::CONTENT_LENGTH)
            .and_then(|it| it.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > limit.saturating_add(LARGEST)) {
            return Err(Problem::TooLarge);
        }
        let mut parts = Multipart::from_request(request, app)
            .await
            .map_err(|_| Problem::UnsupportedMediaType)?;
        let (mut pairs, mut files, mut left, mut text_left) =
            (Vec::new(), Vec::new(), limit, LARGEST);
        let mut slot = None;
        while let Some(mut part) = parts.next_field().await.map_err(|_| Problem::BadRequest)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file = part.file_name().map(str::to_owned);
            let kind = part.content_type().unwrap_or("application/octet-stream").to_owned();
            let left = if file.is_some() { &mut left } else { &mut text_left };
            let mut data = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(|_| Problem::BadRequest)? {
                *left = left.checked_sub(chunk.len()).ok_or(Problem::TooLarge)?;
                data.extend_from_slice(&chunk);
            }
            match file {
                Some(file) if !file.is_empty() && files.len() < MOST_FILES => {
                    files.push(Attachment {
                        name: safe_name(Some(&file), &kind),
                        media_type: kind,
                        data,
                    });
                }
                Some(file) if file.is_empty() => {}
                Some(_) => return Err(Problem::TooLarge),
                None if pairs.len() < MOST_FIELDS => {
                    let value = String::from_utf8(data).map_err(|_| Problem::BadRequest)?;
                    // The first field is the proof that the form is ours.
                    if pairs.is_empty() && !(name == csrf::FIELD && csrf::fits(&headers, &value)) {
                        return Err(Problem::ForeignForm);
                    }
                    if slot.is_none() {
                        let wait = tokio::time::timeout(
                            std::time::Duration::from_secs(20),
                            SLOTS.acquire(),
                        );
                        let turn = wait.await.map_err(|_| Problem::TooMany { seconds: 10 })?;
                        slot = Some(turn.map_err(|_| Problem::Internal)?);
                    }
                    pairs.push(format!("{}={}", escaped(&name), escaped(&value)));
                }
                None => return Err(Problem::BadRequest),
            }
            if pairs.is_empty() {
                return Err(Problem::ForeignForm);
            }
        }
        let slot = slot.ok_or(Problem::ForeignForm)?;
        let fields = Fields::parse(pairs.join("&").as_bytes()).map_err(|_| Problem::BadRequest)?;
        Ok(Self { fields, files, _slot: slot })
    }
}
