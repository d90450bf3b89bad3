//! Answers to http-01 challenges (RFC 8555, section 8.3): files that the ACME client puts into a folder.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;

use crate::app::App;
use crate::problem::Problem;

/// Longest answer: a token, a dot and a digest.
const LONGEST: usize = 1024;

/// Serves one.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let folder = app.configuration.challenges.as_ref().ok_or(Problem::NotFound)?;
    if !is_token(&token) {
        return Err(Problem::NotFound);
    }
    let answer = tokio::fs::read(folder.join(token)).await.map_err(|_| Problem::NotFound)?;
    if answer.len() > LONGEST {
        return Err(Problem::NotFound);
    }
    Ok(([(CONTENT_TYPE, "application/octet-stream")], answer).into_response())
}

/// Letters of base64url alone: no path leads out of the folder.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_tokens() {
        for (text, expected) in
            [("abc-_9", true), ("", false), ("..", false), ("a/b", false), ("a.b", false)]
        {
            assert_eq!(super::is_token(text), expected, "{text}");
        }
    }
}
