//! `[filter]` and `[domain.filter]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::relay::private;
use super::{limits, table_or_empty};
use crate::document::Located;
use crate::file::{ActionValue, ActionsTable, FilterTable, OnFailureValue, Text};
use crate::filter::{
    ClamAv, Filter, FilterAction, FilterActions, FilterClass, OnFailure, RuleSource,
};
use crate::problem::{Flaw, Problems, Reported, shown};

/// Days that make sense; what is kept for longer is an archive, which a quarantine is not.
const DAYS: RangeInclusive<i64> = 1..=365;
const USUAL_DAYS: u32 = 30;
/// Bytes that make sense: a message of the largest size must find room.
const SIZES: RangeInclusive<u64> = 64 << 20..=1 << 40;
const USUAL_SIZE: u64 = 1 << 30;
/// Characters of 32 bytes in base64.
const KEY_LENGTH: usize = 44;

pub(super) fn judge(
    table: Option<Located<FilterTable>>,
    problems: &mut Problems,
) -> Result<Option<Filter>, Reported> {
    let (table, _) = table_or_empty(table);
    let on_failure = match table.on_failure.map(|it| it.value) {
        None | Some(OnFailureValue::Defer) => OnFailure::Defer,
        Some(OnFailureValue::Pass) => OnFailure::Pass,
    };
    let quarantine_days = match &table.quarantine_days {
        Some(days) => problems.check(&days.span, self::days(days.value)),
        None => Ok(USUAL_DAYS),
    };
    let quarantine_size = match &table.quarantine_size {
        Some(size) => limits::bytes(size, SIZES, "the quarantine", problems),
        None => Ok(USUAL_SIZE),
    };
    let clamav = clamav(table.clamav, table.clamd, problems);
    let rules = rules(table.rules_url, table.rules_key, problems);
    let mut actions: FilterActions =
        FilterClass::ALL.into_iter().map(|(class, _, usual)| (class, usual)).collect();
    if let Some(table) = table.actions {
        actions.extend(self::actions(&table.value));
    }
    let filter = Filter {
        on_failure,
        quarantine_days: quarantine_days?,
        quarantine_size: quarantine_size?,
        digest: table.digest.is_none_or(|it| it.value),
        rules: rules?,
        clamav: clamav?,
        actions,
    };
    Ok(table.enable.is_none_or(|it| it.value).then_some(filter))
}

