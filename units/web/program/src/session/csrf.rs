//! Proof that our own page sent a form: a field that only this reader's pages have. It is masked anew in each answer, so that
//! compressed answers do not tell it letter by letter (BREACH).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use maud::{Markup, html};
use subtle::ConstantTimeEq as _;

use super::cookie::{self, Secret};
use crate::random::{self, NoRandomness};
use crate::seal::derive;

/// The name of the field, and of the header that scripts send.
pub(crate) const FIELD: &str = "csrf";
/// The header.
pub(crate) const HEADER: &str = "x-csrf";

/// What tokens of this browser are made from: its session cookie, or before sign-in its guest cookie.
pub(crate) fn root(headers: &HeaderMap) -> Option<Secret> {
    let cookie = cookie::secret(headers, cookie::SESSION)
        .or_else(|| cookie::secret(headers, cookie::GUEST))?;
    Some(derive("csrf", &cookie))
}

/// A token for `root`, different each time.
pub(crate) fn token(root: &Secret) -> Result<String, NoRandomness> {
    let mask = random::bytes::<32>()?;
    let mut masked = *root;
    masked.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    Ok(URL_SAFE_NO_PAD.encode([mask, masked].concat()))
}

/// Whether `token` was made for the browser that sends these headers.
pub(crate) fn fits(headers: &HeaderMap, token: &str) -> bool {
    let Some(root) = root(headers) else { return false };
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
    let Some((mask, masked)) = bytes.split_first_chunk::<32>() else { return false };
    let plain: Vec<u8> = masked.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    plain.ct_eq(&root).into()
}

/// The field for a form.
pub(crate) fn field(token: &str) -> Markup {
    html! { input type="hidden" name=(FIELD) value=(token); }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;

    fn browser(name: &str, secret: &Secret) -> HeaderMap {
        let set = cookie::set(name, secret, None);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, set.to_str().unwrap().split(';').next().unwrap().parse().unwrap());
        headers
    }

    #[test]
    fn tokens_differ_fit_their_browser_and_no_other() {
        let mine = browser(cookie::SESSION, &[1; 32]);
        let root = root(&mine).unwrap();
        let (first, second) = (token(&root).unwrap(), token(&root).unwrap());
        assert_ne!(first, second);
        assert!(fits(&mine, &first) && fits(&mine, &second));
        for other in [browser(cookie::SESSION, &[2; 32]), browser("x", &[1; 32]), HeaderMap::new()]
        {
            assert!(!fits(&other, &first));
        }
        for wrong in ["", "AAAA", &first[1..], &URL_SAFE_NO_PAD.encode([0; 64])] {
            assert!(!fits(&mine, wrong));
        }
    }
}
