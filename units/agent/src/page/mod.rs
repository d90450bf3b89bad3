//! The page where people change their password: `https://HOST/`, until the appliance has a webmail.
//!
//! In: HTTPS requests of strangers. Out: a form; and for someone who knows the current password of an
//! account, another one. The page holds no secret but the certificate's key, and no power: it asks the
//! mail server as the account itself.

mod http;
mod limit;
mod server;

use std::net::IpAddr;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use server::{PageError, serve};

use crate::api::{ApiError, OwnAccount};
use crate::appliance::Appliance;
use crate::password;
use http::{Request, Response};
use limit::Failures;

/// A new password has at least so many characters.
const SHORTEST: usize = 10;
/// A wrong one costs so much time.
const PENALTY: Duration = Duration::from_secs(2);

/// What the page knows while it runs.
#[derive(Debug)]
pub struct Page {
    api: String,
    host: String,
    failures: Mutex<Failures>,
}

impl Page {
    /// The page of `appliance`.
    pub fn new(appliance: &Appliance) -> Self {
        Self {
            api: appliance.api.clone(),
            host: appliance.host.to_string(),
            failures: Mutex::new(Failures::default()),
        }
    }

    /// Answers one request of `client`.
    fn answer(&self, request: &Request, client: IpAddr) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/") => Response::page(200, &self.form("")),
            ("POST", "/") => self.change(request, client),
            (_, "/") => Response::page(405, &self.form("This page takes GET and POST.")),
            _ => {
                Response::page(404, "<p>There is nothing here. <a href=\"/\">Change a password</a>")
            }
        }
    }

    fn change(&self, request: &Request, client: IpAddr) -> Response {
        let now = Instant::now();
        if !self.failures.lock().is_ok_and(|failures| failures.allow(client, now)) {
            let text = self
                .form("Too many attempts from your address; try again in a quarter of an hour.");
            return Response::page(429, &text);
        }
        let [account, old, new, again] =
            ["account", "old", "new", "again"].map(|name| request.field(name).unwrap_or_default());
        if let Err(problem) = fits(old, new, again) {
            return Response::page(400, &self.form(problem));
        }
        let changed = password::hash(new)
            .map_err(|error| error.to_string())
            .map(|hash| OwnAccount::new(&self.api, account, old).set_password_hash(&hash));
        match changed {
            Ok(Ok(())) => Response::page(
                200,
                "<p>The password is changed. Enter the new one in your mail programs.",
            ),
            Ok(Err(ApiError::Unauthorized | ApiError::Refused { .. })) => {
                if let Ok(mut failures) = self.failures.lock() {
                    failures.count(client, now);
                }
                sleep(PENALTY);
                let text = "Nothing was changed: the account or its current password is wrong.";
                Response::page(403, &self.form(text))
            }
            Ok(Err(_)) | Err(_) => {
                Response::page(503, &self.form("The mail server does not answer; try again later."))
            }
        }
    }

    /// `problem` is ours, never the client's text.
    fn form(&self, problem: &str) -> String {
        let field = |label: &str, name: &str, rest: &str| {
            format!("<p><label>{label}<br><input name=\"{name}\" required {rest}></label>\n")
        };
        format!(
            "<h1>Password of a mail account at {host}</h1>\n<p><b>{problem}</b>\n\
             <form method=\"post\" action=\"/\">\n{account}{old}{new}{again}\
             <p><button>Change the password</button>\n</form>",
            host = self.host,
            account = field("Mail address", "account", "autocomplete=\"username\""),
            old = field(
                "Current password",
                "old",
                "type=\"password\" autocomplete=\"current-password\""
            ),
            new = field(
                "New password, 10 characters or more",
                "new",
                "type=\"password\" autocomplete=\"new-password\""
            ),
            again = field(
                "New password again",
                "again",
                "type=\"password\" autocomplete=\"new-password\""
            ),
        )
    }
}

fn fits(old: &str, new: &str, again: &str) -> Result<(), &'static str> {
    if new != again {
        return Err("Nothing was changed: the two new passwords differ.");
    }
    if new.chars().count() < SHORTEST || password::check(new).is_err() {
        return Err("Nothing was changed: choose 10 to 200 printable characters.");
    }
    if new == old {
        return Err("Nothing was changed: the new password is the old one.");
    }
    Ok(())
}

/// Reads `bytes` as a request, for fuzzing.
pub(crate) fn fuzz(bytes: &[u8]) {
    http::fuzz(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        Request::parse(text.as_bytes()).unwrap()
    }

    fn page() -> Page {
        let mut appliance = crate::appliance::tests::example();
        // Nothing answers there.
        appliance.api = "http://127.0.0.1:1".to_owned();
        Page::new(&appliance)
    }

    fn post(body: &str) -> Request {
        let length = body.len();
        request(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    #[test]
    fn the_form_and_nothing_else() {
        let client = IpAddr::from([192, 0, 2, 1]);
        for (line, status) in
            [("GET /", 200), ("HEAD /", 200), ("PUT /", 405), ("GET /x", 404), ("GET /../etc", 404)]
        {
            let request = request(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(page().answer(&request, client).status, status, "{line}");
        }
    }

    #[test]
    fn bad_passwords_never_reach_the_server() {
        let client = IpAddr::from([192, 0, 2, 1]);
        for (old, new, again) in [
            ("old", "longer than ten", "longer than ten!"),
            ("old", "short", "short"),
            ("same same same", "same same same", "same same same"),
            ("old", "line%0Abreak+here", "line%0Abreak+here"),
        ] {
            let body = format!("account=a%40b.org&old={old}&new={new}&again={again}");
            assert_eq!(page().answer(&post(&body), client).status, 400, "{body}");
        }
        let body = "account=a%40b.org&old=x&new=longer+than+ten&again=longer+than+ten";
        assert_eq!(page().answer(&post(body), client).status, 503);
    }
}
