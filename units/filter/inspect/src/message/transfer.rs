//! Transfer encodings (RFC 2045, 6): decoded as far as mail programs would, never refused.

use std::borrow::Cow;

/// How a body travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is: `7bit`, `8bit`, `binary`.
    #[default]
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `x-uuencode`, which was never registered and is read by every old program.
    Uuencode,
}

impl Encoding {
    /// The encoding of that name, in any case; nothing if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Encoding> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "" | "7bit" | "8bit" | "binary" | "7-bit" | "8-bit" => Encoding::Identity,
            "base64" => Encoding::Base64,
            "quoted-printable" => Encoding::QuotedPrintable,
            "x-uuencode" | "uuencode" | "x-uue" | "uue" => Encoding::Uuencode,
            _ => return None,
        })
    }

    /// Undoes the encoding. What is no code is skipped, as mail programs do.
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Encoding::Identity => Cow::Borrowed(body),
            Encoding::Base64 => Cow::Owned(base64(body)),
            Encoding::QuotedPrintable => Cow::Owned(quoted_printable(body)),
            Encoding::Uuencode => match super::uuencoded(body).into_iter().next() {
                Some((_, content)) => Cow::Owned(content),
                None => Cow::Borrowed(body),
            },
        }
    }
}

const SKIPPED: u8 = 0xff;
const PADDING: u8 = 0xfe;

const ALPHABET: [u8; 256] = {
    let mut table = [SKIPPED; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut index = 0;
    while index < letters.len() {
        table[letters[index] as usize] = index as u8;
        index += 1;
    }
    table[b'=' as usize] = PADDING;
    table
};

/// Padding ends a group but not the data: texts coded in pieces are read on by many programs.
pub(crate) fn base64(text: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut group, mut held) = (0u32, 0u32);
    for byte in text {
        match ALPHABET[usize::from(*byte)] {
            SKIPPED => {}
            PADDING => {
                flush(group, held, &mut output);
                (group, held) = (0, 0);
            }
            value => {
                group = group << 6 | u32::from(value);
                held += 1;
                if held == 4 {
                    output.extend_from_slice(&group.to_be_bytes()[1..]);
                    (group, held) = (0, 0);
                }
            }
        }
    }
    flush(group, held, &mut output);
    output
}

fn flush(group: u32, held: u32, output: &mut Vec<u8>) {
    match held {
        2 => output.push((group >> 4) as u8),
        3 => output.extend_from_slice(&((group >> 2) as u16).to_be_bytes()),
        _ => {}
    }
}

pub(crate) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (before, after) = rest.split_at(at);
        output.extend_from_slice(before);
        rest = match after {
            [_, high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                output.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                tail
            }
            _ => match soft_break(&after[1..]) {
                Some(tail) => tail,
                None => {
                    output.push(b'=');
                    &after[1..]
                }
            },
        };
    }
    output.extend_from_slice(rest);
    output
}

/// What follows the line break after a `=`, which may have white space before it.
fn soft_break(text: &[u8]) -> Option<&[u8]> {
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    match text.get(spaces..)? {
        [b'\n', tail @ ..] => Some(tail),
        [] => Some(&[]),
        _ => None,
    }
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
