//! Certificates from an authority: what `mail.toml` says to the client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailkiln_spec::{Acme, AcmeChallenge, AcmeDns, AcmeKey, Certificate, DomainName, Spec};
use serde_json::{Value, json};

use mailkiln_unit::{Capability, Reach};

use crate::{ConfigFile, Confinement, Credential, HostFacts, Port, Sandbox, Service};

const CONFIG: &str = "/etc/mailkiln/acme.json";
const ROOTS: &str = "/etc/mailkiln/acme-roots.pem";
const SECRETS: &str = "/var/lib/mailkiln/secrets";
/// Where certificates are.
pub(crate) const CERTIFICATES: &str = "/var/lib/mailkiln-acme/live";
/// The administrator's own program for dns-01.
const HOOK: &str = "/var/lib/mailkiln/hooks/acme-dns";
/// What the client takes for "there is none".
const NO_SECRET: &str = "none";

/// The certificates beside the host's, where the client looks after them.
pub(crate) fn further(spec: &Spec, host: &HostFacts) -> Vec<Certificate> {
    match (&spec.acme, &host.certificate) {
        (Some(_), None) => spec.certificates().into_iter().skip(1).collect(),
        _ => Vec::new(),
    }
}

/// Absolute paths of a certificate that is in the folder `name`, and of its key.
pub(crate) fn files(name: &DomainName) -> (String, String) {
    let file = |file| format!("{CERTIFICATES}/{name}/{file}.pem");
    (file("fullchain"), file("key"))
}

/// The client, which listens below port 1024 where that is the proof.
pub(crate) fn client(mut service: Service, spec: &Spec, acme: &Acme) -> Service {
    service.config_files.push(ConfigFile::public(CONFIG, configuration(spec, acme)));
    if !acme.roots.is_empty() {
        service.config_files.push(ConfigFile::public(ROOTS, roots(acme)));
    }
    let own_port = port(spec, &acme.challenge);
    service.ports.extend(own_port);
    service.credentials.extend(credentials(acme));
    if let Confinement::Sandboxed(sandbox) = &mut service.confinement {
        confine(sandbox, acme, own_port.is_some());
    }
    service
}

fn confine(sandbox: &mut Sandbox, acme: &Acme, listens: bool) {
    if listens {
        sandbox.capabilities.push(Capability::NetBindService);
    }
    if matches!(acme.challenge, AcmeChallenge::Dns01 { provider: AcmeDns::Exec, .. }) {
        sandbox.programs.push(HOOK.to_owned());
    }
}

/// Where the authority looks for the proof, unless the web unit answers it there.
fn port(spec: &Spec, challenge: &AcmeChallenge) -> Option<Port> {
    let purpose = "proofs for the certificate";
    let port =
        |name, number| Some(Port { name, number, purpose, reach: Reach::Public, clients: &[] });
    match challenge {
        AcmeChallenge::Http01 if spec.web.is_some() => None,
        AcmeChallenge::Http01 => port("http-01", 80),
        AcmeChallenge::TlsAlpn01 => port("tls-alpn-01", 443),
        AcmeChallenge::Dns01 { .. } => None,
    }
}

fn credentials(acme: &Acme) -> Vec<Credential> {
    let optional = |name: &str, file: &str| Credential {
        name: name.to_owned(),
        source: format!("{SECRETS}/{file}"),
        // Without it the client says what is missing, or makes what it needs.
        fallback: Some(NO_SECRET),
    };
    let mut all = Vec::new();
    if acme.eab_key_id.is_some() {
        all.push(optional("acme-eab-key", "acme-eab-key"));
    }
    if matches!(acme.challenge, AcmeChallenge::Dns01 { .. }) {
        all.push(optional("acme-dns-key", "acme-dns-key"));
    }
    all
}

/// The file's text: keys sorted, a newline at the end. The fields are a contract:
/// `docs/internals/contracts.md`.
fn configuration(spec: &Spec, acme: &Acme) -> String {
    let names = |names: &[DomainName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let certificates = spec.certificates();
    let (host, further) = certificates.split_first().map_or((Vec::new(), Vec::new()), |it| {
        let further =
            it.1.iter().map(|it| json!({"name": it.name.as_str(), "names": names(&it.names)}));
        (names(&it.0.names), further.collect::<Vec<_>>())
    });
    let key = match acme.key {
        AcmeKey::EcdsaP256 => "ecdsa-p256",
        AcmeKey::Rsa2048 => "rsa-2048",
        AcmeKey::Rsa4096 => "rsa-4096",
    };
    let mut settings = json!({
        "host": spec.host.name.as_str(),
        "names": host,
        "directory": acme.directory,
        "contact": [format!("mailto:{}", acme.contact)],
        "key": key,
        "profile": acme.profile,
        "eab_key_id": acme.eab_key_id,
        "roots": (!acme.roots.is_empty()).then_some(ROOTS),
        "challenge": challenge(&acme.challenge, spec),
        "keep_key": acme.keep_key,
    });
    if let Some(fields) = settings.as_object_mut().filter(|_| !further.is_empty()) {
        fields.insert("certificates".to_owned(), further.into());
    }
    format!("{settings:#}\n")
}

fn challenge(challenge: &AcmeChallenge, spec: &Spec) -> Value {
    let everywhere = if spec.network.ipv6 { "[::]" } else { "0.0.0.0" };
    match challenge {
        AcmeChallenge::Http01 => {
            let listen = format!("{everywhere}:80");
            match spec.web {
                Some(_) => json!({"kind": "http-01", "listen": listen, "served": true}),
                None => json!({"kind": "http-01", "listen": listen}),
            }
        }
        AcmeChallenge::TlsAlpn01 => {
            json!({"kind": "tls-alpn-01", "listen": format!("{everywhere}:443")})
        }
        AcmeChallenge::Dns01 { provider, wait } => {
            json!({"kind": "dns-01", "wait": wait, "provider": dns_provider(provider)})
        }
    }
}

fn dns_provider(provider: &AcmeDns) -> Value {
    let names = |zones: &[DomainName]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
    match provider {
        AcmeDns::Exec => json!({"kind": "exec", "program": HOOK}),
        AcmeDns::Company { company, zones } => {
            json!({"kind": "company", "company": company.as_str(), "zones": names(zones)})
        }
        AcmeDns::Rfc2136 { server, key_name, zones } => json!({
            "kind": "rfc2136",
            "server": server.to_string(),
            "key_name": key_name,
            "zones": names(zones),
        }),
    }
}

/// PEM (RFC 7468).
fn roots(acme: &Acme) -> String {
    let mut text = String::new();
    for root in &acme.roots {
        let body = STANDARD.encode(root);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
