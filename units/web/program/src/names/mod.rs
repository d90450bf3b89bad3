//! What belongs to the names of a mail server: MTA-STS policies, set-up of mail programs, challenges for its certificates.
//!
//! [`Site`] says whose request it is, by the host name alone; a name that is not ours is answered with 421.

pub(crate) mod autoconfig;
pub(crate) mod autodiscover;
pub(crate) mod challenge;
pub(crate) mod mobileconfig;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Router, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderMap, Uri};
use tower::ServiceExt as _;

use crate::app::App;
use crate::configuration::Configuration;
use crate::problem::Problem;

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Site {
    /// The name that people type.
    Main,
    /// `mta-sts.DOMAIN`.
    MtaSts(String),
    /// `autoconfig.DOMAIN` or `autodiscover.DOMAIN`: programs ask either for what the other is made for.
    SetUp(String),
    /// An address instead of a name: someone who has no DNS yet.
    Address,
}

impl Site {
    /// The site that a request names, if it is ours.
    pub(crate) fn of(
        configuration: &Configuration,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Self> {
        // HTTP/2 has it in the address, HTTP/1.1 in a header; two headers are an attempt to deceive.
        let mut hosts = headers.get_all(HOST).iter();
        let from_header = hosts.next();
        if hosts.next().is_some() {
            return None;
        }
        let authority = match (uri.authority(), from_header) {
            (Some(authority), None) => authority.as_str(),
            (Some(authority), Some(header))
                if header.as_bytes() == authority.as_str().as_bytes() =>
            {
                authority.as_str()
            }
            (None, Some(header)) => header.to_str().ok()?,
            _ => return None,
        };
        let name = without_port(authority).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        if name == configuration.host {
            return Some(Self::Main);
        }
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Some(Self::Address);
        }
        let (label, domain) = name.split_once('.')?;
        configuration.domains.get(domain)?;
        match label {
            "mta-sts" => Some(Self::MtaSts(domain.to_owned())),
            "autoconfig" | "autodiscover" => Some(Self::SetUp(domain.to_owned())),
            _ => None,
        }
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// Hands each request to the router of its site.
pub(crate) fn dispatch(app: &Arc<App>, main: Router, names: Router) -> Router {
    let app = Arc::clone(app);
    Router::new().fallback(async move |mut request: Request| {
        let site = Site::of(&app.configuration, request.uri(), request.headers());
        let is_main = site == Some(Site::Main);
        if let Some(site) = site {
            request.extensions_mut().insert(site);
        }
        let response = if is_main { main.oneshot(request) } else { names.oneshot(request) }.await;
        response.into_response()
    })
}

/// What all names but the main one answer.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/mta-sts.txt", get(mta_sts))
        .route("/.well-known/acme-challenge/{token}", get(challenge::answer))
        .route("/mail/config-v1.1.xml", get(autoconfig::answer))
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(autoconfig::answer))
        .fallback(other)
}

/// RFC 8461, section 3.3.
async fn mta_sts(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let domain = match request.extensions().get() {
        Some(Site::MtaSts(domain)) => domain,
        Some(_) => return Err(Problem::NotFound),
        None => return Err(Problem::Misdirected),
    };
    let policy = app.configuration.domains.get(domain).and_then(|it| it.mta_sts.clone());
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "max-age=3600")];
    Ok((headers, policy.ok_or(Problem::NotFound)?).into_response())
}

async fn other(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    match request.extensions().get::<Site>() {
        None | Some(Site::Main) => Err(Problem::Misdirected),
        Some(Site::Address) => Ok(Redirect::to(&app.configuration.origin()).into_response()),
        Some(Site::MtaSts(_)) => Err(Problem::NotFound),
        // Programs differ in the letters' case.
        Some(Site::SetUp(_)) if autodiscover::is_asked(request.uri().path()) => {
            autodiscover::answer(&app, request).await
        }
        Some(Site::SetUp(_)) => Err(Problem::NotFound),
    }
}

/// The domain of `address`, if mail is received for it here.
fn domain_of<'a>(configuration: &Configuration, address: &'a str) -> Option<&'a str> {
    let (_, domain) = address.rsplit_once('@')?;
    configuration.domains.contains_key(domain).then_some(domain)
}

/// Whether `text` looks like a mail address that may be repeated in an answer: no quotes, blanks or control characters.
fn is_address(text: &str) -> bool {
    let allowed =
        |letter: char| letter.is_alphanumeric() || "!#$%*+-./=?^_{|}~@'&`".contains(letter);
    text.len() <= 320 && text.chars().all(allowed) && text.split('@').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        toml::from_str(
            "host = \"mail.example.org\"\nstate = \"/s\"\n[server]\nimap = { host = \"127.0.0.1\", port = 993 }\n\
             submission = { host = \"127.0.0.1\", port = 465 }\n[domains.\"example.org\"]\n",
        )
        .unwrap()
    }

    #[test]
    fn whose_request_it_is() {
        let configuration = configuration();
        let of = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            Site::of(&configuration, &Uri::from_static("/"), &headers)
        };
        let domain = "example.org".to_owned();
        assert_eq!(of("mail.example.org"), Some(Site::Main));
        assert_eq!(of("MAIL.example.org.:8443"), Some(Site::Main));
        assert_eq!(of("mta-sts.example.org"), Some(Site::MtaSts(domain.clone())));
        assert_eq!(of("autoconfig.example.org"), Some(Site::SetUp(domain.clone())));
        assert_eq!(of("autodiscover.example.org:443"), Some(Site::SetUp(domain)));
        assert_eq!(of("192.0.2.1:443"), Some(Site::Address));
        assert_eq!(of("[2001:db8::1]"), Some(Site::Address));
        for foreign in [
            "evil.test",
            "mta-sts.evil.test",
            "www.example.org",
            "example.org",
            "",
            "mail.example.org@evil.test",
        ] {
            assert_eq!(of(foreign), None, "{foreign}");
        }
        let mut two = HeaderMap::new();
        two.append(HOST, "mail.example.org".parse().unwrap());
        two.append(HOST, "evil.test".parse().unwrap());
        assert_eq!(Site::of(&configuration, &Uri::from_static("/"), &two), None);
        let mut one = HeaderMap::new();
        one.insert(HOST, "evil.test".parse().unwrap());
        let absolute = Uri::from_static("https://mail.example.org/");
        assert_eq!(Site::of(&configuration, &absolute, &one), None, "address and header differ");
        assert_eq!(Site::of(&configuration, &absolute, &HeaderMap::new()), Some(Site::Main));
    }

    #[test]
    fn addresses_that_may_be_repeated() {
        for good in ["alice@example.org", "o'hara+x@example.org", "jürgen@müller.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "alice",
            "a@b@c",
            "a b@c",
            "a<b@c",
            "\"a\"@c",
            "a\r\n@c",
            &format!("{}@c", "a".repeat(400)),
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
