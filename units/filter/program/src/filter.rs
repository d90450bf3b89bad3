//! The filter itself: one message in, what becomes of it out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mail_parser::{HeaderName, MessageParser};
use mailkiln_inspect::{Class, Finding};

use crate::clamd::Clamd;
use crate::configuration::OnFailure;
use crate::edit::{marks, strip};
use crate::journal;
use crate::milter::answer::{Answer, Changes};
use crate::milter::listener::Judge;
use crate::milter::transaction::Transaction;
use crate::policy::{Action, Policies, Verdict};
use crate::pool::Pool;
use crate::pool::wire::WireFinding;
use crate::quarantine::{Entry, Quarantine};

/// Longest `From` and `Subject` that an entry keeps, in characters.
const LONGEST_FIELD: usize = 200;
/// Longest text of an answer, in bytes: RFC 5321 section 4.5.3.1.5 allows 512 with the code.
const LONGEST_REPLY: usize = 400;

/// Everything that decides over a message.
#[derive(Debug)]
pub struct Filter {
    /// What is done about which finding.
    pub policies: Policies,
    /// What happens to a message that could not be looked into.
    pub on_failure: OnFailure,
    /// Those who look.
    pub pool: Pool,
    /// ClamAV, if it is asked too.
    pub clamd: Option<Clamd>,
    /// Where messages are kept.
    pub quarantine: Quarantine,
    /// What was done since the start.
    pub counters: Counters,
    /// The name of this host, which the mail server signs its results of checks with.
    pub host: String,
}

/// How many messages met which end since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Looked into, whatever came out.
    pub scanned: AtomicU64,
    /// Refused for good.
    pub rejected: AtomicU64,
    /// Kept in the quarantine.
    pub quarantined: AtomicU64,
    /// Passed with marks, some after a part was taken out.
    pub marked: AtomicU64,
    /// Could not be looked into.
    pub failed: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Judge for Filter {
    fn judge(&self, transaction: &Transaction) -> Answer {
        let begin = Instant::now();
        match self.findings(transaction) {
            Ok(findings) => {
                count(&self.counters.scanned);
                let login = transaction.login.as_ref().map(|_| transaction.sender.as_str());
                let verdict = self.policies.decide(&findings, login, &transaction.recipients);
                let verdict = match transaction.login {
                    None if failed_dmarc(&transaction.message, &self.host) => {
                        verdict.doubting(&findings, &transaction.recipients)
                    }
                    _ => verdict,
                };
                let answer = self.carry_out(transaction, &findings, &verdict);
                if !findings.is_empty() {
                    report(transaction, &findings, &verdict, begin);
                }
                answer
            }
            Err(why) => self.failed(transaction, &why),
        }
    }

    fn overloaded(&self) -> Answer {
        count(&self.counters.failed);
        journal::warn("no room for another message; its sender is asked to come back");
        // Never passed: its bytes were not kept, so that nothing could be taken out of its header.
        Answer::Reply("451 4.3.2 The filter is busy; try again later".to_owned())
    }
}

impl Filter {
    /// What our rules and ClamAV find.
    fn findings(&self, transaction: &Transaction) -> Result<Vec<Finding>, String> {
        let message = transaction.message.as_slice();
        let client = transaction.login.is_none().then_some(transaction.client.as_str());
        let report = self.pool.scan(message, client).map_err(|error| error.to_string())?;
        let mut findings = report.findings;
        if let Some(clamd) = &self.clamd {
            let found = clamd.scan(message).map_err(|error| error.to_string())?;
            findings.extend(found.map(|signature| Finding {
                class: Class::Malware,
                part: None,
                place: Vec::new(),
                reason: format!("ClamAV knows it as {signature}"),
            }));
        }
        Ok(findings)
    }

    /// A message that could not be looked into.
    fn failed(&self, transaction: &Transaction, why: &str) -> Answer {
        count(&self.counters.failed);
        let about = envelope(transaction);
        match self.on_failure {
            OnFailure::Defer => {
                journal::error(&format!("{about} is deferred: {why}"));
                Answer::Reply("451 4.7.1 The message could not be scanned; try again later".into())
            }
            OnFailure::Pass => {
                journal::error(&format!("{about} passes without a look: {why}"));
                Answer::Accept(Changes {
                    remove: marks::foreign(&transaction.message),
                    add: vec![marks::unseen(why)],
                    ..Changes::default()
                })
            }
        }
    }

