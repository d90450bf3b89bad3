//! Lines and base64 of minisign's files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Exactly `N` bytes of base64.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Base64 of all `parts`, one after the other.
pub(crate) fn packed(parts: &[&[u8]]) -> String {
    STANDARD.encode(parts.concat())
}

/// Exactly `N` lines; a newline at the end is one's end, not one more.
pub(crate) fn lines<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.lines().collect::<Vec<_>>().try_into().ok()
}
