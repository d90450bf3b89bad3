//! A token that goes with every request, and is made anew when it no longer holds.

use std::sync::{Mutex, PoisonError};

use crate::error::UploadError;
use crate::http::{Http, Request, Response};

/// Makes a token.
type Source = dyn Fn(&Http) -> Result<String, UploadError> + Send + Sync;

/// A token and how to get another one.
pub struct Bearer {
    source: Box<Source>,
    token: Mutex<Option<String>>,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer")
    }
}

impl Bearer {
    /// Nothing is asked for until the first request.
    pub fn new(
        source: impl Fn(&Http) -> Result<String, UploadError> + Send + Sync + 'static,
    ) -> Self {
        Self { source: Box::new(source), token: Mutex::new(None) }
    }

    /// The token.
    ///
    /// # Errors
    /// As its source fails.
    pub fn token(&self, http: &Http) -> Result<String, UploadError> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = &*token {
            return Ok(token.clone());
        }
        Ok(token.insert((self.source)(http)?).clone())
    }

    /// Sends a request; where the token has expired, once more with a new one.
    ///
    /// # Errors
    /// As [`Http::send`] and the source of tokens.
    pub fn send(
        &self,
        http: &Http,
        what: &str,
        request: &Request,
    ) -> Result<Response, UploadError> {
        let mut renewed = false;
        loop {
            let value = format!("Bearer {}", self.token(http)?);
            let response =
                http.send(what, || Ok(request.clone().header("authorization", &value)))?;
            if response.status != 401 || renewed {
                return Ok(response);
            }
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
            renewed = true;
        }
    }
}
