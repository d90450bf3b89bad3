//! What the pool and a worker say to each other over a socket of their own.
//!
//! Each piece is a little-endian length of eight bytes and as many bytes. The pool sends a
//! [`Start`] as JSON, then messages as they are; the worker answers each with a [`Reply`] as JSON.

use std::io::{self, Read, Write};

use mailkiln_inspect::{Finding, Report};
use serde::{Deserialize, Serialize};

/// Longest reply, in bytes: a thousand findings with long names.
const LONGEST_REPLY: u64 = 4 << 20;
/// Longest piece that a worker takes, in bytes; beyond any message.
const LONGEST_PIECE: u64 = 1 << 30;
/// Findings that are told: more than a report holds.
const MOST_FINDINGS: usize = 300;

/// What a worker is told first.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Start {
    /// Malware rules by file name.
    pub rules: Vec<(String, String)>,
    /// Time for one message.
    pub milliseconds: u128,
}

/// What a worker says.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It has compiled the rules.
    Ready,
    /// It can't start.
    Refused {
        /// Why.
        why: String,
    },
    /// What is in the message.
    Report(WireReport),
}

/// A [`Report`] in words.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct WireReport {
    findings: Vec<WireFinding>,
    parts: u32,
    bytes: u64,
}

/// A [`Finding`] in words. Quarantined messages keep it too.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct WireFinding {
    /// [`mailkiln_inspect::Class`] by its name.
    pub class: String,
    /// Index of the part.
    pub part: Option<u32>,
    /// Names from the outermost container inwards.
    pub place: Vec<String>,
    /// Why.
    pub reason: String,
}

impl From<&Finding> for WireFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            class: finding.class.as_str().to_owned(),
            part: finding.part,
            place: finding.place.clone(),
            reason: finding.reason.clone(),
        }
    }
}

impl From<&Report> for WireReport {
    fn from(report: &Report) -> Self {
        Self {
            findings: report.findings.iter().take(MOST_FINDINGS).map(WireFinding::from).collect(),
            parts: report.parts,
            bytes: report.bytes,
        }
    }
}

impl WireReport {
    /// The report again.
    ///
    /// # Errors
    /// The name of a class that does not exist.
    pub fn into_report(self) -> Result<Report, String> {
        let finding = |found: WireFinding| {
            let class = found.class.parse().map_err(|_| found.class)?;
            let WireFinding { part, place, reason, .. } = found;
            Ok(Finding { class, part, place, reason })
        };
        let findings = self.findings.into_iter().map(finding).collect::<Result<_, String>>()?;
        Ok(Report { findings, parts: self.parts, bytes: self.bytes })
    }
}

/// Writes a piece.
///
/// # Errors
/// What the socket says.
pub fn write_bytes(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

/// Writes a piece of JSON.
///
/// # Errors
/// What the socket says.
pub fn write_json(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    write_bytes(to, &serde_json::to_vec(value)?)
}

/// Reads a piece into `into`, whose memory is used again; false when the other side has gone.
///
/// # Errors
/// What the socket says; `InvalidData` for a length that makes no sense.
pub fn read_bytes(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    read_limited(from, into, LONGEST_PIECE)
}

/// Reads a worker's reply.
///
/// # Errors
/// What the socket says, `InvalidData` for something else than a reply.
pub fn read_reply(from: &mut impl Read) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    if !read_limited(from, &mut bytes, LONGEST_REPLY)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

fn read_limited(from: &mut impl Read, into: &mut Vec<u8>, most: u64) -> io::Result<bool> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        other => other?,
    }
    let length = u64::from_le_bytes(length);
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    into.clear();
    // Grows with what really comes.
    if from.take(length).read_to_end(into)? as u64 == length {
        Ok(true)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use mailkiln_inspect::Class;

    use super::*;

    #[test]
    fn a_report_survives_the_way() {
        let finding = Finding {
            class: Class::DeceptiveName,
            part: Some(2),
            place: vec!["a.zip".into(), "b\u{202e}c".into()],
            reason: "why".into(),
        };
        let report = Report { findings: vec![finding], parts: 3, bytes: 1 << 40 };
        let mut bytes = Vec::new();
        write_json(&mut bytes, &Reply::Report(WireReport::from(&report))).unwrap();
        let Reply::Report(back) = read_reply(&mut bytes.as_slice()).unwrap() else { panic!() };
        assert_eq!(back.into_report().unwrap(), report);
    }

    #[test]
    fn lies_about_lengths_are_errors() {
        let mut into = Vec::new();
        assert!(read_bytes(&mut &[0xff; 8][..], &mut into).is_err());
        let mut short = 5_u64.to_le_bytes().to_vec();
        short.extend(b"abc");
        assert!(read_bytes(&mut short.as_slice(), &mut into).is_err());
        assert!(!read_bytes(&mut &b""[..], &mut into).unwrap());
        assert!(read_reply(&mut &b"\x02\0\0\0\0\0\0\0{}"[..]).is_err());
    }
}
