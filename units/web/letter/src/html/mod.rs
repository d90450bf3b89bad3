//! Foreign HTML: what a frame without scripts may hold of it.
//!
//! Three steps, each of which reads what the one before has written, until nothing changes any more:
//! [`filter`] reads tokens and writes allowed elements alone (no raw text, no foreign content, no
//! comment survives it, so there is nothing left to be parsed in two ways); ammonia builds the tree
//! that a browser would build and checks it against the same list; [`links`] says where links lead.
//! What doesn't come to rest after a few rounds is shown as text.

mod clean;
mod css;
mod filter;
mod links;
mod policy;
mod properties;
mod selectors;
mod tokens;
mod urls;

pub use clean::{CLEAN_LIMIT, Cleaned, clean, to_text};
pub(crate) use clean::{with_image_addresses, without_images};
pub use css::{clean_declarations, clean_style_sheet};
pub use links::{Link, Suspicion, inspect_link};
pub use policy::{BODY_CLASS, Images, NoImages, PREFIX, Policy, WARNING_CLASS, allowed_elements};
pub(crate) use tokens::escape as escape_markup;
pub(crate) use urls::percent_decoded;
