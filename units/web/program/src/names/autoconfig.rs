//! How Thunderbird and others set themselves up: `config-v1.1.xml`
//! (<https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html>).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use maud::{PreEscaped, html};

use super::{Site, domain_of};
use crate::app::App;
use crate::form::Query;
use crate::problem::Problem;

/// The file for the domain of `?emailaddress=`, or of the host's name.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Query(query): Query,
    request: Request,
) -> Result<Response, Problem> {
    let address = query.text("emailaddress").to_lowercase();
    let configuration = &app.configuration;
    let site = request.extensions().get().ok_or(Problem::Misdirected)?;
    let domain = match (domain_of(configuration, &address), site) {
        (Some(domain), _) => domain,
        (None, Site::SetUp(domain)) => domain,
        _ => configuration.domains.keys().next().ok_or(Problem::NotFound)?,
    };
    let text = file(&configuration.host, domain);
    Ok(([(CONTENT_TYPE, "application/xml; charset=utf-8")], text).into_response())
}

fn file(host: &str, domain: &str) -> String {
    let incoming = |kind: &str, port: u16| {
        html! {
            incomingServer type=(kind) { (server(host, port)) }
        }
    };
    let origin = format!("https://{host}");
    let text = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        clientConfig version="1.1" {
            emailProvider id=(domain) {
                domain { (domain) }
                displayName { (domain) }
                displayShortName { (domain) }
                (incoming("imap", 993))
                (incoming("pop3", 995))
                outgoingServer type="smtp" { (server(host, 465)) }
            }
            addressBook type="carddav" {
                username { "%EMAILADDRESS%" }
                authentication { "http-basic" }
                serverURL { (origin) "/.well-known/carddav" }
            }
            calendar type="caldav" {
                username { "%EMAILADDRESS%" }
                authentication { "http-basic" }
                serverURL { (origin) "/.well-known/caldav" }
            }
            webMail {
                loginPage url={ (origin) "/" } {}
            }
        }
    };
    text.into_string()
}

fn server(host: &str, port: u16) -> maud::Markup {
    html! {
        hostname { (host) }
        port { (port) }
        socketType { "SSL" }
        authentication { "password-cleartext" }
        username { "%EMAILADDRESS%" }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_thunderbird_reads() {
        let text = super::file("mail.example.org", "example.org");
        for part in [
            "<?xml version=\"1.0\"",
            "<emailProvider id=\"example.org\">",
            "<incomingServer type=\"imap\"><hostname>mail.example.org</hostname><port>993</port><socketType>SSL</socketType>",
            "<outgoingServer type=\"smtp\"><hostname>mail.example.org</hostname><port>465</port>",
            "<serverURL>https://mail.example.org/.well-known/caldav</serverURL>",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
