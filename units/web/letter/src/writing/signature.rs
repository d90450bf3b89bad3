//! What stands below the messages of an address: plain text, or HTML with small images in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::message::InlineImage;
use super::rich::{Known, rich_signature};
use crate::html::{self, NoImages, Policy};
use crate::reading::inline_image_type;

/// Longest text, bytes.
pub const SIGNATURE_TEXT: usize = 4000;
/// Largest image, bytes.
pub const SIGNATURE_IMAGE: usize = 64 << 10;
/// Longest HTML with its images, bytes: in base64 an image grows by a third.
pub const SIGNATURE_HTML: usize = 128 << 10;

/// A signature as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Plain text, or what the HTML says.
    pub text: String,
    /// Cleaned HTML. Its images are `data:` addresses; a message makes parts of them.
    pub html: Option<String>,
}

/// Why something is not kept as a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The text or the HTML.
    #[error(
        "the signature is longer than {SIGNATURE_TEXT} bytes of text, or {SIGNATURE_HTML} with formatting and images"
    )]
    Long,
    /// One image.
    #[error("an image of the signature has more than {SIGNATURE_IMAGE} bytes")]
    LargeImage,
    /// By its first bytes.
    #[error("an image of the signature is not a PNG, JPEG, GIF or WebP file")]
    NoImage,
}

impl Signature {
    /// Plain text.
    ///
    /// # Errors
    /// [`BadSignature::Long`].
    pub fn plain(text: &str) -> Result<Self, BadSignature> {
        let text = text.replace("\r\n", "\n").trim_end().to_owned();
        if text.len() > SIGNATURE_TEXT {
            return Err(BadSignature::Long);
        }
        Ok(Self { text, html: None })
    }

    /// HTML of an editor, with the images that it names by `cid:`.
    ///
    /// # Errors
    /// If it or an image is too large, or an image is not one.
    pub fn rich(given: &str, images: &[InlineImage]) -> Result<Self, BadSignature> {
        let cleaned = html::clean(given, &Policy::quoting(&Known::of(images))).body;
        let mut bad = None;
        let with_data = html::with_image_addresses(&cleaned, |address| {
            data_address(address, images)
                .map_err(|reason| bad.get_or_insert(reason).to_owned())
                .ok()
        });
        // What was changed is cleaned again.
        let html = html::clean(&with_data, &Policy::quoting(&NoImages)).body;
        let text = html::to_text(&html::without_images(&html)).trim_end().to_owned();
        if let Some(bad) = bad {
            return Err(bad);
        }
        if html.len() > SIGNATURE_HTML || text.len() > SIGNATURE_TEXT {
            return Err(BadSignature::Long);
        }
        let is_empty = text.trim().is_empty() && !html.contains("<img");
        Ok(if is_empty { Self::default() } else { Self { text, html: Some(html) } })
    }

    /// Below plain text, after the line that other programs know it by (RFC 3676, section 4.3). Nothing if there is no text.
    pub fn below_text(&self) -> String {
        match self.text.trim_end() {
            "" => String::new(),
            text => format!("\n\n-- \n{text}\n"),
        }
    }

    /// The same below HTML.
    pub fn below_html(&self) -> String {
        match &self.html {
            Some(html) => format!("<div><br></div><div>--&nbsp;</div>{html}"),
            None if self.text.trim().is_empty() => String::new(),
            None => format!("<div><br></div>{}", rich_signature(&self.text)),
        }
    }
}

