//! A letter to the administrator: what came into the quarantine since the last one.
//!
//! In: the quarantine. Out: mail, at most one a day, through the mail server's listener on
//! loopback. To the administrator and not to each recipient: what is kept is what the policy holds
//! for dangerous, and a letter that names it to everybody teaches people to ask for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::durable;
use crate::edit::marks::ascii;
use crate::quarantine::release::Target;
use crate::quarantine::{Entry, Quarantine, QuarantineError};
use crate::smtp::{self, SmtpError};

/// Seconds between two letters.
const INTERVAL: u64 = 86_400;
/// Messages that a letter lists; the rest is a number.
const MOST: usize = 200;

/// Why there was no letter.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The quarantine can't be read.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The mail server did not take it.
    #[error("the digest was not sent: {0}")]
    Smtp(#[from] SmtpError),
    /// When it was sent can't be kept.
    #[error("cannot write {0}: {1}")]
    File(PathBuf, std::io::Error),
}

/// Sends a letter if it is time and there is something to say; says whether it did.
///
/// # Errors
/// [`DigestError`]; it is tried again then.
pub fn send(
    state: &Path,
    quarantine: &Quarantine,
    target: &Target,
    to: &str,
    now: u64,
) -> Result<bool, DigestError> {
    let file = state.join("digest-sent");
    // What can't be read counts as never: a letter too many is better than none.
    let last: u64 =
        fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if last <= now && now - last < INTERVAL {
        return Ok(false);
    }
    let entries = quarantine.list()?;
    let news: Vec<&Entry> = entries.iter().filter(|it| it.received >= last || last > now).collect();
    if news.is_empty() {
        return Ok(false);
    }
    let letter = letter(&news, entries.len(), quarantine, &target.host, to, now);
    smtp::send(target.server, &target.host, "", &[to.to_owned()], letter.as_bytes())?;
    durable::replace(&file, now.to_string().as_bytes())
        .map_err(|error| DigestError::File(file, error))?;
    Ok(true)
}

/// The letter, with CRLF.
fn letter(
    news: &[&Entry],
    all: usize,
    quarantine: &Quarantine,
    host: &str,
    to: &str,
    now: u64,
) -> String {
    let days = quarantine.keep.as_secs() / 86_400;
    let (count, date) = (news.len(), clock::mail_date(now));
    let mut text = format!(
        "From: Mail filter of {host} <{to}>\n\
         To: <{to}>\n\
         Date: {date}\n\
         Subject: {count} new in the quarantine of {host}\n\
         Message-ID: <quarantine-{now}@{host}>\n\
         Auto-Submitted: auto-generated\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=us-ascii\n\
         \n\
         These messages were kept instead of delivered. Each is deleted after {days} days.\n\
         The quarantine holds {all} in all. On the appliance, as root:\n\
         \n\
         \x20 mailkiln-filter quarantine show ID\n\
         \x20 mailkiln-filter quarantine release ID\n\
         \x20 mailkiln-filter quarantine delete ID\n"
    );
    for entry in news.iter().take(MOST) {
        let received = clock::readable(entry.received);
        text.push_str(&format!(
            "\n{}  ({received} UTC, {} bytes)\n  from    {} (envelope {}, {})\n  for     {}\n  subject {}\n",
            entry.id,
            entry.bytes,
            ascii(&entry.from),
            ascii(&entry.sender),
            ascii(&entry.client),
            ascii(&entry.recipients.join(" ")),
            ascii(&entry.subject),
        ));
        for finding in entry.findings.iter().take(3) {
            let place = finding.place.join(" > ");
            text.push_str(&ascii(&format!("  {}: {} {place}", finding.class, finding.reason)));
            text.push('\n');
        }
    }
    if count > MOST {
        text.push_str(&format!("\n… and {} more.\n", count - MOST).replace('…', "..."));
    }
    // No line is longer than SMTP allows: RFC 5321 section 4.5.3.1.6.
    text.lines().map(|line| line.chars().take(900).collect::<String>() + "\r\n").collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pool::wire::WireFinding;

    fn entry(received: u64) -> Entry {
        Entry {
            received,
            sender: "s@far.example".into(),
            recipients: vec!["bob@example.org".into()],
            client: "192.0.2.7".into(),
            from: "Süß <s@far.example>".into(),
            subject: "Invoice".into(),
            bytes: 1234,
            findings: vec![WireFinding {
                class: "auto-macro".into(),
                part: Some(1),
                place: vec!["a.zip".into(), "b.docm".into()],
                reason: "a macro that starts by itself".into(),
            }],
            ..Entry::default()
        }
    }

    #[test]
    fn a_letter_says_what_to_do() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::new(state.path(), Duration::from_secs(30 * 86_400), 1000);
        quarantine.prepare().unwrap();
        let entry = quarantine.add(entry(1_795_343_913), b"x").unwrap();
        let letter = letter(
            &[&entry],
            3,
            &quarantine,
            "mail.example.org",
            "postmaster@example.org",
            1_795_400_000,
        );
        assert!(letter.lines().count() > 10 && letter.is_ascii());
        insta::assert_snapshot!(letter.replace("\r\n", "\n"));
    }

    #[test]
    fn nothing_new_is_no_letter_and_a_failed_one_is_tried_again() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::new(state.path(), Duration::from_secs(1000), 1000);
        quarantine.prepare().unwrap();
        // Nobody listens there.
        let server = "127.0.0.1:1".parse().unwrap();
        let target = Target { server, host: "h".into() };
        let sent = |now| send(state.path(), &quarantine, &target, "a@b", now);
        assert!(!sent(2_000_000).unwrap());
        quarantine.add(entry(2_000_100), b"x").unwrap();
        assert!(matches!(sent(2_000_200), Err(DigestError::Smtp(_))));
        fs::write(state.path().join("digest-sent"), "2000150").unwrap();
        assert!(!sent(2_000_200).unwrap());
        assert!(!sent(2_000_150 + INTERVAL).unwrap());
    }
}
