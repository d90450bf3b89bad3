//! How Outlook sets itself up for IMAP: Autodiscover's XML (MS-OXDSCLI, sections 2.2.3 and 2.2.4).

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use maud::{PreEscaped, html};

use super::is_address;
use crate::app::App;
use crate::problem::Problem;

/// Largest question.
const LARGEST: usize = 8 * 1024;
const RESPONSES: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const OUTLOOK: &str =
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// Whether `path` is Autodiscover's, in whatever case.
pub(crate) fn is_asked(path: &str) -> bool {
    path.eq_ignore_ascii_case("/autodiscover/autodiscover.xml")
}

/// Answers one question.
pub(crate) async fn answer(app: &App, request: Request) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::MethodNotAllowed);
    }
    let body = Limited::new(request.into_body(), LARGEST).collect().await;
    let body = body.map_err(|_| Problem::TooLarge)?.to_bytes();
    let address = address(&body).ok_or(Problem::BadRequest)?;
    let text = settings(&app.configuration.host, &address);
    Ok(([(CONTENT_TYPE, "application/xml; charset=utf-8")], text).into_response())
}

/// The address asked for. One element of a document that has no other use does not need a reader of XML; references in it are
/// refused with other letters that addresses do not have.
fn address(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<EMailAddress>")?;
    let (address, _) = rest.split_once("</EMailAddress>")?;
    let address = address.trim().to_lowercase();
    is_address(&address).then_some(address)
}

fn settings(host: &str, address: &str) -> String {
    let protocol = |kind: &str, port: u16, more: maud::Markup| {
        html! {
            Protocol {
                Type { (kind) }
                Server { (host) }
                Port { (port) }
                DomainRequired { "off" }
                LoginName { (address) }
                SPA { "off" }
                SSL { "on" }
                AuthRequired { "on" }
                (more)
            }
        }
    };
    let text = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"))
        Autodiscover xmlns=(RESPONSES) {
            Response xmlns=(OUTLOOK) {
                User { DisplayName { (address) } }
                Account {
                    AccountType { "email" }
                    Action { "settings" }
                    (protocol("IMAP", 993, html! {}))
                    (protocol("POP3", 995, html! {}))
                    (protocol("SMTP", 465, html! { Encryption { "SSL" } UsePOPAuth { "on" } SMTPLast { "off" } }))
                }
            }
        }
    };
    text.into_string()
}

/// Reads a question.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(address) = address(bytes) {
        let text = settings("mail.example.org", &address);
        assert_eq!(text.matches("<LoginName>").count(), 3, "{address}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_outlook_asks_and_reads() {
        let question = b"<?xml version=\"1.0\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
            <Request><EMailAddress>Alice@Example.org</EMailAddress><AcceptableResponseSchema>x</AcceptableResponseSchema></Request></Autodiscover>";
        assert_eq!(address(question).as_deref(), Some("alice@example.org"));
        let text = settings("mail.example.org", "alice@example.org");
        assert!(
            text.contains("<Type>IMAP</Type><Server>mail.example.org</Server><Port>993</Port>"),
            "{text}"
        );
        assert!(text.contains("<LoginName>alice@example.org</LoginName>"));
        for bad in [
            "",
            "<EMailAddress>a<b>@c</EMailAddress>",
            "<EMailAddress>&lt;@c</EMailAddress>",
            "<EMailAddress>a@c",
        ] {
            assert_eq!(address(bad.as_bytes()), None, "{bad}");
        }
        assert!(is_asked("/Autodiscover/Autodiscover.xml") && !is_asked("/autodiscover"));
    }
}
