//! Certificates that do not come: what the ACME client wrote down, told to those who can help.
//!
//! In: its `state.json`, one for each certificate. Out: after three days a warning for console and health, and a message to the
//! administrator, once a week. The client itself cannot send mail: it has no account, and needs none.

use std::fmt;
use std::fs;
use std::path::Path;

use mailkiln_store::durable;
use time::OffsetDateTime;

use crate::appliance::Appliance;
use crate::layout::Layout;
use crate::notice::{self, Notice, NoticeError};

const DAY: i64 = 24 * 60 * 60;
/// Attempts fail for many reasons that pass by themselves.
const PATIENCE: i64 = 3 * DAY;
const AGAIN: i64 = 7 * DAY;
/// What of an authority's own words goes into a line.
const LONGEST: usize = 300;

/// Attempts that have failed for at least three days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Whole days.
    pub days: i64,
    /// What went wrong last, in one line.
    pub reason: String,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, reason } = self;
        write!(f, "no certificate for {days} days: {reason}; see `mailkiln-acme status`")
    }
}

/// What the client wrote down of the certificate that it has waited for longest; `None` while all is well, or
/// where there is no client.
pub fn failing(layout: &Layout, appliance: &Appliance, now: OffsetDateTime) -> Option<Failing> {
    let of = |path: &Path| parse(&fs::read_to_string(path).ok()?, now.unix_timestamp());
    let further = appliance.certificates.iter().filter_map(|name| {
        let found = of(&layout.further_acme_state(name))?;
        Some(Failing { reason: format!("{name}: {}", found.reason), ..found })
    });
    of(&layout.acme_state())
        .into_iter()
        .chain(further)
        .reduce(|longest, other| if other.days > longest.days { other } else { longest })
}

/// Reads the text of `state.json` at the time `now`, seconds since 1970.
pub fn parse(text: &str, now: i64) -> Option<Failing> {
    #[derive(serde::Deserialize)]
    struct State {
        failing: Option<Attempts>,
    }
    #[derive(serde::Deserialize)]
    struct Attempts {
        since: i64,
        reason: String,
    }
    let attempts = serde_json::from_str::<State>(text).ok()?.failing?;
    let age = now.saturating_sub(attempts.since);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let reason = attempts.reason.chars().map(clean).take(LONGEST).collect();
    (age >= PATIENCE).then_some(Failing { days: age / DAY, reason })
}

/// Sends the message when it is due.
///
/// # Errors
/// [`NoticeError`]; then it is due still.
pub fn tell_the_administrator(layout: &Layout, appliance: &Appliance) -> Result<(), NoticeError> {
    let now = OffsetDateTime::now_utc();
    let notice = layout.renewal_notice();
    let Some(failing) = failing(layout, appliance, now) else {
        if notice.exists() {
            durable::remove(&notice)?;
        }
        return Ok(());
    };
    let told = fs::read_to_string(&notice).ok().and_then(|text| text.trim().parse::<i64>().ok());
    if told.is_some_and(|told| (0..AGAIN).contains(&(now.unix_timestamp() - told))) {
        return Ok(());
    }
    send(layout, appliance, &failing, now)?;
    // After it: rather two messages than none.
    durable::write(&notice, now.unix_timestamp().to_string().as_bytes(), 0o644, None)?;
    Ok(())
}

fn send(
    layout: &Layout,
    appliance: &Appliance,
    failing: &Failing,
    now: OffsetDateTime,
) -> Result<(), NoticeError> {
    let subject = format!("{} gets no certificate", appliance.host);
    let body = body(appliance, failing);
    let notice = Notice { recipient: &appliance.postmaster, subject: &subject, body: &body };
    notice::send(layout, appliance, &notice, now)
}

fn body(appliance: &Appliance, failing: &Failing) -> String {
    let host = &appliance.host;
    format!(
        "{host} has not been able to get a certificate for {days} days:\r\n\
         \r\n\
         {reason}\r\n\
         \r\n\
         Once the certificate in use expires, mail programs and other servers will refuse\r\n\
         to talk to it. It goes on trying. `mailkiln-acme status` on the machine says more;\r\n\
         `mailkiln-acme renew` tries at once.\r\n",
        days = failing.days,
        reason = failing.reason,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::tests::example;

    #[test]
    fn three_days_and_not_before() {
        let text = r#"{"failing": {"since": 1000, "reason": "no\nway", "next": 5}, "order": null}"#;
        assert_eq!(parse(text, 1000 + PATIENCE - 1), None);
        let found = parse(text, 1000 + PATIENCE).unwrap();
        assert_eq!(found, Failing { days: 3, reason: "no way".to_owned() });
        assert!(found.to_string().contains("no certificate for 3 days: no way"));
        assert_eq!(parse(r#"{"failing": null}"#, 9_000_000), None);
        assert_eq!(parse("half", 9_000_000), None);
        assert_eq!(parse(text, i64::MIN), None);
    }

    #[test]
    fn a_domain_that_gets_no_certificate_is_named() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let name = crate::appliance::DomainName::try_from("example.net".to_owned()).unwrap();
        let appliance = Appliance { certificates: vec![name.clone()], ..example() };
        let now = OffsetDateTime::from_unix_timestamp(1000 + 4 * DAY).unwrap();
        let write = |path: std::path::PathBuf, since: i64| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!(r#"{{"failing": {{"since": {since}, "reason": "no"}}}}"#))
                .unwrap();
        };
        assert_eq!(failing(&layout, &appliance, now), None);
        write(layout.further_acme_state(&name), 1000);
        let found = failing(&layout, &appliance, now).unwrap();
        assert_eq!(found, Failing { days: 4, reason: "example.net: no".to_owned() });
        write(layout.acme_state(), 1000);
        assert_eq!(failing(&layout, &appliance, now).unwrap().reason, "no", "the host comes first");
        assert_eq!(failing(&layout, &example(), now).unwrap().days, 4);
    }

    #[test]
    fn the_message_names_the_reason() {
        let failing = Failing { days: 4, reason: "the authority is away".to_owned() };
        let text = body(&example(), &failing);
        assert!(text.contains("for 4 days") && text.contains("the authority is away"));
        assert!(text.split("\r\n").all(|line| !line.contains('\n')));
    }

    #[test]
    fn nothing_is_sent_while_all_is_well_and_the_notice_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        fs::create_dir_all(layout.state()).unwrap();
        fs::write(layout.renewal_notice(), "5").unwrap();
        tell_the_administrator(&layout, &example()).unwrap();
        assert!(!layout.renewal_notice().exists());
    }
}
