//! From rich text to plain and back, for the switch on the page. What was chosen is kept for the next message, but for `once`.

use axum::response::{IntoResponse as _, Response};
use mailkiln_letter::html;
use mailkiln_letter::writing;

use super::draft::FORMAT;
use crate::form::Form;
use crate::problem::Problem;
use crate::session::Session;

/// POST `/compose/format`: the text of `html`, or where `to` is `rich` the HTML of `text`. Always served as plain text: the page's
/// script cleans it before it is shown.
pub(super) async fn change(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    let to_rich = fields.text("to") == "rich";
    if fields.text("once").is_empty() {
        session.prefer(FORMAT, if to_rich { String::new() } else { "plain".to_owned() }).await?;
    }
    Ok(if to_rich {
        writing::text_for_editor(fields.text("text"))
    } else {
        html::to_text(fields.text("html"))
    }
    .into_response())
}
