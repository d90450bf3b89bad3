//! First boot data: what a cloud or a hypervisor knows about this machine and its owner wants of it.
//!
//! In: DMI tables, volumes, a hypervisor's variables, credentials, answers of a metadata service. Out: [`FirstBoot`]. A source is
//! a file in [`source`]: a table of requests or file names, and a pure parser. All of it is hostile
//! until it was parsed: sizes, times and depths are bounded here, not there.

pub mod answers;
pub mod azure_report;
pub mod fetch;
pub mod fragment;
pub mod guestinfo;
pub mod identity;
pub mod kept;
pub mod machine;
pub mod mime;
pub mod network_data;
pub mod source;
pub mod user_data;
pub mod volume;
pub mod yaml;

use serde::{Deserialize, Serialize};

use crate::seed::network::Network;

/// Bytes of one answer, file or credential. AWS allows 16 KiB of user-data, Azure and OpenStack 64 KiB.
pub const LARGEST: usize = 64 << 10;
/// SSH keys that are taken; who has more has a configuration management.
pub const MOST_KEYS: usize = 64;

/// What a source says. What is missing, nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstBoot {
    /// Which source it is from.
    pub source: String,
    /// The machine's identity with its cloud: another one means that the disk was copied.
    pub instance: Option<String>,
    /// Its name there; not the name that mail is served under.
    pub host: Option<String>,
    /// Lines of `authorized_keys`, without options.
    pub ssh_keys: Vec<String>,
    /// Static networks, where the cloud has no DHCP.
    pub networks: Vec<Network>,
    /// Bytes that the owner passed on; [`user_data`] reads them.
    pub user_data: Option<Vec<u8>>,
}

/// Why the answers of a source are not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Something that every machine of this cloud has is missing.
    #[error("it has no `{0}`; check how the machine was made")]
    Missing(&'static str),
    /// It is there, and makes no sense.
    #[error("its `{name}` makes no sense: {why}")]
    Nonsense {
        /// Which part.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// More than anybody sends.
    #[error("its `{0}` is larger than 64 KiB")]
    TooLarge(&'static str),
}

impl SourceError {
    /// A part that makes no sense.
    pub(crate) fn nonsense(name: &'static str, why: impl ToString) -> Self {
        Self::Nonsense { name, why: why.to_string() }
    }
}

impl FirstBoot {
    /// Nothing yet, from `source`.
    pub(crate) fn of(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Takes keys that can be used; an unknown kind of key, or one with options, is left out: it must
    /// not keep the others from letting their owners in.
    pub(crate) fn add_keys<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        for line in lines {
            let line = line.trim();
            if crate::seed::is_ssh_key(line)
                && self.ssh_keys.len() < MOST_KEYS
                && !self.ssh_keys.iter().any(|known| known == line)
            {
                self.ssh_keys.push(line.to_owned());
            }
        }
    }

    /// Keeps an instance's identity that is fit for a file name and a log.
    pub(crate) fn set_instance(&mut self, text: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
        let text = text.trim();
        if !text.is_empty() && text.len() <= 128 && text.bytes().all(plain) {
            self.instance = Some(text.to_owned());
        }
    }

    /// Keeps a host name that is one.
    pub(crate) fn set_host(&mut self, text: &str) {
        let name = crate::appliance::DomainName::try_from(text.trim().to_ascii_lowercase());
        self.host = name.ok().map(|name| name.as_str().to_owned());
    }

    /// Keeps user-data; emptiness is none.
    pub(crate) fn set_user_data(&mut self, bytes: &[u8]) {
        self.user_data = (!bytes.is_empty()).then(|| bytes.to_vec());
    }
}

/// Base64 as clouds write it: lines, with or without padding.
pub(crate) fn base64(name: &'static str, text: &[u8]) -> Result<Vec<u8>, SourceError> {
    use base64::Engine as _;
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let clean: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    GeneralPurpose::new(&STANDARD, lenient)
        .decode(clean)
        .map_err(|error| SourceError::nonsense(name, error))
}

/// Reads `bytes` as the answers of each source, as user-data and as a volume.
pub(crate) fn fuzz(bytes: &[u8]) {
    source::fuzz(bytes);
    guestinfo::fuzz(bytes);
    let _ = user_data::parse(bytes);
    volume::fuzz(bytes);
}
