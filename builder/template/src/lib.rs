//! Texts with structure, from templates whose values only serializers write.
//!
//! In: a template in the notation of Handlebars, and facts. Out: the text. `{{shell folder}}` writes a fact as one word of a shell,
//! whatever is in it; several values after a serializer become one, so that `{{hcl "projects/" project}}` is one string. A fact
//! without a serializer, or one that is not given, is an error. Pure.

mod languages;
mod template;

pub use template::{BadTemplate, Serializer, Templates};
