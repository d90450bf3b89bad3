//! `[mail]` and `[spam]`: numbers in range, and who gets reports.

use std::ops::RangeInclusive;

use super::accounts::People;
use super::{each, parsed, table_or_empty};
use crate::address::Address;
use crate::document::Located;
use crate::domain_name::DomainName;
use crate::file::{MailTable, RemovedValue, SizeValue, SpamTable};
use crate::model::{MailSettings, Removed, Spam};
use crate::problem::{Flaw, Problems, Reported};
use crate::size;

/// Sizes of a message that make sense, in bytes. Below, ordinary attachments bounce; above, the
/// server would hold it in memory.
const MESSAGE_SIZES: RangeInclusive<u64> = 1 << 20..=1 << 30;
/// Largest message taken when the file does not say, in bytes.
const USUAL_MESSAGE_SIZE: u64 = 50 << 20;
/// Recipients of one account that make sense.
const RECIPIENTS: RangeInclusive<i64> = 1..=1_000_000;
/// Recipients in an hour and in a day when the file does not say.
const USUAL_RECIPIENTS: (u32, u32) = (200, 1000);
/// Days until an account that was taken out of the file is deleted.
const REMOVED_DAYS: RangeInclusive<i64> = 0..=3650;
/// The same when the file does not say.
const USUAL_REMOVED_DAYS: u32 = 30;
/// Scores in tenths.
const SCORES: RangeInclusive<i32> = 1..=1000;
/// Score in tenths from which a message is junk when the file does not say.
const USUAL_JUNK_SCORE: i32 = 50;

/// `[mail]`. `people` is `None` when they could not be read.
pub(super) fn judge_mail(
    table: Option<Located<MailTable>>,
    people: Option<&People>,
    problems: &mut Problems,
) -> Result<MailSettings, Reported> {
    let (table, span) = table_or_empty(table);
    let max_message_size = match &table.max_message_size {
        Some(size) => bytes(size, MESSAGE_SIZES, "the largest message", problems),
        None => Ok(USUAL_MESSAGE_SIZE),
    };
    let postmaster = match (&table.postmaster, people) {
        (Some(text), people) => parsed(text, problems).and_then(|address| {
            let is_lost = people.is_some_and(|people| people.would_lose(&address));
            if is_lost {
                Err(problems.add(no_such_postmaster(&address).at(&text.span)))
            } else {
                Ok(address)
            }
        }),
        (None, Some(people)) => {
            people.postmaster().ok_or_else(|| problems.absent(&span, "mail.postmaster"))
        }
        (None, None) => Err(problems.absent(&span, "mail.postmaster")),
    };
    let recipients = recipients(&table, problems);
    let removed = removed(&table, problems);
    let (recipients_per_hour, recipients_per_day) = recipients?;
    Ok(MailSettings {
        max_message_size: max_message_size?,
        recipients_per_hour,
        recipients_per_day,
        postmaster: postmaster?,
        removed: removed?,
    })
}

/// Recipients of one account in an hour and in a day. Whoever raises one and does not name the other
/// gets a day that holds the hour.
fn recipients(table: &MailTable, problems: &mut Problems) -> Result<(u32, u32), Reported> {
    let mut number = |given: &Option<Located<i64>>, key: &str, usual: u32| {
        given.as_ref().map_or(Ok(usual), |given| {
            let fits =
                u32::try_from(given.value).ok().filter(|_| RECIPIENTS.contains(&given.value));
            let flaw = Flaw::new(
                format!("`mail.{key}` is out of range"),
                "recipients, from 1 to 1000000",
                format!("write `{key} = {usual}`"),
            );
            problems.check(&given.span, fits.ok_or(flaw))
        })
    };
    let hour = number(&table.recipients_per_hour, "recipients_per_hour", USUAL_RECIPIENTS.0);
    let day = number(&table.recipients_per_day, "recipients_per_day", USUAL_RECIPIENTS.1);
    let (hour, day) = (hour?, day?);
    match (&table.recipients_per_hour, &table.recipients_per_day) {
        (Some(_), None) => Ok((hour, day.max(hour))),
        (None, Some(_)) => Ok((hour.min(day), day)),
        (Some(given), Some(_)) if hour > day => Err(problems.add(
            Flaw::new(
                "`mail.recipients_per_hour` is more than `recipients_per_day`",
                format!("{hour} in an hour, {day} in a day"),
                "raise `recipients_per_day`, or lower this",
            )
            .at(&given.span),
        )),
        _ => Ok((hour, day)),
    }
}

