//! How iPhones and Macs set themselves up: a configuration profile (Apple, "Configuration Profile Reference"). It holds no password;
//! the device asks for it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, PreEscaped, html};

use super::{domain_of, is_address};
use crate::app::App;
use crate::form::Query;
use crate::problem::Problem;
use crate::seal;

/// The profile for `?emailaddress=`.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Query(query): Query,
) -> Result<Response, Problem> {
    let address = query.text("emailaddress").trim().to_lowercase();
    if !is_address(&address) || domain_of(&app.configuration, &address).is_none() {
        return Err(Problem::NotFound);
    }
    let headers = [
        (CONTENT_TYPE, "application/x-apple-aspen-config"),
        (CONTENT_DISPOSITION, "attachment; filename=\"mail.mobileconfig\""),
    ];
    Ok((headers, profile(&app.configuration.host, &address)).into_response())
}

/// One value of a property list.
enum Value<'a> {
    Text(&'a str),
    Number(u16),
    Yes,
}

fn entries(values: &[(&str, Value<'_>)]) -> Markup {
    html! {
        @for (name, value) in values {
            key { (name) }
            @match value {
                Value::Text(text) => { string { (text) } }
                Value::Number(number) => { integer { (number) } }
                Value::Yes => { (PreEscaped("<true/>")) }
            }
        }
    }
}

fn profile(host: &str, address: &str) -> String {
    use Value::{Number, Text, Yes};
    // A payload's identity must stay the same, so that a second installation replaces the first.
    let identity =
        |part: &str| uuid(&seal::derive("profile", format!("{host} {address} {part}").as_bytes()));
    let payload = |kind: &str, part: &str, more: &[(&str, Value<'_>)]| {
        let (id, uuid) = (format!("{host}.{part}"), identity(part));
        html! {
            dict {
                (entries(&[("PayloadType", Text(kind)), ("PayloadVersion", Number(1)), ("PayloadIdentifier", Text(&id)), ("PayloadUUID", Text(&uuid))]))
                (entries(more))
            }
        }
    };
    let mail = payload(
        "com.apple.mail.managed",
        "mail",
        &[
            ("EmailAccountType", Text("EmailTypeIMAP")),
            ("EmailAccountDescription", Text(address)),
            ("EmailAddress", Text(address)),
            ("IncomingMailServerAuthentication", Text("EmailAuthPassword")),
            ("IncomingMailServerHostName", Text(host)),
            ("IncomingMailServerPortNumber", Number(993)),
            ("IncomingMailServerUseSSL", Yes),
            ("IncomingMailServerUsername", Text(address)),
            ("OutgoingMailServerAuthentication", Text("EmailAuthPassword")),
            ("OutgoingMailServerHostName", Text(host)),
            ("OutgoingMailServerPortNumber", Number(465)),
            ("OutgoingMailServerUseSSL", Yes),
            ("OutgoingMailServerUsername", Text(address)),
            ("OutgoingPasswordSameAsIncomingPassword", Yes),
        ],
    );
    let calendar = payload(
        "com.apple.caldav.account",
        "caldav",
        &[
            ("CalDAVAccountDescription", Text(address)),
            ("CalDAVHostName", Text(host)),
            ("CalDAVPort", Number(443)),
            ("CalDAVUseSSL", Yes),
            ("CalDAVUsername", Text(address)),
        ],
    );
    let contacts = payload(
        "com.apple.carddav.account",
        "carddav",
        &[
            ("CardDAVAccountDescription", Text(address)),
            ("CardDAVHostName", Text(host)),
            ("CardDAVPort", Number(443)),
            ("CardDAVUseSSL", Yes),
            ("CardDAVUsername", Text(address)),
        ],
    );
    let text = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"))
        plist version="1.0" {
            dict {
                (entries(&[
                    ("PayloadType", Text("Configuration")),
                    ("PayloadVersion", Number(1)),
                    ("PayloadIdentifier", Text(&format!("{host}.profile"))),
                    ("PayloadUUID", Text(&identity("profile"))),
                    ("PayloadDisplayName", Text(address)),
                    ("PayloadOrganization", Text(host)),
                ]))
                key { "PayloadContent" }
                array { (mail) (calendar) (contacts) }
            }
        }
    };
    text.into_string()
}

/// Written as a UUID of version 8 (RFC 9562, section 5.8).
fn uuid(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(36);
    for (position, byte) in digest.iter().take(16).enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match position {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        text.push_str(&format!("{byte:02X}"));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_device_reads() {
        let text = super::profile("mail.example.org", "alice@example.org");
        for part in [
            "<!DOCTYPE plist",
            "<key>IncomingMailServerPortNumber</key><integer>993</integer>",
            "<key>CalDAVHostName</key><string>mail.example.org</string>",
            "<key>IncomingMailServerUseSSL</key><true/>",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(text, super::profile("mail.example.org", "alice@example.org"), "the same again");
        let uuid = super::uuid(&[0xff; 32]);
        assert_eq!(uuid, "FFFFFFFF-FFFF-8FFF-BFFF-FFFFFFFFFFFF");
    }
}
