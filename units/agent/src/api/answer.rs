//! What the mail server's API answers: data, or an error under status 200.

use serde_json::Value;

use super::ApiError;

/// What the server said.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

/// What came instead of data.
pub(super) enum Failure {
    NotFound,
    Other(ApiError),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound => Self::Refused {
                action: "find",
                name: String::new(),
                reason: "there is no such domain or account".to_owned(),
            },
            Failure::Other(error) => error,
        }
    }
}

impl Answer {
    /// The `data` of a success.
    pub(super) fn outcome(&self, action: &'static str, name: &str) -> Result<Value, Failure> {
        let answer: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let field = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        if self.status == 200 && answer.get("error").is_none() {
            return Ok(answer["data"].clone());
        }
        let reason = match field("error").as_str() {
            "notFound" if action != "create" && field("item") == name => {
                return Err(Failure::NotFound);
            }
            "notFound" => format!("`{}` does not exist on this server", field("item")),
            "fieldAlreadyExists" => {
                return Err(Failure::Other(ApiError::Taken { value: field("value") }));
            }
            "" => format!("HTTP status {} {}", self.status, field("detail")),
            kind => format!("{kind}: {} {}", field("reason"), field("details")),
        };
        let reason = reason.trim().to_owned();
        Err(Failure::Other(ApiError::Refused { action, name: name.to_owned(), reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, text: &str) -> Result<Value, String> {
        let answer = Answer { status, text: text.to_owned() };
        answer.outcome("read", "a@b.org").map_err(|failure| ApiError::from(failure).to_string())
    }

    #[test]
    fn answers_of_stalwart() {
        for (status, text, expected) in [
            (200, r#"{"data":7}"#, Ok(Value::from(7))),
            (200, r#"{"data":null}"#, Ok(Value::Null)),
            (200, r#"{"error":"notFound","item":"a@b.org"}"#, Err("no such domain or account")),
            (200, r#"{"error":"notFound","item":"b.org"}"#, Err("`b.org` does not exist")),
            (
                200,
                r#"{"error":"fieldAlreadyExists","field":"emails","value":"x@b.org"}"#,
                Err("`x@b.org` is already used"),
            ),
            (200, r#"{"error":"other","details":"d","reason":"r"}"#, Err("a@b.org`: other: r d")),
            (500, r#"{"status":500,"detail":"boom"}"#, Err("HTTP status 500 boom")),
            (500, "<html>", Err("HTTP status 500")),
        ] {
            match (outcome(status, text), expected) {
                (Ok(data), Ok(expected)) => assert_eq!(data, expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }
}
