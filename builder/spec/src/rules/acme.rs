//! `[acme]`.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::accounts::People;
use super::{each, parsed};
use crate::address::Address;
use crate::document::Located;
use crate::domain_name::DomainName;
use crate::file::{AcmeChallengeValue, AcmeDnsValue, AcmeKeyValue, AcmeTable, Text};
use crate::model::{Acme, AcmeChallenge, AcmeDns, AcmeKey, DnsCompany, MailSettings, WEB_LABELS};
use crate::problem::{Flaw, Problem, Problems, Reported, shown};

/// <https://letsencrypt.org/docs/acme-protocol-updates/>
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Seconds; name servers that take longer than an hour have no use here.
const USUAL_WAIT: u32 = 30;
const LONGEST_WAIT: i64 = 3600;
/// Let's Encrypt gives certificates for at most this many names.
const MOST_NAMES: usize = 100;
/// Extra names that fit any certificate, whatever they lie in: beside the host's and those of its domain.
const MOST_EXTRA: usize = MOST_NAMES - 1 - WEB_LABELS.len();
/// DER of a certificate begins so: a SEQUENCE whose length takes two bytes.
const CERTIFICATE: [u8; 2] = [0x30, 0x82];

pub(super) fn judge(
    table: Option<Located<AcmeTable>>,
    people: Option<&People>,
    mail: Option<&MailSettings>,
    problems: &mut Problems,
) -> Result<Option<Acme>, Reported> {
    let (table, span) = match table {
        Some(Located { value, span }) => (value, span),
        None => (AcmeTable::default(), 0..0),
    };
    let enabled = table.enable.as_ref().is_none_or(|enable| enable.value);
    let directory = match &table.directory {
        Some(text) => problems.check(&text.span, url(&text.value)),
        None => Ok(LETS_ENCRYPT.to_owned()),
    };
    let contact: Result<Address, Reported> = match (&table.contact, mail) {
        (Some(text), _) => parsed(text, problems),
        (None, Some(mail)) => Ok(mail.postmaster.clone()),
        (None, None) => Err(problems.absent(&span, "acme.contact")),
    };
    let profile = word(table.profile.as_ref(), "acme.profile", problems);
    let eab_key_id = word(table.eab_key_id.as_ref(), "acme.eab_key_id", problems);
    let challenge = challenge(&table, &span, people, problems);
    let roots = each(table.roots, |text| problems.check(&text.span, root(&text.value)));
    let names = names(table.names, problems);
    let acme = Acme {
        directory: directory?,
        contact: contact?,
        key: match table.key.map(|key| key.value) {
            None | Some(AcmeKeyValue::EcdsaP256) => AcmeKey::EcdsaP256,
            Some(AcmeKeyValue::Rsa2048) => AcmeKey::Rsa2048,
            Some(AcmeKeyValue::Rsa4096) => AcmeKey::Rsa4096,
        },
        profile: profile?,
        eab_key_id: eab_key_id?,
        roots: roots?,
        challenge: challenge?,
        names: names?,
        keep_key: table.keep_key.is_none_or(|keep| keep.value),
    };
    Ok(enabled.then_some(acme))
}

/// Each domain has a certificate of its own, so that only these can be too many for one.
fn names(list: Option<Vec<Text>>, problems: &mut Problems) -> Result<Vec<DomainName>, Reported> {
    if let Some(text) = list.as_ref().and_then(|list| list.get(MOST_EXTRA)) {
        let flaw = Flaw::new(
            "a certificate would have too many names",
            format!("authorities give at most {MOST_NAMES}"),
            format!("keep at most {MOST_EXTRA} in `acme.names`"),
        );
        return Err(problems.add(flaw.at(&text.span)));
    }
    each(list, |text| parsed(&text, problems))
}

fn url(text: &str) -> Result<String, Flaw> {
    let fine = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c);
    match text.strip_prefix("https://") {
        Some(rest)
            if !rest.is_empty() && !rest.starts_with(['/', ':']) && rest.chars().all(fine) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(Flaw::new(
            format!("`{}` is not the URL of a directory", shown(text)),
            "it must start with `https://`",
            format!("write the authority's directory, such as `{LETS_ENCRYPT}`"),
        )),
    }
}