/// An image's address as it is kept: with its bytes, under the type that they have.
fn data_address(address: &str, images: &[InlineImage]) -> Result<String, BadSignature> {
    let decoded;
    let data = match address.strip_prefix("cid:") {
        Some(id) => images.iter().find(|one| one.content_id == id).map(|one| one.data.as_slice()),
        None => {
            decoded = address
                .split_once(";base64,")
                .and_then(|(_, data)| STANDARD.decode(data.as_bytes()).ok());
            decoded.as_deref()
        }
    };
    let data = data.ok_or(BadSignature::NoImage)?;
    let kind = inline_image_type(data).ok_or(BadSignature::NoImage)?;
    if data.len() > SIGNATURE_IMAGE {
        return Err(BadSignature::LargeImage);
    }
    Ok(format!("data:{kind};base64,{}", STANDARD.encode(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nxxxx";
    const DATA: &str = "data:image/png;base64,iVBORw0KGgp4eHh4";

    fn image(data: Vec<u8>) -> [InlineImage; 1] {
        [InlineImage { content_id: "logo@mail".into(), data }]
    }

    #[test]
    fn images_are_kept_with_it_and_the_text_has_none() {
        let html = "<div><b>Ann</b></div><div><img src=\"cid:logo@mail\" alt=\"logo.png\"></div>";
        let kept = Signature::rich(html, &image(PNG.to_vec())).unwrap();
        let expected = html.replace("cid:logo@mail", DATA);
        assert_eq!(kept.html.as_deref(), Some(expected.as_str()));
        assert_eq!(kept.text, "Ann");
        assert_eq!(Signature::rich(&expected, &[]), Ok(kept), "as the page that shows it sends it");
        let wrong_type = expected.replace("image/png", "image/gif");
        assert_eq!(Signature::rich(&wrong_type, &[]).unwrap().html, Some(expected));
    }

    #[test]
    fn what_is_posted_is_cleaned_and_bounded() {
        let hostile = "<p onclick=x()>Words<script>x()</script><img src=https://tracker.test/a.png onerror=x()>\
            <img src=cid:other@mail><a href=javascript:x()>a</a></p>";
        let kept = Signature::rich(hostile, &[]).unwrap();
        let html = kept.html.unwrap();
        for words in ["script", "x()", "tracker", "cid:", "onerror", "src"] {
            assert!(!html.contains(words), "{words}: {html}");
        }
        let shows = "<img src=cid:logo@mail>";
        for (html, data, expected) in [
            (shows.to_owned(), b"<svg onload=x()>".to_vec(), BadSignature::NoImage),
            (shows.to_owned(), [PNG, &[0; SIGNATURE_IMAGE]].concat(), BadSignature::LargeImage),
            (DATA.replace("iVBO", "AAAA"), PNG.to_vec(), BadSignature::NoImage),
            ("x".repeat(SIGNATURE_TEXT + 1), PNG.to_vec(), BadSignature::Long),
        ] {
            let html = if html.starts_with("data:") { format!("<img src={html}>") } else { html };
            assert_eq!(Signature::rich(&html, &image(data)), Err(expected), "{expected}");
        }
        let many = format!("<p>{}</p>", format!("<img src={DATA}>").repeat(4000));
        assert_eq!(Signature::rich(&many, &[]), Err(BadSignature::Long));
        assert_eq!(Signature::plain(&"x".repeat(SIGNATURE_TEXT + 1)), Err(BadSignature::Long));
    }

    #[test]
    fn nothing_is_no_signature() {
        for empty in ["", "<div><br></div>", " &nbsp; "] {
            let kept = Signature::rich(empty, &[]).unwrap();
            assert_eq!(kept, Signature::default(), "{empty}");
            assert_eq!((kept.below_text(), kept.below_html()), (String::new(), String::new()));
        }
    }

    #[test]
    fn other_programs_know_the_line_above_it() {
        let plain = Signature::plain("Ann <b>\r\n").unwrap();
        assert_eq!(plain.below_text(), "\n\n-- \nAnn <b>\n");
        assert!(plain.below_html().ends_with("<div>--&nbsp;<br>Ann &lt;b&gt;</div>"));
        let rich = Signature::rich("<div><b>Ann</b></div>", &[]).unwrap();
        assert_eq!(rich.below_text(), "\n\n-- \nAnn\n");
        let text = html::to_text(&format!("<div>Hi</div>{}", rich.below_html()));
        assert!(text.contains("\n-- \nAnn\n"), "{text:?}");
    }
}
