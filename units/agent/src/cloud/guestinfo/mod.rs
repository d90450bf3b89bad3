//! VMware's `guestinfo` variables, asked of the hypervisor itself.
//!
//! In: names of variables. Out: their values, as bytes. A question is a message of text that goes through the
//! *backdoor*, an I/O port that the hypervisor answers, four bytes at a time (`open`, `send`, `receive`, `close` in
//! `lib/message/message.c` of open-vm-tools; the constants are in its `backdoor_def.h` and `guest_msg_def.h`). All that comes
//! back is bounded here; [`port`] is the instruction alone, and tests play the other side.

mod port;

pub use port::Backdoor;

use super::LARGEST;

/// `BDOOR_MAGIC`.
const MAGIC: u32 = 0x564d_5868;
/// `BDOOR_PORT`, the lower half of EDX.
const PORT: u32 = 0x5658;
/// `BDOOR_CMD_MESSAGE`, the lower half of ECX.
const MESSAGE: u32 = 0x1e;
/// `RPCI_PROTOCOL_NUM` with `GUESTMSG_FLAG_COOKIE`: a channel whose numbers nobody guesses.
const PROTOCOL: u32 = 0x4943_5052 | 0x8000_0000;

/// Types of messages, the upper half of ECX in a call and of EDX in some answers.
const OPEN: u16 = 0;
const SEND_SIZE: u16 = 1;
const SEND_PAYLOAD: u16 = 2;
const RECEIVE_SIZE: u16 = 3;
const RECEIVE_PAYLOAD: u16 = 4;
const RECEIVE_STATUS: u16 = 5;
const CLOSE: u16 = 6;

/// Bits of a status, the upper half of ECX in an answer.
const SUCCESS: u16 = 0x01;
const HAS_ANSWER: u16 = 0x02;
const CHECKPOINT: u16 = 0x40;

/// How often a message is begun again that a snapshot or a migration broke.
const ATTEMPTS: usize = 4;
/// What an answer has beside a value: a digit and a blank.
const ANSWER_HEAD: usize = 2;
/// What the hypervisor says of a variable that nobody has set.
const NO_VALUE: &[u8] = b"No value found";

/// What a call hands over and gets back: registers by their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Registers {
    /// The magic number; what it becomes means nothing here.
    pub eax: u32,
    /// A length, or four bytes of a message.
    pub ebx: u32,
    /// Command and type; then the status.
    pub ecx: u32,
    /// Port and channel.
    pub edx: u32,
    /// The upper half of the channel's cookie.
    pub esi: u32,
    /// The lower half of the channel's cookie.
    pub edi: u32,
}

/// Who answers calls.
pub trait Hypervisor {
    /// One call.
    fn call(&mut self, registers: Registers) -> Registers;
}

/// Why a variable is not known, or not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestInfoError {
    /// Another hypervisor, or one that does not say who it is.
    #[error(
        "the firmware is VMware's and the processor does not say that VMware runs it, so guestinfo is not read; is \
         `hypervisor.cpuid.v0` set? A NoCloud volume is read everywhere"
    )]
    Elsewhere,
    /// No channel.
    #[error("VMware opens no channel to guestinfo; restart the machine")]
    NoChannel,
    /// A call in the midst of a message fails.
    #[error("VMware broke off while {0}; restart the machine")]
    BrokeOff(&'static str),
    /// Snapshots without end.
    #[error("VMware was saving the machine at each of {ATTEMPTS} tries; restart the machine")]
    Checkpoints,
    /// More than anybody sets.
    #[error("guestinfo.{0} is larger than 64 KiB; make it smaller, or pack it: gzip+base64")]
    TooLarge(String),
    /// The hypervisor does not want to.
    #[error(
        "VMware refuses `{0}`: {1}; see isolation.tools.setinfo.disable in the machine's settings"
    )]
    Refused(&'static str, String),
}

/// Reads a variable; `None` where it is not set.
///
/// # Errors
/// [`GuestInfoError`].
pub fn get(
    hypervisor: &mut impl Hypervisor,
    name: &str,
) -> Result<Option<Vec<u8>>, GuestInfoError> {
    let answer = exchange(hypervisor, name, format!("info-get guestinfo.{name}").as_bytes())?;
    match verdict(&answer) {
        Ok(value) => Ok(Some(value.to_vec())),
        Err(NO_VALUE) => Ok(None),
        Err(why) => Err(GuestInfoError::Refused("info-get", shown(why))),
    }
}

/// Sets a variable. Nothing can't be set; a blank is as close as it gets.
///
/// # Errors
/// [`GuestInfoError`].
pub fn set(
    hypervisor: &mut impl Hypervisor,
    name: &str,
    value: &str,
) -> Result<(), GuestInfoError> {
    let request = format!("info-set guestinfo.{name} {value}");
    let answer = exchange(hypervisor, name, request.as_bytes())?;
    match verdict(&answer) {
        Ok(_) => Ok(()),
        Err(why) => Err(GuestInfoError::Refused("info-set", shown(why))),
    }
}

/// An answer begins with `1 ` where all is well.
fn verdict(answer: &[u8]) -> Result<&[u8], &[u8]> {
    let (digit, rest) = answer.split_first().unwrap_or((&b'0', b""));
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    if *digit == b'1' { Ok(rest) } else { Err(rest) }
}

/// A few words of a stranger, fit for a console.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).escape_debug().to_string()
}

/// Sends a request through a channel of its own, and returns the answer.
fn exchange(
    hypervisor: &mut impl Hypervisor,
    name: &str,
    request: &[u8],
) -> Result<Vec<u8>, GuestInfoError> {
    let mut channel = Channel::open(hypervisor)?;
    again(|| channel.send(request))?;
    again(|| channel.receive(name))
}

