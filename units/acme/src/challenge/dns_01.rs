//! dns-01 (RFC 8555 section 8.4): a TXT record at `_acme-challenge.NAME`.
//!
//! It gets there by an update of the zone's primary name server (RFC 2136) signed with a shared key
//! (RFC 8945), through the interface of a company, or by a program of the administrator's.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_net::client::{Client, ClientHandle as _};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::xfer::DnsMultiplexer;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name as DnsName, RData, Record, RecordSet, TSigner};
use mailkiln_store::journal;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{ChallengeError, Proof, company};
use crate::layout::Layout;
use crate::settings::{Name, Provider};

/// Name of the credential.
const KEY: &str = "acme-dns-key";
/// How long resolvers keep the record, in seconds.
const TTL: u32 = 60;
/// Clocks of two machines may differ by so many seconds (RFC 8945 section 10).
const FUDGE: u16 = 300;
const TIME: Duration = Duration::from_secs(30);
/// A provider's own interface may be slow.
const HOOK_TIME: Duration = Duration::from_secs(120);

/// Records that are in the DNS, until they are removed.
#[derive(Debug)]
pub struct Records {
    provider: Provider,
    /// Name and value.
    there: BTreeSet<(Name, String)>,
}

/// What happens to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Present,
    Remove,
}

impl Records {
    /// Publishes all, and waits until every name server has them.
    ///
    /// # Errors
    /// [`ChallengeError`] with the first that could not be published; the others are removed.
    pub async fn publish(
        provider: &Provider,
        wait: u32,
        proofs: &[Proof],
    ) -> Result<Self, ChallengeError> {
        let mut records = Self { provider: provider.clone(), there: BTreeSet::new() };
        for proof in proofs {
            let record = (proof.name.clone(), proof.dns_value.clone());
            if let Err(error) = change(provider, Step::Present, &record).await {
                records.remove().await;
                return Err(error);
            }
            records.there.insert(record);
        }
        if !proofs.is_empty() {
            sleep(Duration::from_secs(u64::from(wait))).await;
        }
        Ok(records)
    }

    /// Removes all.
    pub async fn remove(self) {
        for record in &self.there {
            if let Err(error) = change(&self.provider, Step::Remove, record).await {
                journal::warn(&format!("a record that has served its purpose stays: {error}"));
            }
        }
    }
}

async fn change(
    provider: &Provider,
    step: Step,
    (name, value): &(Name, String),
) -> Result<(), ChallengeError> {
    let record = format!("_acme-challenge.{name}");
    match provider {
        Provider::Rfc2136 { server, key_name, zones } => {
            let zone = zone(zones, name)?;
            let key = Layout::credential(KEY).ok_or(ChallengeError::NoKey)?;
            let key = STANDARD.decode(key.trim()).map_err(|_| ChallengeError::Key)?;
            let failed =
                |reason| ChallengeError::Update { server: *server, name: record.clone(), reason };
            let update = update(*server, key_name, key, zone, &record, value, step);
            match timeout(TIME, update).await {
                Ok(done) => done.map_err(failed),
                Err(_) => Err(failed("no answer".to_owned())),
            }
        }
        Provider::Company { company, zones } => {
            let zone = zone(zones, name)?;
            let secret = Layout::credential(KEY).ok_or(ChallengeError::NoKey)?;
            company::change(*company, &secret, zone, &record, value, step).await
        }
        Provider::Exec { program } => run_hook(program, step, &record, value).await,
    }
}

/// The zone that holds the name: the longest that fits.
fn zone<'a>(zones: &'a [Name], name: &Name) -> Result<&'a Name, ChallengeError> {
    let holds = |zone: &&Name| name == *zone || name.as_str().ends_with(&format!(".{zone}"));
    let longest = zones.iter().filter(holds).max_by_key(|zone| zone.as_str().len());
    longest.ok_or_else(|| ChallengeError::NoZone(name.clone()))
}

/// One signed update, over TCP: a signed answer may not fit into a datagram.
async fn update(
    server: SocketAddr,
    key_name: &str,
    key: Vec<u8>,
    zone: &Name,
    record: &str,
    value: &str,
    step: Step,
) -> Result<(), String> {
    fn text(error: impl std::fmt::Display) -> String {
        error.to_string()
    }
    let absolute = |name: &str| DnsName::from_ascii(format!("{name}.")).map_err(text);
    let signer = TSigner::new(key, TsigAlgorithm::HmacSha256, absolute(key_name)?, FUDGE);
    let signer = signer.map_err(text)?;
    let (stream, sender) = TcpClientStream::new(server, None, None, TokioRuntimeProvider::new());
    let stream = stream.await.map_err(text)?;
    let multiplexer = DnsMultiplexer::new(stream, sender).with_signer(signer);
    let (mut client, background) = Client::<TokioRuntimeProvider>::from_sender(multiplexer);
    let background = tokio::spawn(background);
    let (name, zone) = (absolute(record)?, absolute(zone.as_str())?);
    let data = RData::TXT(TXT::new(vec![value.to_owned()]));
    let set = RecordSet::from(Record::from_rdata(name, TTL, data));
    let answer = match step {
        Step::Present => client.append(set, zone, false).await,
        Step::Remove => client.delete_by_rdata(set, zone).await,
    };
    background.abort();
    match answer.map_err(text)?.response_code {
        ResponseCode::NoError => Ok(()),
        code => Err(code.to_string()),
    }
}

async fn run_hook(
    program: &Path,
    step: Step,
    record: &str,
    value: &str,
) -> Result<(), ChallengeError> {
    let step = if step == Step::Present { "present" } else { "remove" };
    let failed = |reason: String| ChallengeError::Hook {
        program: program.to_owned(),
        step,
        name: record.to_owned(),
        reason,
    };
    let mut command = Command::new(program);
    command.args([step, record, value]).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(HOOK_TIME, command.output()).await {
        Err(_) => Err(failed("it did not end within two minutes".to_owned())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default().chars().take(200);
            Err(failed(format!("{}: {}", output.status, last.collect::<String>())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_zone_that_holds_the_name() {
        let name = |text: &str| Name::try_from(text.to_owned()).unwrap();
        let zones = [name("example.org"), name("mail.example.org"), name("ample.org")];
        let found = |of: &str| zone(&zones, &name(of)).ok().map(ToString::to_string);
        assert_eq!(found("mta-sts.example.org").as_deref(), Some("example.org"));
        assert_eq!(found("a.mail.example.org").as_deref(), Some("mail.example.org"));
        assert_eq!(found("example.org").as_deref(), Some("example.org"));
        assert_eq!(found("example.net"), None);
    }
}
