//! Plain text: links, quotes, flowed lines, and the signs that deceive a reader.

mod deceit;
mod enriched;
mod flowed;
mod plain;

pub use deceit::{
    has_direction_controls, is_invisible, is_look_alike, looks_like_address, visible, visible_line,
};
pub use enriched::enriched_to_html;
pub use flowed::{flow, unflow};
pub use plain::{quote, to_html};

/// `text` escaped for an HTML element or a quoted attribute.
pub fn escape(text: &str) -> String {
    crate::html_escape(text)
}
