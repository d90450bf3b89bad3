//! Names of folders as IMAP4rev1 writes them: modified UTF-7 (RFC 3501 section 5.1.3).

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn engine() -> Option<GeneralPurpose> {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    Some(GeneralPurpose::new(&Alphabet::new(LETTERS).ok()?, config))
}

/// A name as the server takes it.
pub(crate) fn encode(name: &str) -> String {
    let (mut encoded, mut foreign) = (String::new(), Vec::new());
    let mut units = [0; 2];
    for character in name.chars() {
        if matches!(character, ' '..='~') {
            flush(&mut encoded, &mut foreign);
            encoded.push(character);
            if character == '&' {
                encoded.push('-');
            }
        } else {
            for unit in character.encode_utf16(&mut units) {
                foreign.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut encoded, &mut foreign);
    encoded
}

fn flush(encoded: &mut String, foreign: &mut Vec<u8>) {
    if foreign.is_empty() {
        return;
    }
    if let Some(engine) = engine() {
        encoded.push('&');
        encoded.push_str(&engine.encode(&foreign));
        encoded.push('-');
    }
    foreign.clear();
}

/// The name that the server meant; none if it is not written as the RFC says.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = encoded;
    while let Some(at) = rest.find('&') {
        name.push_str(&rest[..at]);
        let (shifted, after) = rest[at + 1..].split_once('-')?;
        if shifted.is_empty() {
            name.push('&');
        } else {
            let bytes = engine()?.decode(shifted).ok()?;
            let (pairs, odd) = bytes.as_chunks::<2>();
            if !odd.is_empty() {
                return None;
            }
            let units = pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect::<Vec<_>>();
            name.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_the_rfc() {
        let name = "~peter/mail/台北/日本語";
        assert_eq!(encode(name), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode(&encode(name)).unwrap(), name);
        assert_eq!(encode("Entwürfe & 😀"), "Entw&APw-rfe &- &2D3eAA-");
        for bad in ["&", "&A-", "&A", "&AGEAY-", "&2D0-"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back(name in "\\PC{0,20}") {
            let encoded = encode(&name);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Some(name));
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in ".{0,40}") {
            drop(decode(&text));
        }
    }
}
