//! The rules of `mail.toml`: tables as written in, the checked model out.
//!
//! One file per table or pair of tables. A rule reports every flaw it sees and gives up only on the
//! value that has it, so that all tables are judged in one run.

mod accounts;
mod acme;
mod build;
mod filter;
mod host;
mod limits;
mod network;
mod relay;
mod ssh;
#[cfg(test)]
mod tests;
mod web;

pub use network::{DEFAULT_INTERFACE, static_network};

use std::ops::Range;
use std::str::FromStr;

use crate::document::{Located, parse_table, read_table};
use crate::file::{MailToml, Text};
use crate::fragment::{FragmentRule, fill_in};
use crate::model::{Build, Spec};
use crate::problem::{Flaw, Problems, Reported, SpecErrors};

/// Reads and checks the text of a `mail.toml`.
///
/// # Errors
///
/// Everything that is wrong with it, in file order, each with its place, its reason and its cure.
pub fn parse(text: &str) -> Result<Spec, SpecErrors> {
    let mut problems = Problems::default();
    let spec = parse_table(text, &mut problems).and_then(|mut table| {
        fill_in(&mut table);
        judge(read_table(text, table, &mut problems)?, &mut problems)
    });
    let waiting = |spec: Spec| Spec { is_waiting: spec.fragment == FragmentRule::Required, ..spec };
    problems.finish(spec.map(waiting))
}

pub(crate) fn judge(file: MailToml, problems: &mut Problems) -> Result<Spec, Reported> {
    // Every table is judged before the first refusal ends it all.
    let host = host::judge(file.host, problems);
    let network = network::judge(file.network, problems);
    let rule = file.first_boot.and_then(|table| table.value.fragment).map(|rule| rule.value);
    let fragment = rule.map(FragmentRule::from).unwrap_or_default();
    let ssh = ssh::judge(file.ssh, fragment == FragmentRule::Required, problems);
    let people = accounts::judge(file.domain, file.account, problems);
    let relay = relay::judge(file.relay, network.as_ref().is_ok_and(|it| it.ipv6), problems);
    let mail = limits::judge_mail(file.mail, people.as_ref().ok(), problems);
    let spam = limits::judge_spam(file.spam, problems);
    let filter = filter::judge(file.filter, problems);
    let build = build::judge(file.build, problems);
    let proof = web::proof_on_its_port(file.acme.as_ref());
    let web = web::judge(file.web, proof, problems);
    let acme = acme::judge(file.acme, people.as_ref().ok(), mail.as_ref().ok(), problems);
    let accounts::People { domains, accounts } = people?;
    let Build { mirror, units } = build?;
    Ok(Spec {
        host: host?,
        network: network?,
        ssh: ssh?,
        domains,
        accounts,
        relay: relay?,
        mail: mail?,
        spam: spam?,
        acme: acme?,
        filter: filter?,
        web: web?,
        fragment,
        is_waiting: false,
        mirror,
        units,
    })
}

/// A table and where it stands; an absent one is empty and nowhere.
fn table_or_empty<T: Default>(table: Option<Located<T>>) -> (T, Range<usize>) {
    table.map_or_else(|| (T::default(), 0..0), |table| (table.value, table.span))
}

/// A value that must be there.
fn needed<'a, T>(
    value: Option<&'a Located<T>>,
    table: &Range<usize>,
    key: &str,
    problems: &mut Problems,
) -> Result<&'a Located<T>, Reported> {
    value.ok_or_else(|| problems.absent(table, key))
}

/// Text as a `T`, or its flaw at its place.
pub(crate) fn parsed<T: FromStr<Err = Flaw>>(
    text: &Text,
    problems: &mut Problems,
) -> Result<T, Reported> {
    problems.check(&text.span, text.value.parse())
}

/// Every entry of a list through `judge`; one bad entry spoils the list, after all were judged.
pub(crate) fn each<T, U>(
    list: Option<Vec<Located<T>>>,
    mut judge: impl FnMut(Located<T>) -> Result<U, Reported>,
) -> Result<Vec<U>, Reported> {
    let judged: Vec<_> = list.into_iter().flatten().map(&mut judge).collect();
    judged.into_iter().collect()
}

/// A TCP port other than 0.
fn port(port: &Located<i64>, problems: &mut Problems) -> Result<u16, Reported> {
    let number = u16::try_from(port.value).ok().filter(|number| *number != 0);
    let flaw = || {
        Flaw::new(
            format!("{} is not a port", port.value),
            "out of range",
            "a port is between 1 and 65535",
        )
    };
    problems.check(&port.span, number.ok_or_else(flaw))
}