fn removed(table: &MailTable, problems: &mut Problems) -> Result<Removed, Reported> {
    let days = match &table.removed_days {
        None => Ok(USUAL_REMOVED_DAYS),
        Some(days) => {
            let fits =
                u32::try_from(days.value).ok().filter(|_| REMOVED_DAYS.contains(&days.value));
            let flaw = Flaw::new(
                "`mail.removed_days` is out of range",
                "days, from 1 to 3650, or 0 for never",
                "write `removed_days = 30`",
            );
            problems.check(&days.span, fits.ok_or(flaw))
        }
    };
    let defers = matches!(table.removed.as_ref().map(|it| it.value), Some(RemovedValue::Defer));
    Ok(Removed { defers, days: Some(days?).filter(|days| *days > 0) })
}

fn no_such_postmaster(address: &Address) -> Flaw {
    Flaw::new(
        format!("`{address}` does not exist"),
        "no account has this address",
        "write the address of an account, or add this one to an account's `aliases`",
    )
}

/// `[spam]`.
pub(super) fn judge_spam(
    table: Option<Located<SpamTable>>,
    problems: &mut Problems,
) -> Result<Spam, Reported> {
    let (table, _) = table_or_empty(table);
    let junk_score = match &table.junk_score {
        Some(score) => problems.check(&score.span, tenths(score.value)),
        None => Ok(USUAL_JUNK_SCORE),
    };
    let reject_score = table.reject_score.as_ref().map(|score| {
        let reject = problems.check(&score.span, tenths(score.value))?;
        match junk_score {
            Ok(junk) if reject <= junk => {
                Err(problems.add(refused_before_junk(reject, junk).at(&score.span)))
            }
            _ => Ok(reject),
        }
    });
    let mut seen: Vec<DomainName> = Vec::new();
    let dnsbl = each(table.dnsbl, |text| {
        let zone: DomainName = parsed(&text, problems)?;
        if seen.contains(&zone) {
            let flaw = Flaw::new(format!("{zone} is there twice"), "asked already", "take it out");
            return Err(problems.add(flaw.at(&text.span)));
        }
        seen.push(zone.clone());
        Ok(zone)
    });
    Ok(Spam { junk_score: junk_score?, reject_score: reject_score.transpose()?, dnsbl: dnsbl? })
}

fn refused_before_junk(reject: i32, junk: i32) -> Flaw {
    let shown = |tenths: i32| f64::from(tenths) / 10.0;
    Flaw::new(
        format!("`reject_score` {} is not above `junk_score` {}", shown(reject), shown(junk)),
        "nothing would ever reach the Junk folder",
        "choose a `reject_score` well above `junk_score`, such as 15.0",
    )
}

/// A score in tenths.
fn tenths(score: f64) -> Result<i32, Flaw> {
    let flaw = |label| {
        let message = format!("{score} can't be a spam score");
        Flaw::new(message, label, "write a number between 0.1 and 100, such as 5.0")
    };
    let tenths = (score * 10.0).round();
    // Also catches "not a number", which no comparison contains.
    if !(f64::from(*SCORES.start())..=f64::from(*SCORES.end())).contains(&tenths) {
        return Err(flaw("out of range"));
    }
    if (score * 10.0 - tenths).abs() > 1e-6 {
        return Err(flaw("more than one decimal"));
    }
    // In range by the check above.
    Ok(tenths as i32)
}

/// A size within `range`; `what` names it in messages.
pub(super) fn bytes(
    size: &Located<SizeValue>,
    range: RangeInclusive<u64>,
    what: &str,
    problems: &mut Problems,
) -> Result<u64, Reported> {
    let bytes = match &size.value {
        SizeValue::Text(text) => size::parse(text),
        SizeValue::Bytes(number) => u64::try_from(*number).map_err(|_| {
            Flaw::new(format!("{number} is not a size"), "it is negative", "write it like `5 GiB`")
        }),
    };
    problems.check(&size.span, bytes.and_then(|bytes| size::within(bytes, range, what)))
}

#[cfg(test)]
mod tests {
    const REST: &str = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n\
        [[account]]\naddress = 'alice@example.org'\n[mail]\n";

    #[test]
    fn a_day_of_recipients_holds_an_hour() {
        for (mail, wanted) in [
            ("", (200, 1000)),
            ("recipients_per_hour = 5000", (5000, 5000)),
            ("recipients_per_hour = 20", (20, 1000)),
            ("recipients_per_day = 50", (50, 50)),
            ("recipients_per_hour = 20\nrecipients_per_day = 30", (20, 30)),
        ] {
            let spec = crate::parse(&format!("{REST}{mail}")).unwrap();
            let found = (spec.mail.recipients_per_hour, spec.mail.recipients_per_day);
            assert_eq!(found, wanted, "{mail}");
        }
        for (mail, reason) in [
            ("recipients_per_hour = 0", "from 1 to 1000000"),
            ("recipients_per_day = 1000001", "from 1 to 1000000"),
            ("recipients_per_hour = 20\nrecipients_per_day = 10", "20 in an hour, 10 in a day"),
        ] {
            let refused = crate::parse(&format!("{REST}{mail}")).unwrap_err();
            assert!(format!("{refused:?}").contains(reason), "{mail}: {refused:?}");
        }
    }
}
