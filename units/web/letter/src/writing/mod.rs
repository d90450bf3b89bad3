//! A form's fields as the bytes of a message (RFC 5322, RFC 2045–2049, RFC 2231, RFC 3676).
//!
//! Nothing from outside is ever copied into a header: addresses are taken apart and checked, text is
//! written as words that can't break a line, ids are checked or left out.

mod address;
mod answer;
mod body;
mod fields;
mod message;
mod rich;
mod signature;

pub use address::{BadAddress, Recipient, is_address, recipients};
pub use answer::{Answer, answer, forward, plain_text, quoted_html, quoted_text, subject_with};
pub use message::{
    Attachment, Body, InlineImage, Outgoing, WriteError, for_sending, message_id, without_bcc,
};
pub use rich::{
    editable, editable_along, forwarded_html, is_content_id, rich_signature, shown_images,
    text_for_editor,
};
pub use signature::{BadSignature, SIGNATURE_HTML, SIGNATURE_IMAGE, SIGNATURE_TEXT, Signature};
