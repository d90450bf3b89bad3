// SPDX-License-Identifier: AGPL-3.0-only

//! What is demanded of the server that a message is handed to: the parts that a test over
//! the wire cannot reach without a signed DNS zone or a certificate that is trusted.

#![allow(clippy::unwrap_used)] // clippy.toml excepts #[test] functions, not their helpers

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};
use stalwart_lib::common::config::smtp::queue::{RequireOptional, TlsStrategy};
use stalwart_lib::common::config::smtp::resolver::{Mode, MxPattern, Policy, Tlsa, TlsaEntry};
use stalwart_lib::smtp::outbound::dane::verify::TlsaVerify;
use stalwart_lib::smtp::outbound::delivery::must_verify_certificate;
use stalwart_lib::utils::rustls_dane_config;

const HOST: &str = "mx.example.net";

fn strategy(allow_invalid_certs: bool) -> TlsStrategy {
    TlsStrategy {
        dane: RequireOptional::Optional,
        mta_sts: RequireOptional::Optional,
        tls: RequireOptional::Optional,
        allow_invalid_certs,
        timeout_tls: Duration::from_secs(1),
        timeout_mta_sts: Duration::from_secs(1),
    }
}

fn policy(mode: Mode) -> Policy {
    Policy { id: "1".into(), mode, mx: vec![MxPattern::Equals(HOST.into())], max_age: 86400 }
}

#[test]
fn a_later_attempt_keeps_to_what_is_demanded() {
    for (lenient, exempt, mode, is_tls_requested, expected) in [
        // Nobody demands anything: the strategy decides
        (false, false, None, false, true),
        (true, false, None, false, false),
        (false, true, None, false, false),
        // The recipient's domain enforces
        (true, false, Some(Mode::Enforce), false, true),
        (true, true, Some(Mode::Enforce), false, true),
        // ... or only tries
        (true, false, Some(Mode::Testing), false, false),
        (true, false, Some(Mode::None), false, false),
        // The sender demands
        (true, false, None, true, true),
    ] {
        let policy = mode.map(policy);
        assert_eq!(
            must_verify_certificate(&strategy(lenient), exempt, policy.as_ref(), is_tls_requested),
            expected,
            "{lenient} {exempt} {policy:?} {is_tls_requested}"
        );
    }
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    Identity {
        certificate: CertificateDer::from(made.serialize_der().unwrap()),
        key: made.serialize_private_key_der(),
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A handshake under DANE with a server that shows `certificate` and signs with `key`.
fn handshake(certificate: &CertificateDer<'static>, key: &[u8]) -> Result<(), rustls::Error> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    let signer = rustls::crypto::ring::sign::any_supported_type(&key)?;
    let shown = Always(Arc::new(CertifiedKey::new(vec![certificate.clone()], signer)));
    let server = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(shown));
    let mut server = ServerConnection::new(Arc::new(server))?;
    let name = ServerName::try_from(HOST).unwrap();
    let mut client = ClientConnection::new(Arc::new(rustls_dane_config()), name)?;
    while client.is_handshaking() || server.is_handshaking() {
        carry(|out| client.write_tls(out), |input| server.read_tls(input));
        server.process_new_packets()?;
        carry(|out| server.write_tls(out), |input| client.read_tls(input));
        client.process_new_packets()?;
    }
    Ok(())
}

fn carry(
    mut from: impl FnMut(&mut dyn Write) -> std::io::Result<usize>,
    mut to: impl FnMut(&mut dyn Read) -> std::io::Result<usize>,
) {
    let mut wire = Vec::new();
    while from(&mut wire).unwrap() > 0 {}
    let mut wire = wire.as_slice();
    while !wire.is_empty() {
        to(&mut wire).unwrap();
    }
}

#[test]
fn dane_asks_for_the_key_and_not_only_for_the_certificate() {
    let (right, wrong) = (identity(), identity());
    handshake(&right.certificate, &right.key).unwrap();
    handshake(&right.certificate, &wrong.key).expect_err("a copy of the certificate was enough");
}

fn tlsa(is_end_entity: bool, certificate: &[u8]) -> Tlsa {
    Tlsa {
        entries: vec![TlsaEntry {
            is_end_entity,
            is_sha256: true,
            is_spki: false,
            data: Sha256::digest(certificate).to_vec(),
        }],
        has_end_entities: is_end_entity,
        has_intermediates: !is_end_entity,
    }
}

#[test]
fn dane_believes_in_the_end_entity_only() {
    let (server, other) = (identity().certificate, identity().certificate);
    let chain = [server.clone(), other.clone()];
    for (name, tlsa, expected) in [
        ("its own certificate", tlsa(true, &server), true),
        ("another certificate", tlsa(true, &other), false),
        ("a trust anchor that signed nothing", tlsa(false, &other), false),
        ("nothing to compare with", Tlsa { entries: vec![], ..tlsa(true, &server) }, false),
    ] {
        assert_eq!(tlsa.verify(0, HOST, Some(&chain)).is_ok(), expected, "{name}");
    }
}
