//! `[acme]`: certificates.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::document::Located;

/// Certificates from an authority that speaks ACME (RFC 8555).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcmeTable {
    /// Whether certificates are asked for. Default: true. With `false` the certificate is self-signed,
    /// or the one that you put onto the appliance.
    #[schemars(example = true)]
    pub(crate) enable: Option<Located<bool>>,
    /// URL of the authority's directory. By naming an authority you agree to its terms of service.
    /// Default: Let's Encrypt.
    #[schemars(example = "https://acme-v02.api.letsencrypt.org/directory")]
    pub(crate) directory: Option<Text>,
    /// Whom the authority may write to. Default: the postmaster.
    #[schemars(example = "postmaster@example.org")]
    pub(crate) contact: Option<Text>,
    /// Kind of the certificate's key: `ecdsa-p256` (the default), `rsa-2048` or `rsa-4096`.
    #[schemars(example = &"ecdsa-p256")]
    pub(crate) key: Option<Located<AcmeKeyValue>>,
    /// Whether a renewal keeps the key, so that TLSA records stay right. Default: true.
    #[schemars(example = true)]
    pub(crate) keep_key: Option<Located<bool>>,
    /// One of the authority's profiles, such as Let's Encrypt's `shortlived`. Default: the authority's.
    #[schemars(example = &"shortlived")]
    pub(crate) profile: Option<Text>,
    /// Identifier of your account with an authority that asks for external account binding. Its key is
    /// stored on the appliance, never here.
    #[schemars(example = "kid-1")]
    pub(crate) eab_key_id: Option<Text>,
    /// Roots that the authority's own server is trusted by, each as the base64 of its DER on one line.
    /// Default: those of the system.
    #[schemars(extend("examples" = [["MIIB…"]]))]
    pub(crate) roots: Option<Vec<Text>>,
    /// Further names that certificates shall have: each goes with the domain that it lies in.
    #[schemars(extend("examples" = [["imap.example.org"]]))]
    pub(crate) names: Option<Vec<Text>>,
    /// How control over the names is proved: `http-01` (the default; port 80), `tls-alpn-01` (port 443)
    /// or `dns-01`.
    #[schemars(example = &"http-01")]
    pub(crate) challenge: Option<Located<AcmeChallengeValue>>,
    /// For `dns-01`: `rfc2136`, a name server that takes signed updates, a DNS company by its name,
    /// such as `cloudflare`, or `exec`, a program on the appliance.
    #[schemars(example = &"rfc2136")]
    pub(crate) dns_provider: Option<Located<AcmeDnsValue>>,
    /// For `rfc2136`: address and port of the primary name server. Default port: 53.
    #[schemars(example = "192.0.2.53")]
    pub(crate) dns_server: Option<Text>,
    /// For `rfc2136`: name of the TSIG key (HMAC-SHA256). The key is stored on the appliance.
    #[schemars(example = &"acme")]
    pub(crate) dns_key_name: Option<Text>,
    /// For `rfc2136` and companies: zones that are there. Default: the mail domains.
    #[schemars(extend("examples" = [["example.org"]]))]
    pub(crate) dns_zones: Option<Vec<Text>>,
    /// For `dns-01`: seconds until all name servers of the zone have a change. Default: 30.
    #[schemars(example = 30)]
    pub(crate) dns_wait: Option<Located<i64>>,
}

/// Kind of a certificate's key.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum AcmeKeyValue {
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// How control over names is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum AcmeChallengeValue {
    #[serde(rename = "http-01")]
    Http01,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    #[serde(rename = "dns-01")]
    Dns01,
}

/// Who puts records into the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AcmeDnsValue {
    Rfc2136,
    Exec,
    Bunny,
    Cloudflare,
    Desec,
    DigitalOcean,
    Dnsimple,
    Ovh,
    Porkbun,
    Route53,
    Spaceship,
}
