//! The rich text of a message: HTML that was written here and is cleaned like any other, a plain half made of it, and the images in it.

use super::body;
use super::message::{InlineImage, Node, WriteError, plain, text_part};
use crate::html::{self, Policy};
use crate::reading::{Block, Letter, Part, PartId, Preference, inline_image_type, show};
use crate::text;

/// Images in one message; more are left out.
const IMAGE_LIMIT: usize = 100;

/// What stands around the HTML of a message that is written here.
const BEFORE: &str = "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>";
const AFTER: &str = "</body></html>";

/// `multipart/alternative` of plain text and HTML; with images the HTML is `multipart/related` (RFC 2387).
pub(super) fn rich(
    given: &str,
    images: &[InlineImage],
    message_id: &str,
    boundary: &mut impl FnMut() -> String,
) -> Result<Node, WriteError> {
    let mut images = images.to_vec();
    let mut body = html::clean(given, &Policy::quoting(&Known::of(&images))).body;
    let taken = take_data_images(&body, message_id);
    if let Some((changed, more)) = taken {
        images.extend(more);
        // What was changed is cleaned again.
        body = html::clean(&changed, &Policy::quoting(&Known::of(&images))).body;
    }
    let page = format!("{BEFORE}{body}{AFTER}\n");
    let mut second = text_part("text/html", &body::lines(&page));
    let used: Vec<&InlineImage> =
        images.iter().filter(|one| body.contains(&address(&one.content_id))).collect();
    if !used.is_empty() {
        let mut children = vec![second];
        for one in used.into_iter().take(IMAGE_LIMIT) {
            children.push(image_part(one)?);
        }
        second = Node::Many { kind: "related", boundary: boundary(), children };
    }
    let first = plain(&html::to_text(&body));
    Ok(Node::Many { kind: "alternative", boundary: boundary(), children: vec![first, second] })
}

fn image_part(one: &InlineImage) -> Result<Node, WriteError> {
    let kind = inline_image_type(&one.data)
        .ok_or_else(|| WriteError::Image(text::visible_line(&one.content_id, 100)))?;
    let head = format!(
        "Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\
         Content-ID: <{}>\r\nContent-Disposition: inline\r\n",
        one.content_id
    );
    let mut content = Vec::new();
    body::base64_lines(&mut content, &one.data);
    Ok(Node::One { head, content })
}

/// How HTML names an image, as it stands in an attribute.
fn address(content_id: &str) -> String {
    format!("\"cid:{content_id}\"")
}

/// Whether an id can stand in a header field and in HTML as it is.
pub fn is_content_id(id: &str) -> bool {
    (1..=200).contains(&id.len())
        && id.bytes().all(|one| one.is_ascii_alphanumeric() || b".-_@+=$~".contains(&one))
}

/// Images that are written into the HTML become parts: few programs show the others.
fn take_data_images(body: &str, message_id: &str) -> Option<(String, Vec<InlineImage>)> {
    if !body.contains("\"data:image/") {
        return None;
    }
    let mut found: Vec<InlineImage> = Vec::new();
    let changed = html::with_image_addresses(body, |address| {
        let (_, data) = address.strip_prefix("data:image/")?.split_once(";base64,")?;
        let data = mail_parser::decoders::base64::base64_decode(data.as_bytes())?;
        inline_image_type(&data)?;
        let content_id = format!("{}.{message_id}", found.len() + 1);
        found.push(InlineImage { content_id: content_id.clone(), data });
        Some(format!("cid:{content_id}"))
    });
    Some((changed, found))
}

/// The ids of images that keep their `cid:` addresses.
pub(super) struct Known<'a>(Vec<&'a str>);

impl<'a> Known<'a> {
    pub(super) fn of(images: &'a [InlineImage]) -> Self {
        Self(images.iter().map(|one| one.content_id.as_str()).collect())
    }
}

impl html::Images for Known<'_> {
    fn remote(&self, _url: &str) -> Option<String> {
        None
    }
    fn inline(&self, content_id: &str) -> Option<String> {
        let known = is_content_id(content_id) && self.0.contains(&content_id);
        known.then(|| format!("cid:{content_id}"))
    }
    fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix("cid:").is_some_and(|id| self.inline(id).is_some())
    }
}

/// The HTML of a message for an editor, or `None` if it has plain text alone.
pub fn editable(letter: &Letter, images: &dyn html::Images) -> Option<String> {
    let is_rich = letter.html.iter().any(|block| matches!(block, Block::Html(_)));
    if !is_rich {
        return None;
    }
    let mut letter = letter.clone();
    for block in &mut letter.html {
        // A body is shown as an element of its own: each time that a draft is stored would add one.
        if let Block::Html(html) = block
            && let Some(inside) = html.trim().strip_prefix(BEFORE)
            && let Some(inside) = inside.strip_suffix(AFTER)
        {
            *html = inside.to_owned();
        }
    }
    Some(show(&letter, Preference::Html, &Policy::quoting(images)).body)
}

/// The parts that the HTML of a message shows as images. What else it has are files.
pub fn shown_images(letter: &Letter) -> Vec<&Part> {
    struct All<'a>(&'a Letter, std::cell::RefCell<Vec<PartId>>);
    impl html::Images for All<'_> {
        fn remote(&self, _url: &str) -> Option<String> {
            None
        }
        fn inline(&self, content_id: &str) -> Option<String> {
            let part = self.0.by_content_id(content_id).filter(|part| part.is_image)?;
            if is_content_id(content_id) && !self.1.borrow().contains(&part.id) {
                self.1.borrow_mut().push(part.id.clone());
            }
            None
        }
        fn is_ours(&self, _url: &str) -> bool {
            false
        }
    }
    let asked = All(letter, std::cell::RefCell::default());
    // Only to see for which images it asks.
    if editable(letter, &asked).is_none() {
        return Vec::new();
    }
    let asked = asked.1.into_inner();
    letter.parts.iter().filter(|part| asked.contains(&part.id)).take(IMAGE_LIMIT).collect()
}

/// Plain text for an editor.
pub fn text_for_editor(text: &str) -> String {
    format!("<div>{}</div>", text::to_html(text))
}

/// A signature for an editor, with the line that other programs know it by (RFC 3676, section 4.3).
pub fn rich_signature(signature: &str) -> String {
    format!("<div>--&nbsp;<br>{}</div>", text::to_html(signature.trim_end()))
}

/// The HTML of a message for the editor of a new one, with the images that go along; `None` as [`editable`].
pub fn editable_along(letter: &Letter, images: &[String]) -> Option<String> {
    editable(letter, &Known(images.iter().map(String::as_str).collect()))
}

/// The body of a message that is forwarded in rich text, with the images that go along.
pub fn forwarded_html(letter: &Letter, images: &[String]) -> String {
    let known = Known(images.iter().map(String::as_str).collect());
    show(letter, Preference::Html, &Policy::quoting(&known)).body
}
