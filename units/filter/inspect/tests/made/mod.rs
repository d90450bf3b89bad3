//! Messages and containers that the tests make.
#![allow(dead_code, clippy::unwrap_used, reason = "every test program uses some of it")]

pub(crate) mod archives;
pub(crate) mod documents;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use mailkiln_inspect::{Class, Finding, Limits, Report, Rules, inspect};

pub(crate) static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::builtin().unwrap());

/// The EICAR test file, put together so that this source is not one.
pub(crate) fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into()
}

pub(crate) fn report(message: &[u8], limits: &Limits) -> Report {
    inspect(message, limits, &RULES, Instant::now() + Duration::from_secs(60))
}

pub(crate) fn found(message: &[u8]) -> Vec<Finding> {
    report(message, &Limits::default()).findings
}

pub(crate) fn classes(message: &[u8]) -> Vec<Class> {
    let mut classes: Vec<_> = found(message).into_iter().map(|finding| finding.class).collect();
    classes.dedup();
    classes
}

pub(crate) fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (index, group) in data.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            text.push_str("\r\n");
        }
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// A message with a text and one attachment.
pub(crate) fn message(name: &str, content: &[u8]) -> Vec<u8> {
    format!(
        "From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\n\
         See the attachment.\r\n--edge\r\nContent-Type: application/octet-stream\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {}\r\n--edge--\r\n",
        base64(content)
    )
    .into()
}

/// The beginning of a Windows program: enough to be told as one.
pub(crate) fn program() -> Vec<u8> {
    let mut program = vec![0; 512];
    program[..2].copy_from_slice(b"MZ");
    program[60] = 128;
    program[128..132].copy_from_slice(b"PE\0\0");
    program
}
