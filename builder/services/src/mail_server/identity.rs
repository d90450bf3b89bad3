//! Who a message is from: what is checked when it comes in, and the signatures on what goes out.

use mailkiln_spec::{DomainName, Spec};

use super::inbound::FROM_SERVERS;
use super::secret;
use super::settings::{Section, Value, constant, when};

/// A kind of DKIM key. The selector is the same in every domain: `rsa._domainkey.example.org`.
pub(super) struct Algorithm {
    pub(super) selector: &'static str,
    name: &'static str,
}

/// RFC 8463: sign with both, since many receivers know only RSA.
pub(super) const ALGORITHMS: [Algorithm; 2] = [RSA, ED25519];
const RSA: Algorithm = Algorithm { selector: "rsa", name: "rsa-sha256" };
const ED25519: Algorithm = Algorithm { selector: "ed25519", name: "ed25519-sha256" };

/// RFC 6376 section 5.4.1: what a reader sees or acts upon. What is there twice can't be added to
/// a signed message either (section 8.15): readers would show the first.
const SIGNED_HEADERS: [&str; 15] = [
    "From",
    "From",
    "To",
    "To",
    "Cc",
    "Date",
    "Date",
    "Subject",
    "Subject",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
];

/// Longest time a signature is good for. Senders try for five days (`outbound::schedules`).
const SIGNATURE_LIFE: &str = "7d";

pub(super) fn sections(spec: &Spec) -> Vec<Section> {
    let mut sections = checks().to_vec();
    sections.push(dkim(spec));
    sections.push(arc(spec));
    for domain in &spec.domains {
        sections.extend(ALGORITHMS.iter().map(|algorithm| signature(algorithm, &domain.name)));
    }
    sections
}

fn checks() -> [Section; 3] {
    [
        Section::new("auth.iprev", "Results go into Authentication-Results and the spam score.")
            .set("verify", when(FROM_SERVERS, "relaxed", "disable")),
        Section::new("auth.spf.verify", "")
            .set("ehlo", when(FROM_SERVERS, "relaxed", "disable"))
            .set("mail-from", when(FROM_SERVERS, "relaxed", "disable")),
        Section::new(
            "auth.dmarc",
            "A domain that asks for it (`p=reject`) has its forgeries refused.",
        )
        .set("verify", when(FROM_SERVERS, "strict", "disable")),
    ]
}

fn dkim(spec: &Spec) -> Section {
    let rules = spec
        .domains
        .iter()
        .map(|domain| {
            let domain = &domain.name;
            let condition = format!(
                "!is_empty(authenticated_as) && sender_domain == {}",
                constant(domain.as_str())
            );
            (condition, both(domain))
        })
        .collect();
    Section::new(
        "auth.dkim",
        "Only what an account of ours sends is signed: mail that merely passes through with our\n\
         domain as its sender may be forged.",
    )
    .set("verify", "relaxed")
    .set("strict", true)
    .set("sign", Value::Rules(rules, "false".to_owned()))
}

fn arc(spec: &Spec) -> Section {
    let section = Section::new("auth.arc", "").set("verify", "relaxed");
    match spec.domains.first() {
        Some(first) => section.set("seal", constant(&signature_id(&RSA, &first.name))),
        None => section.set("seal", false),
    }
}

/// Name of a signature. The server groups the sorted keys `signature.ID.…`, so that the keys of
/// `example.org` would fall among those of `example.org.au`; without dots they can't.
fn signature_id(algorithm: &Algorithm, domain: &DomainName) -> String {
    format!("{}-{}", algorithm.selector, domain.as_str().replace('.', "_"))
}

/// The expression that names both signatures of a domain.
pub(super) fn both(domain: &DomainName) -> String {
    let ids: Vec<String> =
        ALGORITHMS.iter().map(|algorithm| constant(&signature_id(algorithm, domain))).collect();
    format!("[{}]", ids.join(", "))
}

fn signature(algorithm: &Algorithm, domain: &DomainName) -> Section {
    Section::item("signature", &signature_id(algorithm, domain), "")
        .set("algorithm", algorithm.name)
        .set("private-key", secret(&format!("dkim-{}-{domain}", algorithm.selector)))
        .set("domain", domain.as_str())
        .set("selector", algorithm.selector)
        .set("headers", SIGNED_HEADERS)
        .set("canonicalization", "relaxed/relaxed")
        // Longer than any queue holds a message, and too short to send it again for years.
        .set("expire", SIGNATURE_LIFE)
}
