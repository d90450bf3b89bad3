//! Signatures of Oracle Cloud's requests.
//!
//! In: a request, a key and its identifier, a moment. Out: the headers `date`, `host` and `authorization`; with a body that is
//! signed also its digest. Source: "Request Signatures" of the OCI documentation (draft-cavage-http-signatures-08). Bodies
//! of objects and their parts are not signed there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::aws::split;
use super::rsa::RsaKey;
use crate::http::{Body, Request};

/// Adds the signature. `is_object` leaves the body unsigned.
///
/// # Errors
/// Where signing fails.
pub fn sign(
    request: Request,
    key_id: &str,
    key: &RsaKey,
    is_object: bool,
    now: Timestamp,
) -> Result<Request, String> {
    let url = request.url.clone();
    let (host, path, query) = split(&url);
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let target = format!("{} {target}", request.method.to_ascii_lowercase());
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut request = request.header("date", &date).header("host", host);
    let mut signed = vec![("date", date), ("(request-target)", target), ("host", host.to_owned())];
    if !is_object && matches!(request.method, "POST" | "PUT" | "PATCH") {
        let bytes = match &request.body {
            Body::Bytes(bytes) => bytes.clone(),
            _ => bytes::Bytes::new(),
        };
        let sum = BASE64.encode(digest(&SHA256, &bytes));
        if request.value("content-type").is_none() {
            request = request.header("content-type", "application/json");
        }
        let kind = request.value("content-type").unwrap_or_default().to_owned();
        request = request.header("x-content-sha256", &sum);
        signed.push(("content-length", bytes.len().to_string()));
        signed.push(("content-type", kind));
        signed.push(("x-content-sha256", sum));
    }
    let lines: Vec<String> =
        signed.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let signature = key.sign_base64(lines.join("\n").as_bytes())?;
    let value = format!(
        "Signature version=\"1\",keyId=\"{key_id}\",algorithm=\"rsa-sha256\",headers=\"{}\",signature=\"{signature}\"",
        names.join(" ")
    );
    Ok(request.header("authorization", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::rsa::tests::new_key;

    #[test]
    fn bodies_are_signed_but_for_objects() {
        let key = RsaKey::parse(&new_key(false)).unwrap();
        let url = "https://iaas.eu-frankfurt-1.oraclecloud.com/20160918/images?a=b";
        for (request, is_object, names) in [
            (Request::new("GET", url), false, "date (request-target) host"),
            (Request::new("PUT", url).bytes("x"), true, "date (request-target) host"),
            (
                Request::new("POST", url).bytes("{}"),
                false,
                "date (request-target) host content-length content-type x-content-sha256",
            ),
        ] {
            let signed = sign(request, "t/u/f", &key, is_object, Timestamp::UNIX_EPOCH).unwrap();
            let value = signed.value("authorization").unwrap();
            assert!(value.contains(&format!("headers=\"{names}\"")), "{value}");
            assert_eq!(signed.value("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        }
    }
}