/// How a step of a message ended.
enum Step<T> {
    Done(T),
    /// The machine was saved or moved meanwhile; the message begins anew.
    Again,
}

fn again<T>(
    mut step: impl FnMut() -> Result<Step<T>, GuestInfoError>,
) -> Result<T, GuestInfoError> {
    for _ in 0..ATTEMPTS {
        if let Step::Done(done) = step()? {
            return Ok(done);
        }
    }
    Err(GuestInfoError::Checkpoints)
}

/// A channel, which is closed whatever happens: there are eight for the whole machine.
struct Channel<'a, H: Hypervisor> {
    hypervisor: &'a mut H,
    number: u16,
    cookie: (u32, u32),
}

impl<'a, H: Hypervisor> Channel<'a, H> {
    fn open(hypervisor: &'a mut H) -> Result<Self, GuestInfoError> {
        let answer = hypervisor.call(registers(OPEN, PROTOCOL));
        if upper(answer.ecx) & SUCCESS == 0 {
            return Err(GuestInfoError::NoChannel);
        }
        Ok(Self { hypervisor, number: upper(answer.edx), cookie: (answer.esi, answer.edi) })
    }

    fn call(&mut self, kind: u16, value: u32) -> Registers {
        self.hypervisor.call(Registers {
            edx: u32::from(self.number) << 16 | PORT,
            esi: self.cookie.0,
            edi: self.cookie.1,
            ..registers(kind, value)
        })
    }

    /// Four bytes at a time, though the hypervisor offers a faster way: that one reads and writes memory behind the
    /// processor's back, and cannot where a machine's memory is encrypted.
    fn send(&mut self, message: &[u8]) -> Result<Step<()>, GuestInfoError> {
        const DOING: &str = "it was asked";
        let length = u32::try_from(message.len()).map_err(|_| GuestInfoError::BrokeOff(DOING))?;
        if upper(self.call(SEND_SIZE, length).ecx) & SUCCESS == 0 {
            return Err(GuestInfoError::BrokeOff(DOING));
        }
        for piece in message.chunks(4) {
            let mut word = [0; 4];
            word[..piece.len()].copy_from_slice(piece);
            let status = upper(self.call(SEND_PAYLOAD, u32::from_le_bytes(word)).ecx);
            if let Some(step) = outcome(status, DOING)? {
                return Ok(step);
            }
        }
        Ok(Step::Done(()))
    }

    fn receive(&mut self, name: &str) -> Result<Step<Vec<u8>>, GuestInfoError> {
        const DOING: &str = "it answered";
        let answer = self.call(RECEIVE_SIZE, 0);
        let wanted = SUCCESS | HAS_ANSWER;
        if upper(answer.ecx) & wanted != wanted || upper(answer.edx) != SEND_SIZE {
            return Err(GuestInfoError::BrokeOff(DOING));
        }
        let length = answer.ebx as usize;
        if length > LARGEST + ANSWER_HEAD {
            return Err(GuestInfoError::TooLarge(name.to_owned()));
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let answer = self.call(RECEIVE_PAYLOAD, SUCCESS.into());
            if let Some(step) = outcome(upper(answer.ecx), DOING)? {
                return Ok(step);
            }
            if upper(answer.edx) != SEND_PAYLOAD {
                return Err(GuestInfoError::BrokeOff(DOING));
            }
            let left = length - bytes.len();
            bytes.extend(answer.ebx.to_le_bytes().into_iter().take(left));
        }
        let status = upper(self.call(RECEIVE_STATUS, SUCCESS.into()).ecx);
        Ok(outcome(status, DOING)?.unwrap_or(Step::Done(bytes)))
    }
}

impl<H: Hypervisor> Drop for Channel<'_, H> {
    fn drop(&mut self) {
        self.call(CLOSE, 0);
    }
}

/// What a call of that type hands over, but for its channel.
fn registers(kind: u16, value: u32) -> Registers {
    Registers {
        eax: MAGIC,
        ebx: value,
        ecx: u32::from(kind) << 16 | MESSAGE,
        edx: PORT,
        ..Registers::default()
    }
}

/// Nothing where all is well, [`Step::Again`] after a checkpoint.
fn outcome<T>(status: u16, doing: &'static str) -> Result<Option<Step<T>>, GuestInfoError> {
    match status {
        status if status & SUCCESS != 0 => Ok(None),
        status if status & CHECKPOINT != 0 => Ok(Some(Step::Again)),
        _ => Err(GuestInfoError::BrokeOff(doing)),
    }
}

/// The upper half of a register.
const fn upper(register: u32) -> u16 {
    (register >> 16) as u16
}

/// Answers each call by the next 24 bytes, and reads and sets a variable by them.
pub(crate) fn fuzz(bytes: &[u8]) {
    struct Stranger<'a>(&'a [u8]);
    impl Hypervisor for Stranger<'_> {
        fn call(&mut self, _: Registers) -> Registers {
            let mut next = || {
                let (word, rest) = self.0.split_first_chunk().unwrap_or((&[0; 4], &[]));
                self.0 = rest;
                u32::from_le_bytes(*word)
            };
            Registers {
                eax: next(),
                ebx: next(),
                ecx: next(),
                edx: next(),
                esi: next(),
                edi: next(),
            }
        }
    }
    let _ = get(&mut Stranger(bytes), "userdata");
    let _ = set(&mut Stranger(bytes), "userdata", "---");
}

#[cfg(test)]
mod tests;
