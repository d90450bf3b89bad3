//! Images in what is written: parts of the stored draft, at addresses that only its writer's browser can open.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use mailkiln_letter::html::Images;
use mailkiln_letter::reading::{self, inline_image_type};

use super::place::Place;
use super::start;
use crate::problem::Problem;
use crate::session::Session;

/// The images of a stored draft.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) place: Place,
    /// UID there.
    pub(super) draft: Option<u32>,
    /// Content-IDs.
    pub(super) images: &'a [String],
}

impl Images for Held<'_> {
    fn remote(&self, _url: &str) -> Option<String> {
        None
    }
    fn inline(&self, content_id: &str) -> Option<String> {
        let draft = self.draft.filter(|_| self.images.iter().any(|id| id == content_id))?;
        Some(self.place.image(draft, content_id))
    }
    fn is_ours(&self, url: &str) -> bool {
        self.images.iter().any(|id| self.inline(id).as_deref() == Some(url))
    }
}

/// GET `/compose/image/{uid}/{id}`: an image of a draft.
pub(super) async fn show(
    session: Session,
    Path((uid, id)): Path<(u32, String)>,
) -> Result<Response, Problem> {
    image(&session, Place::Drafts, uid, &id).await
}

/// GET `/compose/templates/image/{uid}/{id}`: an image of a template.
pub(super) async fn show_of_template(
    session: Session,
    Path((uid, id)): Path<(u32, String)>,
) -> Result<Response, Problem> {
    image(&session, Place::Templates, uid, &id).await
}

async fn image(session: &Session, place: Place, uid: u32, id: &str) -> Result<Response, Problem> {
    let mut guard = session.app.mailboxes.open(session).await?;
    let imap = guard.imap()?;
    let _slot = start::turn().await?;
    let folder = place.folder(imap).await?;
    let bytes = start::fetch(session, imap, &folder, uid).await?;
    drop(guard);
    let letter = reading::read(&bytes);
    let part = letter.by_content_id(id).ok_or(Problem::NotFound)?;
    let image = reading::content(&bytes, &part.id).map_err(|_| Problem::NotFound)?;
    let kind = inline_image_type(&image).ok_or(Problem::NotFound)?;
    let mut response = image.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    // A stored message never changes: a new one gets a new number.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use mailkiln_letter::html::{Policy, clean};

    use super::*;

    #[test]
    fn only_images_of_this_draft_have_an_address() {
        let images = ["a+b@mail".to_owned()];
        let in_place = |place, draft, html: &str| {
            clean(html, &Policy::quoting(&Held { place, draft, images: &images })).body
        };
        let shown = |draft, html: &str| in_place(Place::Drafts, draft, html);
        let here = r#"<img src="/compose/image/7/a%2Bb%40mail">"#;
        assert_eq!(shown(Some(7), "<img src='cid:a+b@mail'>"), here);
        assert_eq!(shown(Some(7), here), here, "as a page that is shown again has it");
        for other in [
            "<img src='cid:other@mail'>",
            "<img src='/compose/image/8/a%2Bb%40mail'>",
            "<img src='/compose/image/7/../../sign-out'>",
            "<img src='https://tracker.example/a.png'>",
        ] {
            assert!(!shown(Some(7), other).contains("src"), "{other}");
        }
        let template = r#"<img src="/compose/templates/image/7/a%2Bb%40mail">"#;
        assert_eq!(in_place(Place::Templates, Some(7), "<img src='cid:a+b@mail'>"), template);
        assert!(!shown(Some(7), template).contains("src"), "a draft has no image of a template");
        assert_eq!(shown(None, "<img src='cid:a+b@mail'>"), "<img>");
    }
}
