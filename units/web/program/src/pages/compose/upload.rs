//! A form with files. As `form::Form` it refuses what our own page did not send, and it looks at that before it reads a file.

use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Request};
use mailkiln_letter::html::CLEAN_LIMIT;
use mailkiln_letter::reading::{inline_image_type, safe_name};
use mailkiln_letter::writing::{self, Attachment, InlineImage};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::app::App;
use crate::form::{Fields, escaped};
use crate::problem::Problem;
use crate::session::csrf;

/// Files of one form.
const MOST_FILES: usize = 50;
/// The field with images in the text; the name of each file is its Content-ID.
const IMAGES: &str = "image";
/// Text of one form: HTML as long as any that is read, and the other fields.
const LARGEST: usize = CLEAN_LIMIT + (1 << 20);
/// Fields of one form.
const MOST_FIELDS: usize = 200;
/// A message with its files is in memory while it is put together; so many at the same time.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// What a message holds besides its text.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) files: Vec<Attachment>,
    /// Images that the text shows.
    pub(crate) images: Vec<InlineImage>,
}

impl Contents {
    /// Adds a file that was sent; as an image in the text if it can be one.
    fn add(&mut self, field: &str, name: &str, kind: String, data: Vec<u8>) -> Result<(), Problem> {
        if self.files.len() + self.images.len() >= MOST_FILES {
            return Err(Problem::TooLarge);
        }
        let is_image = field == IMAGES
            && writing::is_content_id(name)
            && inline_image_type(&data).is_some()
            && self.images.iter().all(|one| one.content_id != name);
        if is_image {
            self.images.push(InlineImage { content_id: name.to_owned(), data });
        } else {
            self.files.push(Attachment {
                name: safe_name(Some(name), &kind),
                media_type: kind,
                data,
            });
        }
        Ok(())
    }
}

/// What was sent.
pub(crate) struct Upload {
    pub(crate) fields: Fields,
    pub(crate) contents: Contents,
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
        let (mut pairs, mut contents, mut left, mut text_left) =
            (Vec::new(), Contents::default(), limit, LARGEST);
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
                // A field for files that was left empty.
                Some(file) if file.is_empty() => {}
                Some(file) => contents.add(&name, &file, kind, data)?,
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
        Ok(Self { fields, contents, _slot: slot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_in_the_text_has_a_name_and_is_one() {
        let png = b"\x89PNG\r\n\x1a\nxxxx";
        let mut contents = Contents::default();
        for (field, name, data) in [
            (IMAGES, "1@mail", png.as_slice()),
            (IMAGES, "1@mail", png.as_slice()),
            (IMAGES, "a b", png.as_slice()),
            (IMAGES, "2@mail", b"<svg onload=x>".as_slice()),
            ("files", "3@mail", png.as_slice()),
        ] {
            contents.add(field, name, "image/png".to_owned(), data.to_vec()).unwrap();
        }
        let ids: Vec<&str> = contents.images.iter().map(|one| one.content_id.as_str()).collect();
        assert_eq!(ids, ["1@mail"]);
        assert_eq!(contents.files.len(), 4, "nothing that was sent is lost");
    }
}
