//! What a cloud or a hypervisor has, and expects of an image.

use serde::Serialize;

/// What the provider of a virtual machine has and expects; empty for a machine of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provider {
    /// What Secure Boot does there; `None` where there is none.
    pub secure_boot: Option<SecureBoot>,
    /// Servers that tell the time, asked before those of Debian: names or addresses.
    pub time_servers: Vec<String>,
}

/// Secure Boot of a provider. Images are not signed, so it has to be off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "new_machines", rename_all = "kebab-case")]
pub enum SecureBoot {
    /// A new machine has it off.
    Off,
    /// A new machine has it on: without this switch, the image does not start.
    On {
        /// What to choose or to run.
        switch: String,
    },
}
