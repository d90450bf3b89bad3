//! The frame of every page: head, navigation, contents. A page group adds its line to [`SECTIONS`].

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::i18n::Language;
use crate::session::csrf;
use crate::session::{Preferences, cookie::Secret};

/// Pages up to this size, bytes, are sent as they are.
const SMALL: usize = 1400;

/// The name of the preference that holds the reader's time zone.
pub(crate) const TIME_ZONE: &str = "time-zone";

/// A part of the program that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Folders, lists, messages.
    Mail,
    /// Writing.
    Compose,
    /// What the reader can choose.
    Settings,
    /// Password, second factor, sessions.
    Account,
}

/// The navigation: section, address, text.
const SECTIONS: &[(Section, &str, &str)] = &[
    (Section::Mail, "/mail", "nav.mail"),
    (Section::Compose, "/compose", "nav.compose"),
    (Section::Settings, "/settings", "nav.settings"),
    (Section::Account, "/account", "nav.account"),
];

/// How pages look for one reader.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The language of texts.
    pub(crate) language: Language,
    /// The account, where someone is signed in.
    pub(crate) account: Option<Arc<str>>,
    /// What its owner has chosen.
    pub(crate) preferences: Preferences,
    csrf: Option<Secret>,
    /// Whether the browser takes gzip.
    packs: bool,
}

/// One page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Where in the navigation it belongs.
    pub(crate) section: Option<Section>,
    /// Its title, without the program's name.
    pub(crate) title: String,
    /// Names of assets: scripts that only this page needs.
    pub(crate) scripts: &'static [&'static str],
    /// Names of assets: style sheets that only this page needs.
    pub(crate) styles: &'static [&'static str],
    /// What stands in `main`.
    pub(crate) content: Markup,
    /// Whether the contents fill the window, as a list beside a message does, instead of one column.
    pub(crate) wide: bool,
}

impl View {
    /// For nobody in particular.
    pub(crate) fn of_guest(headers: &HeaderMap) -> Self {
        let language = Language::from_headers(headers);
        Self {
            language,
            account: None,
            preferences: Preferences::default(),
            csrf: csrf::root(headers),
            packs: assets::takes_gzip(headers),
        }
    }

    /// For someone signed in.
    pub(crate) fn of_account(
        headers: &HeaderMap,
        account: Arc<str>,
        preferences: Preferences,
    ) -> Self {
        let chosen = preferences.get("language").and_then(Language::from_tag);
        let language = chosen.unwrap_or_else(|| Language::from_headers(headers));
        Self {
            language,
            account: Some(account),
            preferences,
            csrf: csrf::root(headers),
            packs: assets::takes_gzip(headers),
        }
    }

    /// For a browser that is given this guest cookie by the same answer.
    pub(crate) fn with_guest(mut self, cookie: &Secret) -> Self {
        self.csrf = Some(crate::seal::derive("csrf", cookie));
        self
    }

    /// The zone that the reader has chosen, if there is such a zone.
    pub(crate) fn chosen_zone(&self) -> Option<TimeZone> {
        self.preferences.get(TIME_ZONE).and_then(|name| TimeZone::get(name).ok())
    }

    /// The reader's zone: the chosen one, else UTC.
    pub(crate) fn zone(&self) -> TimeZone {
        self.chosen_zone().unwrap_or(TimeZone::UTC)
    }

    /// The field that every form needs; without it `Form` refuses the form.
    pub(crate) fn csrf(&self) -> Markup {
        csrf::field(&self.csrf_token())
    }

    /// The same value, for the header `x-csrf` of scripts.
    pub(crate) fn csrf_token(&self) -> String {
        // Without randomness the form is refused later, and the page can still be read.
        self.csrf.as_ref().and_then(|root| csrf::token(root).ok()).unwrap_or_default()
    }

    /// The page as an answer. It may be kept by the browser's back button, and by nobody else.
    pub(crate) fn page(&self, page: Page) -> Response {
        self.page_with_status(StatusCode::OK, page)
    }

