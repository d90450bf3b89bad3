//! How a user proves who they are, as SASL writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, Result};

/// A user and their proof. Shown without the proof.
#[derive(Clone)]
pub enum Credentials {
    /// Name and password, for PLAIN (RFC 4616).
    Password {
        /// Usually the address.
        user: String,
        /// The password.
        password: String,
    },
    /// Name and access token, for OAUTHBEARER (RFC 7628).
    Token {
        /// Usually the address.
        user: String,
        /// The access token.
        token: String,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} of {:?}", self.mechanism(), self.user())
    }
}

impl Credentials {
    /// Whose mail is opened.
    pub fn user(&self) -> &str {
        match self {
            Credentials::Password { user, .. } | Credentials::Token { user, .. } => user,
        }
    }

    /// The name of the SASL mechanism.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Credentials::Password { .. } => "PLAIN",
            Credentials::Token { .. } => "OAUTHBEARER",
        }
    }

    /// The first message of the client in base64.
    ///
    /// # Errors
    /// [`Error::Unwritable`] where a part holds a character that the mechanism uses to separate.
    pub fn initial(&self) -> Result<String> {
        let message = match self {
            Credentials::Password { user, password } => {
                if user.contains('\0') || password.contains('\0') {
                    return Err(Error::Unwritable("a name or password"));
                }
                format!("\0{user}\0{password}")
            }
            Credentials::Token { user, token } => {
                // RFC 5801 section 4: a name writes its commas and equals signs escaped.
                let name = user.replace('=', "=3D").replace(',', "=2C");
                if name.contains(['\0', '\x01']) || token.contains(|c: char| !c.is_ascii_graphic())
                {
                    return Err(Error::Unwritable("a name or token"));
                }
                format!("n,a={name},\x01auth=Bearer {token}\x01\x01")
            }
        };
        Ok(STANDARD.encode(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(credentials: &Credentials) -> Vec<u8> {
        STANDARD.decode(credentials.initial().unwrap()).unwrap()
    }

    #[test]
    fn messages_are_those_of_the_rfcs() {
        let plain =
            Credentials::Password { user: "tim".into(), password: "tanstaaftanstaaf".into() };
        assert_eq!(decoded(&plain), b"\0tim\0tanstaaftanstaaf");
        let bearer = Credentials::Token { user: "a=b,c@d".into(), token: "vF9==".into() };
        assert_eq!(decoded(&bearer), b"n,a=a=3Db=2Cc@d,\x01auth=Bearer vF9==\x01\x01");
    }

    #[test]
    fn separators_and_secrets_stay_inside() {
        let two = Credentials::Password { user: "a\0b".into(), password: "x".into() };
        assert!(two.initial().is_err());
        let lines = Credentials::Token { user: "a".into(), token: "x\x01host=evil".into() };
        assert!(lines.initial().is_err());
        let shown = format!("{:?}", Credentials::Token { user: "a".into(), token: "zecret".into() });
        assert!(!shown.contains("zecret"), "{shown}");
    }
}
