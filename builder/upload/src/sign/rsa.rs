//! RSA signatures of Google's assertions and Oracle's requests: PKCS#1 v1.5 with SHA-256.
//!
//! In: a private key in PEM (PKCS#8, or PKCS#1 as older tools write it), text. Out: a signature.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::Value;

/// A private key.
pub struct RsaKey(RsaKeyPair);

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaKey")
    }
}

impl RsaKey {
    /// Reads a key.
    ///
    /// # Errors
    /// Why it can't be used, in words that hold nothing of it.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let mut lines =
            pem.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN "));
        let first = lines.next().ok_or("it is not a PEM file")?;
        let is_pkcs1 = first.contains("RSA PRIVATE KEY");
        if first.contains("ENCRYPTED") || !first.contains("PRIVATE KEY") {
            return Err("it is not an unencrypted private key".to_owned());
        }
        let body: Vec<&str> = lines.take_while(|line| !line.starts_with("-----END ")).collect();
        if body.iter().any(|line| line.contains(':')) {
            return Err("it is encrypted with a pass phrase".to_owned());
        }
        let der = BASE64.decode(body.concat()).map_err(|_| "it is damaged")?;
        let key = if is_pkcs1 { RsaKeyPair::from_der(&der) } else { RsaKeyPair::from_pkcs8(&der) };
        key.map(Self)
            .map_err(|error| format!("it is not an RSA key of 2048 to 4096 bits ({error})"))
    }

    /// The signature of a text.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| "signing failed")?;
        Ok(signature)
    }

    /// The signature in base64.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn sign_base64(&self, text: &[u8]) -> Result<String, String> {
        self.sign(text).map(|signature| BASE64.encode(signature))
    }

    /// A signed assertion: a JSON Web Token (RFC 7519) with RS256 (RFC 7518 §3.3).
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn assertion(&self, header: &Value, claims: &Value) -> Result<String, String> {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(text.as_bytes())?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::json;

    use super::*;

    /// A new key by openssl, in one of its forms.
    pub(crate) fn new_key(traditional: bool) -> String {
        let made = Command::new("openssl").args(["genrsa", "2048"]).output().unwrap();
        let mut command = Command::new("openssl");
        command.arg("rsa").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        if traditional {
            command.arg("-traditional");
        }
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), &made.stdout).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn keys_of_both_forms_sign() {
        for traditional in [false, true] {
            let pem = new_key(traditional);
            assert_eq!(pem.contains("BEGIN RSA PRIVATE KEY"), traditional);
            let key = RsaKey::parse(&pem).unwrap();
            let token = key.assertion(&json!({"alg": "RS256"}), &json!({"sub": "x"})).unwrap();
            let (text, signature) = token.rsplit_once('.').unwrap();
            let public = UnparsedPublicKey::new(
                &RSA_PKCS1_2048_8192_SHA256,
                ring::signature::KeyPair::public_key(&key.0).as_ref().to_vec(),
            );
            public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_its_content() {
        for pem in [
            "",
            "secret",
            "-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----\nsecret!\n-----END PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nsecret\n-----END RSA PRIVATE KEY-----",
        ] {
            assert!(!RsaKey::parse(pem).unwrap_err().contains("secret"), "{pem}");
        }
    }
}