    fn carry_out(
        &self,
        transaction: &Transaction,
        findings: &[Finding],
        verdict: &Verdict,
    ) -> Answer {
        if verdict.action == Action::Reject {
            count(&self.counters.rejected);
            return Answer::Reply(refusal(findings));
        }
        if !verdict.quarantined.is_empty() {
            if let Err(error) = self.keep(transaction, findings, verdict) {
                // It was judged unfit for a mailbox, and there is no room for it: let it come back.
                journal::error(&error.to_string());
                count(&self.counters.failed);
                return Answer::Reply("451 4.3.1 The quarantine is full; try again later".into());
            }
            count(&self.counters.quarantined);
            if verdict.quarantined.len() == transaction.recipients.len() {
                return Answer::Discard;
            }
        }
        let mut changes = if verdict.stripped.is_empty() {
            Changes::default()
        } else {
            strip::changes(&transaction.message, findings, &verdict.stripped)
        };
        if verdict.marked {
            count(&self.counters.marked);
            changes.add.extend(marks::findings(findings, &verdict.stripped));
        }
        changes.remove.extend(marks::foreign(&transaction.message));
        changes.without.clone_from(&verdict.quarantined);
        Answer::Accept(changes)
    }

    fn keep(
        &self,
        transaction: &Transaction,
        findings: &[Finding],
        verdict: &Verdict,
    ) -> Result<(), crate::quarantine::QuarantineError> {
        let (from, subject) = names(&transaction.message);
        let entry = Entry {
            received: crate::clock::now(),
            sender: transaction.sender.clone(),
            recipients: verdict.quarantined.clone(),
            client: transaction.client.clone(),
            from,
            subject,
            bytes: transaction.message.len() as u64,
            findings: findings.iter().map(WireFinding::from).collect(),
            ..Entry::default()
        };
        let entry = self.quarantine.add(entry, &transaction.message)?;
        journal::note(&format!(
            "{} is kept as {} for {}",
            envelope(transaction),
            entry.id,
            entry.recipients.join(" ")
        ));
        Ok(())
    }
}

/// `From` and `Subject`, decoded, for people who go through the quarantine.
fn names(message: &[u8]) -> (String, String) {
    let Some(header) = MessageParser::new()
        .with_address_headers()
        .header_text(HeaderName::Subject)
        .parse_headers(message)
    else {
        return Default::default();
    };
    let from = header.from().and_then(|from| from.first()).map(|from| {
        let address = from.address().unwrap_or_default();
        match from.name() {
            Some(name) => format!("{name} <{address}>"),
            None => address.to_owned(),
        }
    });
    let short = |text: &str| {
        let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it });
        plain.take(LONGEST_FIELD).collect::<String>()
    };
    (short(&from.unwrap_or_default()), short(header.subject().unwrap_or_default()))
}

/// Whether the mail server's own check says that the sender's domain does not stand for the
/// message: `dmarc=fail` in the first `Authentication-Results` (RFC 8601), which it writes on top.
fn failed_dmarc(message: &[u8], host: &str) -> bool {
    let header = message.get(..crate::edit::body_start(message)).unwrap_or_default();
    let fields = crate::edit::fields(header);
    let results = fields
        .iter()
        .find(|(name, _)| name.trim_ascii().eq_ignore_ascii_case(b"authentication-results"))
        .and_then(|(name, range)| header.get(range.start + name.len() + 1..range.end));
    let Some(results) = results else { return false };
    let text = String::from_utf8_lossy(results).to_ascii_lowercase();
    let is_ours = text.split(';').next().is_some_and(|it| it.trim() == host.to_ascii_lowercase());
    is_ours && text.contains("dmarc=fail")
}

/// What the sender is told: the first finding of those that matter most.
fn refusal(findings: &[Finding]) -> String {
    let first = findings.iter().min_by_key(|finding| finding.class.rank());
    let found = first.map(Finding::to_string).unwrap_or_default();
    let mut text = marks::ascii(&format!("550 5.7.1 The message was refused: {found}"));
    text.truncate(LONGEST_REPLY);
    text
}

/// `message <id> from <a> (192.0.2.7) to <b>`, as the journal says it.
fn envelope(transaction: &Transaction) -> String {
    let Transaction { client, sender, recipients, .. } = transaction;
    format!("a message from <{sender}> ({client}) to <{}>", recipients.join("> <"))
}

fn report(transaction: &Transaction, findings: &[Finding], verdict: &Verdict, begin: Instant) {
    let took = begin.elapsed().as_millis();
    let about = envelope(transaction);
    journal::note(&format!("{about}: {} ({took} ms)", verdict.action));
    for finding in findings {
        journal::note(&format!("  {finding}"));
    }
}
