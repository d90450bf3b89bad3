//! Cookies: RFC 6265bis with the prefix `__Host-`, so that no other host and no plain HTTP can set or read them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

/// Who is signed in.
pub(crate) const SESSION: &str = "__Host-session";
/// Binds the sign-in form to the browser that asked for it.
pub(crate) const GUEST: &str = "__Host-guest";

/// A cookie's value: 256 random bits.
pub(crate) type Secret = [u8; 32];

/// The cookie `name` of a request. Two of one name are none: one of them was put there by a stranger.
pub(crate) fn secret(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    let value = found.next().filter(|_| found.next().is_none())?;
    URL_SAFE_NO_PAD.decode(value).ok()?.try_into().ok()
}

/// `Set-Cookie` for `secret`, for as long as the browser runs or `seconds`.
pub(crate) fn set(name: &str, secret: &Secret, seconds: Option<u64>) -> HeaderValue {
    let value = URL_SAFE_NO_PAD.encode(secret);
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    header(&format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}"))
}

/// `Set-Cookie` that removes `name`.
pub(crate) fn removed(name: &str) -> HeaderValue {
    header(&format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"))
}

/// Names are ours and values base64: there is nothing that a header could not hold.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<Secret> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        secret(&headers, SESSION)
    }

    #[test]
    fn what_is_set_is_read_and_two_are_none() {
        let set = set(SESSION, &[7; 32], Some(60));
        let set = set.to_str().unwrap();
        for word in ["__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(set.contains(word), "{set}");
        }
        let pair = set.split(';').next().unwrap();
        assert_eq!(read(&[pair]), Some([7; 32]));
        assert_eq!(read(&[&format!("a=b; {pair}; c")]), Some([7; 32]), "HTTP/1.1 joins them");
        assert_eq!(read(&["a=b", pair]), Some([7; 32]), "HTTP/2 may part them");
        assert_eq!(read(&[&format!("{pair}; {pair}")]), None);
        assert_eq!(read(&[&format!("x{pair}")]), None);
        assert_eq!(read(&["__Host-session=AAAA"]), None, "too short");
        assert_eq!(read(&[]), None);
    }
}
