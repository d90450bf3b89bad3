//! Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.

use mailkiln_inspect::{Class, Finding};

use crate::api::http;
use crate::edit::{body_start, marks, strip};
use crate::milter::transaction::Transaction;
use crate::milter::{frame, negotiation};
use crate::pool::wire;

/// A connection of a mail server that is none.
pub fn milter(bytes: &[u8]) {
    let mut from = bytes;
    let mut transaction = Transaction::default();
    while let Ok(Some(packet)) = frame::read(&mut from) {
        let _ = negotiation::reply(&packet);
        if transaction.take(packet).is_err() {
            break;
        }
        let _ = transaction.begins_with_header();
    }
}

/// A client of the API, and a worker that has been taken over.
pub fn replies(bytes: &[u8]) {
    let _ = http::read(&mut &*bytes);
    if let Ok(wire::Reply::Report(report)) = wire::read_reply(&mut &*bytes) {
        let _ = report.into_report();
    }
}

/// A message whose parts are taken out, one by one and all. What is not taken out stays.
pub fn strip(message: &[u8]) {
    let _ = marks::foreign(message);
    let leaves = mailkiln_inspect::message::split(message).leaves;
    let findings: Vec<Finding> = (0..leaves.len().min(8))
        .map(|part| Finding {
            class: Class::Executable,
            part: u32::try_from(part).ok(),
            place: Vec::new(),
            reason: String::new(),
        })
        .collect();
    for index in 0..findings.len() {
        let changes = strip::changes(message, &findings, &[index]);
        let body = changes.body.unwrap_or_default();
        let leaf = leaves.get(index);
        if let Some(leaf) = leaf.filter(|leaf| !leaf.is_whole) {
            let start = body_start(message);
            let before = message.get(start..leaf.header.start).unwrap_or_default();
            let after = message.get(leaf.body.end..).unwrap_or_default();
            assert!(body.starts_with(before) && body.ends_with(after), "bytes of others changed");
        }
    }
    let all: Vec<usize> = (0..findings.len()).collect();
    let _ = strip::changes(message, &findings, &all);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the targets start from; libFuzzer goes on where this ends.
    #[test]
    fn cut_and_altered_messages_are_stripped() {
        let message = b"From: a\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npre\r\n--x\r\n\r\n\
                        hello\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
                        --y\r\n\r\none\r\n--y\r\nContent-Type: a/b\r\n\r\ntwo\r\n--y--\r\n--x--\r\nend";
        for at in 0..message.len() {
            strip(&message[..at]);
            for byte in [0, b'\n', b'-', b':', 0xff] {
                let mut altered = message.to_vec();
                altered[at] = byte;
                strip(&altered);
                milter(&altered);
                replies(&altered);
            }
        }
    }
}
