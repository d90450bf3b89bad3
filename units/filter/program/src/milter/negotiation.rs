//! Which version, changes and packets both sides agree on.

use super::frame::Frame;

/// `SMFIC_OPTNEG`, also the reply's code.
pub const OPTNEG: u8 = b'O';

const VERSION: u32 = 6;
/// What we may do to a message: `SMFIF_ADDHDRS`, `CHGBODY`, `DELRCPT`, `CHGHDRS`.
const CHANGES: u32 = 0x01 | 0x02 | 0x08 | 0x10;
/// What we do not want to be sent: headers (they are in the body, see the module above), and the
/// commands `DATA` and unknown ones. `SMFIP_NOHDRS`, `NOUNKNOWN`, `NODATA`.
const LEFT_OUT: u32 = 0x20 | 0x100 | 0x200;
/// What we do not reply to, so that the only waiting is at the end of a message. `SMFIP_NR_CONN`,
/// `NR_HELO`, `NR_MAIL`, `NR_RCPT`, `NR_BODY`.
const UNANSWERED: u32 = 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x8_0000;

/// A mail server that we can't work with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NegotiationError {
    /// It did not begin with an offer.
    #[error("the connection begins with the command {0:#04x}, not with an offer of options")]
    NoOffer(u8),
    /// An offer without its three numbers.
    #[error("an offer of {0} bytes; three numbers are 12")]
    Short(usize),
    /// An old server, or one that lets no filter change messages.
    #[error(
        "the mail server offers version {version} and changes {changes:#x}; version {VERSION} and \
         changes {CHANGES:#x} are needed: see `session.milter` in its configuration"
    )]
    Insufficient {
        /// Its version.
        version: u32,
        /// The changes that it allows.
        changes: u32,
    },
}

/// The data of our reply to an offer.
///
/// # Errors
/// [`NegotiationError`] when the offer is not enough.
pub fn reply(offer: &Frame) -> Result<[u8; 12], NegotiationError> {
    if offer.code != OPTNEG {
        return Err(NegotiationError::NoOffer(offer.code));
    }
    let [version, changes] = match offer.data.as_chunks::<4>() {
        ([version, changes, _protocol], []) => [version, changes].map(|it| u32::from_be_bytes(*it)),
        _ => return Err(NegotiationError::Short(offer.data.len())),
    };
    if version < VERSION || changes & CHANGES != CHANGES {
        return Err(NegotiationError::Insufficient { version, changes });
    }
    let mut data = [0; 12];
    let numbers = [VERSION, CHANGES, LEFT_OUT | UNANSWERED];
    for (place, number) in data.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(numbers: [u32; 3]) -> Frame {
        Frame { code: OPTNEG, data: numbers.iter().flat_map(|it| it.to_be_bytes()).collect() }
    }

    #[test]
    fn an_offer_of_our_mail_server_is_taken() {
        let data = reply(&offer([6, 0xff, 0x42])).unwrap();
        assert_eq!(data, *b"\0\0\0\x06\0\0\0\x1b\0\x08\xf3\x20");
    }

    #[test]
    fn less_is_refused() {
        for numbers in [[2, 0xff, 0], [6, 0x3, 0]] {
            assert!(matches!(reply(&offer(numbers)), Err(NegotiationError::Insufficient { .. })));
        }
        let short = Frame { code: OPTNEG, data: vec![0; 11] };
        assert_eq!(reply(&short), Err(NegotiationError::Short(11)));
        let other = Frame { code: b'H', data: vec![] };
        assert_eq!(reply(&other), Err(NegotiationError::NoOffer(b'H')));
    }
}
