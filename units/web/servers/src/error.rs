//! What can go wrong between us and a server.

/// A result of a server's client.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server did not do what a page asked for. No variant holds a password or a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server can't be reached.
    #[error("can't connect to {server}: {source}")]
    Connect {
        /// Address and port.
        server: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS failed: another certificate, or no TLS there.
    #[error("no trusted TLS with {server}: {reason}")]
    Tls {
        /// Address and port.
        server: String,
        /// What was wrong.
        reason: String,
    },
    /// A certificate or a list of roots can't be read.
    #[error("can't read certificates from {path}: {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// What was wrong.
        reason: String,
    },
    /// The server did not answer in time. The connection is of no use any more.
    #[error("the server did not answer within {seconds} s ({step})")]
    Timeout {
        /// How long we waited.
        seconds: u64,
        /// What we waited for.
        step: &'static str,
    },
    /// The connection broke.
    #[error("the connection broke ({step})")]
    Closed {
        /// What was going on.
        step: &'static str,
    },
    /// The server broke the rules of its protocol.
    #[error("the server sent what its protocol does not allow: {0}")]
    Protocol(&'static str),
    /// The server sent more than a page may hold.
    #[error("the server sent more than {limit} {what}")]
    TooMuch {
        /// The bound.
        limit: u64,
        /// Its unit.
        what: &'static str,
    },
    /// The server refused: NO of IMAP and ManageSieve, 4xx and 5xx of SMTP.
    #[error("the server refused: {text}")]
    Refused {
        /// A code for programs, such as `OVERQUOTA` or `550`; may be empty.
        code: String,
        /// The server's own words: foreign text.
        text: String,
    },
    /// Name, password or token are wrong.
    #[error("the server did not accept the sign-in: {0}")]
    SignIn(String),
    /// The server lacks something that was asked for.
    #[error("the server does not offer {0}")]
    Lacks(&'static str),
    /// A text can't be put into a command: NUL, or a line end where none may be.
    #[error("{0} can't hold such characters")]
    Unwritable(&'static str),
    /// The reader of a part of a message went away.
    #[error("the reader of the answer went away")]
    Sink,
}

impl Error {
    /// Whether the connection can still be used after this error.
    pub fn keeps_connection(&self) -> bool {
        matches!(self, Error::Refused { .. } | Error::Lacks(_) | Error::Unwritable(_))
    }
}