    /// The page with another status.
    pub(crate) fn page_with_status(&self, status: StatusCode, page: Page) -> Response {
        let text = self.document(page).into_string();
        let packed = (self.packs && text.len() > SMALL)
            .then(|| assets::gzip(text.as_bytes(), Compression::fast()));
        let mut response = match packed {
            Some(Some(packed)) => {
                let mut response = packed.into_response();
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            _ => text.into_response(),
        };
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("accept-encoding, accept-language"));
        as_page(response)
    }

    fn document(&self, page: Page) -> Markup {
        let language = self.language;
        let scheme = self.preferences.get("scheme").unwrap_or("light dark");
        html! {
            (DOCTYPE)
            html lang=(language.tag()) data-scheme=(scheme) data-density=[self.preferences.get("density")] {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content=(scheme);
                    title { (page.title) " · Mailkiln" }
                    link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                    link rel="stylesheet" href=(assets::address("style.css"));
                    @for name in page.styles {
                        link rel="stylesheet" href=(assets::address(name));
                    }
                    @for name in page.scripts {
                        script type="module" src=(assets::address(name)) {}
                    }
                }
                body {
                    a.skip href="#main" { (language.text("nav.skip")) }
                    (self.header(page.section))
                    main id="main" tabindex="-1" class=[page.wide.then_some("wide")] { (page.content) }
                }
            }
        }
    }

    fn header(&self, current: Option<Section>) -> Markup {
        let language = self.language;
        html! {
            header.top {
                a.brand href="/" { "Mailkiln" }
                @if let Some(account) = &self.account {
                    nav aria-label=(language.text("nav.label")) {
                        @for (section, address, key) in SECTIONS {
                            a href=(address) aria-current=[(current == Some(*section)).then_some("page")] { (language.text(key)) }
                        }
                    }
                    form.sign-out method="post" action="/sign-out" {
                        (self.csrf())
                        span.account { (account) }
                        button.quiet { (language.text("nav.sign-out")) }
                    }
                }
            }
        }
    }
}

/// Minutes east of UTC in a zone at that moment.
pub(crate) fn offset(zone: &TimeZone, seconds: i64) -> i32 {
    Timestamp::from_second(seconds).map_or(0, |time| zone.to_offset(time).seconds() / 60)
}

/// Markup as an answer, without the frame: what a script puts into a page.
pub(crate) fn fragment(content: Markup) -> Response {
    as_page(content.into_string().into_response())
}

fn as_page(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

impl<S: Sync> FromRequestParts<S> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of_guest(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_follows_the_zone_and_the_season() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (zone, seconds, minutes) in [
            (&berlin, 1_795_869_030, 60),
            (&berlin, 1_783_000_000, 120),
            (&TimeZone::UTC, 1_783_000_000, 0),
            (&berlin, i64::MAX, 0),
        ] {
            assert_eq!(offset(zone, seconds), minutes, "{seconds}");
        }
    }

    #[test]
    fn a_page_escapes_and_needs_no_inline_code() {
        let headers = HeaderMap::new();
        let view = View::of_account(&headers, "<b>@example.org".into(), Preferences::default());
        let page =
            Page { title: "<i>".to_owned(), section: Some(Section::Mail), ..Page::default() };
        let text = view.document(page).into_string();
        assert!(text.contains("&lt;i&gt;") && text.contains("&lt;b&gt;@example.org"));
        for refused in ["<script>", "<style", "style=", "onclick", "<i>"] {
            assert!(!text.contains(refused), "{refused}: {text}");
        }
        assert!(text.contains(r#"href="/mail" aria-current="page""#), "{text}");
        for asset in text.split("/assets/").skip(1) {
            assert!(asset.contains('/'), "{asset}");
        }
        assert!(!text.contains("href=\"\""), "each asset exists: {text}");
    }
}
