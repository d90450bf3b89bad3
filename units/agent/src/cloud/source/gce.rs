//! Google Compute Engine.
//!
//! Source: "About VM metadata", Compute Engine documentation. Keys that end (`google-ssh`) are left out: the
//! guest agent, which we are not, would have to remove them.

use super::{Place, Request, Service, V4};
use crate::cloud::answers::Answers;
use crate::cloud::{FirstBoot, SourceError, base64};

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

pub(super) const SERVICE: Service = Service {
    places: &[Place { host: "metadata.google.internal", address: V4 }],
    headers: &[FLAVOR],
    proof: Some(FLAVOR),
    token: None,
    again: &[],
    requests: &[
        Request::needed("id", "/computeMetadata/v1/instance/id"),
        Request::optional("hostname", "/computeMetadata/v1/instance/hostname"),
        Request::optional("ssh-keys", "/computeMetadata/v1/instance/attributes/ssh-keys"),
        Request::optional(
            "block-project-ssh-keys",
            "/computeMetadata/v1/instance/attributes/block-project-ssh-keys",
        ),
        Request::optional("project-ssh-keys", "/computeMetadata/v1/project/attributes/ssh-keys"),
        Request::optional("user-data", "/computeMetadata/v1/instance/attributes/user-data"),
        Request::optional(
            "user-data-encoding",
            "/computeMetadata/v1/instance/attributes/user-data-encoding",
        ),
    ],
    parse,
};

fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("gce");
    found.set_instance(answers.needed("id")?);
    found.set_host(answers.text("hostname").unwrap_or_default());
    let blocked = answers.text("block-project-ssh-keys").unwrap_or_default();
    let project =
        answers.text("project-ssh-keys").filter(|_| !blocked.trim().eq_ignore_ascii_case("true"));
    let lines = answers.text("ssh-keys").into_iter().chain(project).flat_map(str::lines);
    found.add_keys(lines.filter_map(key));
    let user_data = answers.bytes("user-data").unwrap_or_default();
    match answers.text("user-data-encoding").map(str::trim) {
        Some("base64") => found.set_user_data(&base64("user-data", user_data)?),
        _ => found.set_user_data(user_data),
    }
    Ok(found)
}

/// `USER:ssh-ed25519 AAAA… comment`.
fn key(line: &str) -> Option<&str> {
    let (_, key) = line.split_once(':')?;
    (!key.contains(" google-ssh ")).then_some(key)
}