/// The actions that a table names.
pub(super) fn actions(table: &ActionsTable) -> FilterActions {
    let named = [
        (FilterClass::Malware, &table.malware),
        (FilterClass::Executable, &table.executable),
        (FilterClass::Script, &table.script),
        (FilterClass::Shortcut, &table.shortcut),
        (FilterClass::DeceptiveName, &table.deceptive_name),
        (FilterClass::HtmlSmuggling, &table.html_smuggling),
        (FilterClass::AutoMacro, &table.auto_macro),
        (FilterClass::ActiveDocument, &table.active_document),
        (FilterClass::Limit, &table.limit),
        (FilterClass::Ambiguous, &table.ambiguous),
        (FilterClass::Macro, &table.r#macro),
        (FilterClass::EncryptedArchive, &table.encrypted_archive),
        (FilterClass::Damaged, &table.damaged),
        (FilterClass::Opaque, &table.opaque),
    ];
    let action = |value: ActionValue| match value {
        ActionValue::Pass => FilterAction::Pass,
        ActionValue::Mark => FilterAction::Mark,
        ActionValue::Strip => FilterAction::Strip,
        ActionValue::Quarantine => FilterAction::Quarantine,
        ActionValue::Reject => FilterAction::Reject,
    };
    let said = |(class, value): (FilterClass, &Option<Located<ActionValue>>)| {
        value.as_ref().map(|value| (class, action(value.value)))
    };
    named.into_iter().filter_map(said).collect()
}

fn days(days: i64) -> Result<u32, Flaw> {
    let number = u32::try_from(days).ok().filter(|_| DAYS.contains(&days));
    number.ok_or_else(|| {
        Flaw::new(
            format!("a message can't stay in the quarantine for {days} days"),
            "out of range",
            "write a number between 1 and 365, such as 30",
        )
    })
}

/// One here, one elsewhere, or none.
fn clamav(
    here: Option<Located<bool>>,
    elsewhere: Option<Text>,
    problems: &mut Problems,
) -> Result<Option<ClamAv>, Reported> {
    let here = here.is_some_and(|it| it.value);
    match elsewhere {
        Some(text) if here => Err(problems.add(two_clamavs().at(&text.span))),
        Some(text) => problems.check(&text.span, clamd(&text.value)).map(|it| Some(ClamAv::At(it))),
        None => Ok(here.then_some(ClamAv::Here)),
    }
}

fn two_clamavs() -> Flaw {
    Flaw::new(
        "`filter.clamd` beside `filter.clamav`",
        "one ClamAV is asked: the one of the appliance, or this one",
        "take one of the two out",
    )
}

/// Messages travel to it unprotected.
fn clamd(text: &str) -> Result<SocketAddr, Flaw> {
    let address = text.parse::<SocketAddr>().ok().filter(|it| it.port() != 0);
    let inside = |it: &SocketAddr| private(&it.ip().to_string()) && !it.ip().is_loopback();
    address.filter(inside).ok_or_else(|| {
        Flaw::new(
            format!("`{}` can't be a ClamAV", shown(text)),
            "not a private IP address with a port; mail travels there unprotected",
            "write it like `10.0.0.5:3310`",
        )
    })
}

/// An address and a key, or neither.
fn rules(
    url: Option<Text>,
    key: Option<Text>,
    problems: &mut Problems,
) -> Result<Option<RuleSource>, Reported> {
    let (url, key) = match (url, key) {
        (None, None) => return Ok(None),
        (Some(url), Some(key)) => (url, key),
        (Some(alone), None) => {
            return Err(problems.missing("filter.rules_key", unsigned().at(&alone.span)));
        }
        (None, Some(alone)) => {
            return Err(problems.missing("filter.rules_url", nowhere().at(&alone.span)));
        }
    };
    let address = problems.check(&url.span, address(&url.value));
    let signer = problems.check(&key.span, signer(&key.value));
    Ok(Some(RuleSource { url: address?, key: signer? }))
}

fn unsigned() -> Flaw {
    Flaw::new(
        "`filter.rules_url` without `rules_key`",
        "unsigned rules could switch the filter off",
        "add `rules_key`, the Ed25519 key of who publishes them, or take this out",
    )
}

fn nowhere() -> Flaw {
    Flaw::new(
        "`filter.rules_key` without `rules_url`",
        "there is nothing that it would sign",
        "add `rules_url`, or take this out",
    )
}

fn address(url: &str) -> Result<String, Flaw> {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let clean = url.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}?#".contains(c));
    if host.is_empty() || host.contains('@') || host.len() == rest.len() || !clean {
        return Err(Flaw::new(
            format!("`{}` can't be the address of rules", shown(url)),
            "not an https address of a file, without login and query",
            "write it like `https://rules.example.net/mail.yar`",
        ));
    }
    Ok(url.to_owned())
}

/// 32 bytes in base64: 43 characters and one `=`.
fn signer(key: &str) -> Result<String, Flaw> {
    let digits = key.strip_suffix('=').unwrap_or_default();
    let base64 = digits.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/'));
    if key.len() != KEY_LENGTH || digits.len() + 1 != KEY_LENGTH || !base64 {
        return Err(Flaw::new(
            "`filter.rules_key` is not an Ed25519 key",
            "not 32 bytes in base64, which are 44 characters",
            "write the public key that is published beside the rules",
        ));
    }
    Ok(key.to_owned())
}