/// Printable ASCII without blanks.
fn word(
    text: Option<&Text>,
    key: &str,
    problems: &mut Problems,
) -> Result<Option<String>, Reported> {
    let Some(text) = text else { return Ok(None) };
    let fine = (1..=200).contains(&text.value.len())
        && text.value.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    let flaw = || {
        Flaw::new(
            format!("`{key}` can't be \"{}\"", shown(&text.value)),
            "it must be one word of ASCII",
            "write it as the authority shows it, or take the key out",
        )
    };
    problems.check(&text.span, fine.then(|| Some(text.value.clone())).ok_or_else(flaw))
}

fn root(text: &str) -> Result<Vec<u8>, Flaw> {
    match STANDARD.decode(text) {
        Ok(der) if der.starts_with(&CERTIFICATE) => Ok(der),
        _ => Err(Flaw::new(
            "this is not a root certificate",
            "it must be the base64 of its DER",
            "write what `openssl x509 -in root.pem -outform der | base64 -w0` prints",
        )),
    }
}

fn challenge(
    table: &AcmeTable,
    span: &Range<usize>,
    people: Option<&People>,
    problems: &mut Problems,
) -> Result<AcmeChallenge, Reported> {
    if let Some(reported) = problems.of_taken_out("acme.challenge") {
        return Err(reported);
    }
    let kind = table.challenge.as_ref().map_or(AcmeChallengeValue::Http01, |it| it.value);
    if kind != AcmeChallengeValue::Dns01 {
        only_with_dns(table, problems)?;
    }
    match kind {
        AcmeChallengeValue::Http01 => Ok(AcmeChallenge::Http01),
        AcmeChallengeValue::TlsAlpn01 => Ok(AcmeChallenge::TlsAlpn01),
        AcmeChallengeValue::Dns01 => dns(table, span, people, problems),
    }
}

/// Keys that mean nothing with another challenge.
fn only_with_dns(table: &AcmeTable, problems: &mut Problems) -> Result<(), Reported> {
    let stray = [
        table.dns_provider.as_ref().map(|it| ("dns_provider", &it.span)),
        table.dns_server.as_ref().map(|it| ("dns_server", &it.span)),
        table.dns_key_name.as_ref().map(|it| ("dns_key_name", &it.span)),
        table.dns_wait.as_ref().map(|it| ("dns_wait", &it.span)),
        table.dns_zones.iter().flatten().next().map(|it| ("dns_zones", &it.span)),
    ];
    let cure = "write `challenge = \"dns-01\"`, or take it out";
    without_effect(stray, "the challenge dns-01", cure, problems)
}

/// Keys that mean nothing to a company, which is known by its name.
fn only_with_rfc2136(table: &AcmeTable, problems: &mut Problems) -> Result<(), Reported> {
    let stray = [
        table.dns_server.as_ref().map(|it| ("dns_server", &it.span)),
        table.dns_key_name.as_ref().map(|it| ("dns_key_name", &it.span)),
    ];
    let cure = "write `dns_provider = \"rfc2136\"`, or take it out";
    without_effect(stray, "name servers that take signed updates", cure, problems)
}

fn without_effect<'a>(
    keys: impl IntoIterator<Item = Option<(&'static str, &'a Range<usize>)>>,
    of: &str,
    cure: &str,
    problems: &mut Problems,
) -> Result<(), Reported> {
    let mut outcome = Ok(());
    for (key, span) in keys.into_iter().flatten() {
        let flaw =
            Flaw::new(format!("`acme.{key}` is only for {of}"), "it would have no effect", cure);
        outcome = Err(problems.add(flaw.at(span)));
    }
    outcome
}

