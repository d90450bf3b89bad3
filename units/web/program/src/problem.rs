//! What went wrong, for the page that says so. `guard` turns it into a page in the reader's language.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It breaks the protocol.
    BadRequest,
    /// A form that our page did not send, or of a session that has ended.
    ForeignForm,
    /// Signed in, but not allowed.
    Forbidden,
    /// There is nothing.
    NotFound,
    /// There is something, but it takes other methods.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge,
    /// The body is of a kind that nobody reads here.
    UnsupportedMediaType,
    /// A name that does not belong to us.
    Misdirected,
    /// Too much at once of one client.
    TooMany {
        /// Seconds until it may try again.
        seconds: u64,
    },
    /// The session has ended; for requests of scripts, which can't be sent to the sign-in page.
    SignedOut,
    /// Our fault; the journal knows more.
    Internal,
    /// The mail server does not answer.
    ServerAway,
}

impl Problem {
    /// Its status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::ForeignForm | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServerAway => StatusCode::BAD_GATEWAY,
        }
    }

    /// The text that explains it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::BadRequest => "error.bad-request",
            Self::ForeignForm => "error.foreign-form",
            Self::Forbidden => "error.forbidden",
            Self::NotFound => "error.not-found",
            Self::MethodNotAllowed => "error.method",
            Self::TooLarge => "error.too-large",
            Self::UnsupportedMediaType => "error.media-type",
            Self::Misdirected => "error.misdirected",
            Self::TooMany { .. } => "error.too-many",
            Self::SignedOut => "error.signed-out",
            Self::Internal => "error.internal",
            Self::ServerAway => "error.server-away",
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Self::TooMany { seconds } = self {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes `error` to the journal; the reader only learns that it is our fault.
pub(crate) fn internal(error: &dyn std::error::Error) -> Problem {
    crate::journal::error(&error.to_string());
    Problem::Internal
}

impl From<crate::database::DatabaseError> for Problem {
    fn from(error: crate::database::DatabaseError) -> Self {
        internal(&error)
    }
}

impl From<crate::random::NoRandomness> for Problem {
    fn from(error: crate::random::NoRandomness) -> Self {
        internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Language;

    #[test]
    fn each_is_explained() {
        for problem in [
            Problem::BadRequest,
            Problem::ForeignForm,
            Problem::Forbidden,
            Problem::NotFound,
            Problem::MethodNotAllowed,
            Problem::TooLarge,
            Problem::UnsupportedMediaType,
            Problem::Misdirected,
            Problem::TooMany { seconds: 7 },
            Problem::SignedOut,
            Problem::Internal,
            Problem::ServerAway,
        ] {
            for language in Language::ALL {
                assert!(!language.text(problem.key()).is_empty(), "{problem:?}");
            }
        }
    }
}
