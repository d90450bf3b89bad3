//! Images from elsewhere, for those who ask for them: fetched here, so that the sender learns neither the reader's address nor when
//! they read.
//!
//! The address of such an image is signed with a key that this run of the program made, and good for minutes: nobody can let us
//! fetch what no mail of an asking reader holds. [`address`] says which machines may be asked, [`fetch`] asks them.

mod address;
mod fetch;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use ring::hmac;

use crate::app::App;
use crate::problem::Problem;
use crate::random;
use crate::session::now;

/// Where they are served.
pub(crate) const PATH: &str = "/mail/remote/";
/// Seconds that an address is good for.
const GOOD_FOR: i64 = 600;
/// Longest address of an image, bytes.
const LONGEST: usize = 2048;
/// Bytes of the signature that are kept.
const MAC: usize = 16;

/// Without randomness nothing is signed, and no image is fetched.
static KEY: LazyLock<Option<hmac::Key>> =
    LazyLock::new(|| random::bytes::<32>().ok().map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key)));

/// The group's addresses.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/mail/remote/{token}", get(show))
}

/// The address by which a frame may fetch the image at `url` for the next minutes.
pub(crate) fn sign(url: &str) -> Option<String> {
    // Rounded, so that the same image has the same address for a while, and a browser keeps it.
    sign_until(url, (now() / GOOD_FOR + 2) * GOOD_FOR)
}

fn sign_until(url: &str, until: i64) -> Option<String> {
    if url.len() > LONGEST {
        return None;
    }
    let mut signed = until.to_be_bytes().to_vec();
    signed.extend_from_slice(url.as_bytes());
    let mac = hmac::sign(KEY.as_ref()?, &signed);
    let token = [mac.as_ref().get(..MAC)?, &signed].concat();
    Some(format!("{PATH}{}", URL_SAFE_NO_PAD.encode(token)))
}

/// Whether an address in a page is one of ours and still good.
pub(crate) fn is_ours(address: &str) -> bool {
    address.strip_prefix(PATH).is_some_and(|token| open(token).is_some())
}

/// What a token names.
fn open(token: &str) -> Option<String> {
    if token.len() > 2 * LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (mac, signed) = bytes.split_at_checked(MAC)?;
    let expected = hmac::sign(KEY.as_ref()?, signed);
    let expected = expected.as_ref().get(..MAC)?;
    if !bool::from(subtle::ConstantTimeEq::ct_eq(mac, expected)) {
        return None;
    }
    let (until, url) = signed.split_first_chunk::<8>()?;
    (i64::from_be_bytes(*until) > now()).then(|| String::from_utf8(url.to_vec()).ok()).flatten()
}

/// GET `/mail/remote/{token}`: no cookie is asked for, as the frame has none.
async fn show(Path(token): Path<String>) -> Result<Response, Problem> {
    let url = open(&token).ok_or(Problem::NotFound)?;
    // Why it failed is nothing to the sender, and little to the reader.
    let image = fetch::image(&url).await.map_err(|_| Problem::NotFound)?;
    let mut response = image.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(image.kind));
    headers
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    let anyone = HeaderValue::from_static("cross-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), anyone);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=600"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_signed_is_fetched_and_not_for_long() {
        let address = sign("https://e.example/a.png").unwrap();
        assert!(is_ours(&address));
        assert_eq!(open(&address[PATH.len()..]).as_deref(), Some("https://e.example/a.png"));
        assert_eq!(sign("https://e.example/a.png").unwrap(), address, "kept by browsers");
        let old = sign_until("https://e.example/a.png", now() - 1).unwrap();
        assert!(!is_ours(&old), "it has an end");
        for at in PATH.len()..address.len() {
            let mut forged = address.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            // The last letter of the encoding has bits that say nothing.
            assert!(
                at + 1 == address.len() || !is_ours(&String::from_utf8(forged).unwrap()),
                "{at}"
            );
        }
        let other = URL_SAFE_NO_PAD
            .encode([&[0; MAC][..], &i64::MAX.to_be_bytes(), b"http://127.0.0.1/"].concat());
        for bad in [String::new(), "AAAA".into(), other, "=".into(), "a".repeat(10_000)] {
            assert!(!is_ours(&format!("{PATH}{bad}")));
        }
        assert!(sign(&format!("https://e.example/{}", "a".repeat(3000))).is_none());
    }
}
