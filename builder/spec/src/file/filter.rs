//! `[filter]`: what is looked for in mail, and what becomes of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SizeValue, Text};
use crate::document::Located;

/// The filter that looks into attachments.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterTable {
    /// Whether there is a filter. Default: true.
    #[schemars(example = true)]
    pub(crate) enable: Option<Located<bool>>,
    /// What happens to a message that could not be looked into: `defer` (the default), it waits
    /// with its sender, or `pass`, it is delivered with a mark.
    #[schemars(example = &"defer")]
    pub(crate) on_failure: Option<Located<OnFailureValue>>,
    /// Days that a message stays in the quarantine. Default: 30.
    #[schemars(example = 30)]
    pub(crate) quarantine_days: Option<Located<i64>>,
    /// Most that the quarantine holds, in bytes or with a unit. Default: 1 GiB.
    #[schemars(example = "1 GiB")]
    pub(crate) quarantine_size: Option<Located<SizeValue>>,
    /// Whether the postmaster gets a daily letter about what is new in the quarantine. Default:
    /// true.
    #[schemars(example = true)]
    pub(crate) digest: Option<Located<bool>>,
    /// Address of further malware rules (YARA), fetched once a day. It needs `rules_key`.
    #[schemars(example = "https://rules.example.net/mail.yar")]
    pub(crate) rules_url: Option<Text>,
    /// The Ed25519 key that signs the rules of `rules_url`: 32 bytes in base64.
    #[schemars(example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub(crate) rules_key: Option<Text>,
    /// Whether ClamAV runs beside the filter and is asked too. It needs 3 GiB of memory, and mail waits
    /// until it has fetched its signatures. Default: false.
    #[schemars(example = true)]
    pub(crate) clamav: Option<Located<bool>>,
    /// Address and port of a ClamAV (`clamd`) on a private network, which is asked too. Default:
    /// none.
    #[schemars(example = "10.0.0.5:3310")]
    pub(crate) clamd: Option<Text>,
    /// What is done about which kind of attachment.
    pub(crate) actions: Option<Located<ActionsTable>>,
}

/// What is done about a message that could not be looked into.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailureValue {
    Defer,
    Pass,
}

/// What is done about a kind of attachment.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionValue {
    Pass,
    Mark,
    Strip,
    Quarantine,
    Reject,
}

/// What is done about which kind of attachment: `reject` refuses the message, `quarantine` keeps it
/// on the appliance, `strip` replaces the part by a text, `mark` adds a header field, `pass` does
/// nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionsTable {
    /// What a malware rule knows. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) malware: Option<Located<ActionValue>>,
    /// Programs, by their content or by a name that would start them. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) executable: Option<Located<ActionValue>>,
    /// Scripts that a double click would run. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) script: Option<Located<ActionValue>>,
    /// Links to programs: `.lnk`, `.url` and their kin. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) shortcut: Option<Located<ActionValue>>,
    /// Names that pretend: `invoice.pdf.exe`, text that runs backwards. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) deceptive_name: Option<Located<ActionValue>>,
    /// Web pages that make a file in the browser. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) html_smuggling: Option<Located<ActionValue>>,
    /// Macros that start by themselves or do what documents have no need of. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) auto_macro: Option<Located<ActionValue>>,
    /// Documents that reach outside: DDE, remote templates, objects. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) active_document: Option<Located<ActionValue>>,
    /// What a limit ended before all of it was seen, such as a bomb. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) limit: Option<Located<ActionValue>>,
    /// What programs read in different ways, or may see where the filter could not. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) ambiguous: Option<Located<ActionValue>>,
    /// Other macros. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) r#macro: Option<Located<ActionValue>>,
    /// What needs a password, so that nobody could look into it. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) encrypted_archive: Option<Located<ActionValue>>,
    /// What is broken, so that not all of it could be read. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) damaged: Option<Located<ActionValue>>,
    /// Containers of a kind that the filter cannot open. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) opaque: Option<Located<ActionValue>>,
}
