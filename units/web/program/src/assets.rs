//! Style sheets, scripts and pictures: part of the program, at addresses with a digest, so that browsers keep them for good.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
};

use crate::problem::Problem;

/// All of them: name, media type, bytes. A page group adds its lines here.
const FILES: &[(&str, &str, &[u8])] = &[
    ("style.css", "text/css; charset=utf-8", include_bytes!("../assets/style.css")),
    ("mail.css", "text/css; charset=utf-8", include_bytes!("../assets/mail.css")),
    ("mail.js", "text/javascript; charset=utf-8", include_bytes!("../assets/mail.js")),
    ("compose.css", "text/css; charset=utf-8", include_bytes!("../assets/compose.css")),
    ("compose.js", "text/javascript; charset=utf-8", include_bytes!("../assets/compose.js")),
    // The page to write on loads these two when rich text is written: assets/vendor/README.md.
    ("squire.mjs", "text/javascript; charset=utf-8", include_bytes!("../assets/vendor/squire.mjs")),
    (
        "purify.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/vendor/purify.min.js"),
    ),
    ("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
];

#[derive(Debug)]
struct Asset {
    address: String,
    kind: &'static str,
    plain: Bytes,
    packed: Bytes,
}

static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    FILES.iter().map(|(name, kind, bytes)| (*name, asset(name, kind, bytes))).collect()
});

fn asset(name: &str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let digest = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..9]);
    // Without a packed copy the plain one is served.
    let packed = gzip(bytes, Compression::best()).unwrap_or_default();
    Asset {
        address: format!("/assets/{digest}/{name}"),
        kind,
        plain: Bytes::from_static(bytes),
        packed: packed.into(),
    }
}

/// `bytes` packed (RFC 1952). Writing to a vector does not fail.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    packer.write_all(bytes).and_then(|()| packer.finish()).ok()
}

/// Whether the browser takes packed bytes.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|value| value.contains("gzip"))
}

/// Where the asset called `name` is: `/assets/DIGEST/style.css`. That each name a page uses exists is tested with the pages.
pub(crate) fn address(name: &str) -> &'static str {
    ASSETS.get(name).map_or("", |asset| asset.address.as_str())
}

/// Serves `/assets/{digest}/{name}`.
pub(crate) async fn serve(
    Path((digest, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = ASSETS.get(name.as_str()).ok_or(Problem::NotFound)?;
    if asset.address != format!("/assets/{digest}/{name}") {
        return Err(Problem::NotFound);
    }
    let packs = takes_gzip(&headers) && (1..asset.plain.len()).contains(&asset.packed.len());
    let body = if packs { asset.packed.clone() } else { asset.plain.clone() };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, forever);
    if packs {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_content_and_bytes_are_packed() {
        let style = &ASSETS["style.css"];
        assert!(style.address.starts_with("/assets/") && style.address.ends_with("/style.css"));
        assert!(style.packed.len() < style.plain.len());
        let other = asset("style.css", "text/css", b"other");
        assert_ne!(other.address, style.address);
    }

    #[test]
    fn scripts_of_others_are_those_that_the_table_names() {
        let table = include_str!("../assets/vendor/README.md");
        for name in ["squire.mjs", "purify.min.js"] {
            let digest = ring::digest::digest(&ring::digest::SHA256, &ASSETS[name].plain);
            let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(table.contains(&format!("`{digest}`")), "{name}: {digest}");
        }
    }

    #[test]
    fn scripts_of_our_own_stay_small() {
        for name in ["mail.js", "compose.js"] {
            assert!(ASSETS[name].packed.len() <= 8192, "{name}");
        }
    }
}
