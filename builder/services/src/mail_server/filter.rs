//! How the mail server asks the filter about each message.

use mailkiln_spec::Spec;

use super::listeners::RELEASE;
use super::settings::Section;
use crate::HostFacts;

/// Longer than the filter takes at worst: waiting for a worker, looking, and asking ClamAV.
const PATIENCE: &str = "90s";

pub(super) fn sections(spec: &Spec, host: &HostFacts) -> Vec<Section> {
    if spec.filter.is_none() {
        return Vec::new();
    }
    vec![
        Section::item(
            "session.milter",
            "filter",
            "Every message but released ones. When the filter does not answer, or not in time, the\n\
             sender is asked to come back: nothing passes without a mark that it was not looked at.\n\
             The filter's address is a number, since a name that can't be resolved when the server\n\
             starts would switch the filter off.",
        )
        .set("enable", format!("listener != '{RELEASE}'"))
        .set("hostname", "127.0.0.1")
        .set("port", u64::from(host.filter_port))
        .set("stages", ["data"])
        .set("timeout.connect", "10s")
        .set("timeout.command", "30s")
        .set("timeout.data", PATIENCE)
        .set("options.tempfail-on-error", true)
        .set("options.version", 6),
    ]
}