fn dns(
    table: &AcmeTable,
    span: &Range<usize>,
    people: Option<&People>,
    problems: &mut Problems,
) -> Result<AcmeChallenge, Reported> {
    let span = table.challenge.as_ref().map_or(span, |challenge| &challenge.span);
    let needs = |key: &str, help: &str| {
        let message = format!("the challenge dns-01 needs `acme.{key}`");
        Flaw::new(message, "it is missing", help).at(span)
    };
    let wait = match &table.dns_wait {
        None => Ok(USUAL_WAIT),
        Some(wait) => {
            let seconds = u32::try_from(wait.value).ok().filter(|_| wait.value <= LONGEST_WAIT);
            let flaw = Flaw::new(
                "`acme.dns_wait` is out of range",
                "seconds, from 0 to 3600",
                "write `dns_wait = 30`",
            );
            problems.check(&wait.span, seconds.ok_or(flaw))
        }
    };
    let provider = match table.dns_provider.as_ref() {
        None => {
            let help = "add `dns_provider = \"rfc2136\"`, a company such as `\"cloudflare\"`, or `\"exec\"`";
            Err(problems.missing("acme.dns_provider", needs("dns_provider", help)))
        }
        Some(provider) => match company(provider.value) {
            Some(company) => only_with_rfc2136(table, problems).and_then(|()| {
                Ok(AcmeDns::Company { company, zones: zones(table, people, problems)? })
            }),
            None if provider.value == AcmeDnsValue::Exec => Ok(AcmeDns::Exec),
            None => rfc2136(table, &needs, people, problems),
        },
    };
    Ok(AcmeChallenge::Dns01 { provider: provider?, wait: wait? })
}

fn rfc2136(
    table: &AcmeTable,
    needs: &dyn Fn(&str, &str) -> Problem,
    people: Option<&People>,
    problems: &mut Problems,
) -> Result<AcmeDns, Reported> {
    let server = match &table.dns_server {
        Some(text) => problems.check(&text.span, server(&text.value)),
        None => {
            let problem = needs("dns_server", "add `dns_server = \"192.0.2.53\"`");
            Err(problems.missing("acme.dns_server", problem))
        }
    };
    let name = word(table.dns_key_name.as_ref(), "acme.dns_key_name", problems);
    let key_name = name.and_then(|name| {
        let help = "add `dns_key_name = \"acme\"`, the name of the TSIG key";
        name.ok_or_else(|| problems.missing("acme.dns_key_name", needs("dns_key_name", help)))
    });
    let zones = zones(table, people, problems);
    Ok(AcmeDns::Rfc2136 { server: server?, key_name: key_name?, zones: zones? })
}

/// The mail domains, unless the table names others.
fn zones(
    table: &AcmeTable,
    people: Option<&People>,
    problems: &mut Problems,
) -> Result<Vec<DomainName>, Reported> {
    let zones = each(table.dns_zones.clone(), |text| parsed(&text, problems))?;
    Ok(match people {
        Some(people) if zones.is_empty() => {
            people.domains.iter().map(|it| it.name.clone()).collect()
        }
        _ => zones,
    })
}

fn company(provider: AcmeDnsValue) -> Option<DnsCompany> {
    Some(match provider {
        AcmeDnsValue::Rfc2136 | AcmeDnsValue::Exec => return None,
        AcmeDnsValue::Bunny => DnsCompany::Bunny,
        AcmeDnsValue::Cloudflare => DnsCompany::Cloudflare,
        AcmeDnsValue::Desec => DnsCompany::Desec,
        AcmeDnsValue::DigitalOcean => DnsCompany::DigitalOcean,
        AcmeDnsValue::Dnsimple => DnsCompany::Dnsimple,
        AcmeDnsValue::Ovh => DnsCompany::Ovh,
        AcmeDnsValue::Porkbun => DnsCompany::Porkbun,
        AcmeDnsValue::Route53 => DnsCompany::Route53,
        AcmeDnsValue::Spaceship => DnsCompany::Spaceship,
    })
}

fn server(text: &str) -> Result<SocketAddr, Flaw> {
    let with_port = text.parse().ok();
    let found = with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53)));
    found.ok_or_else(|| {
        Flaw::new(
            format!("`{}` is not the address of a name server", shown(text)),
            "a name would have to be looked up first",
            "write its address: `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:53`",
        )
    })
}
