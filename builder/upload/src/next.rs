//! What to do with an image that is in the cloud: commands, Terraform, and what mail needs from the provider.
//!
//! In: the destination's template (`next/NAME.hbs`), the image, facts of the destination. Out: three texts. A template's
//! sections begin with lines `== commands ==`, `== terraform ==` and `== mail ==`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::artifact::{Artifact, plain};
use crate::destination::{Destination, Entry, Stored};
use crate::error::UploadError;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// Commands of the provider's own tool that start a machine and open its ports.
    pub commands: String,
    /// The same for Terraform or OpenTofu; empty where neither fits.
    pub terraform: String,
    /// PTR records and port 25.
    pub mail: String,
}

/// The ports that a mail appliance answers on.
pub const PORTS: [u16; 9] = [25, 80, 443, 465, 587, 993, 995, 143, 4190];

/// Renders the template of a destination.
///
/// # Errors
/// [`UploadError::Answer`] where a template names what nobody gives it: a defect that a test finds.
pub fn next(
    entry: &Entry,
    destination: &dyn Destination,
    artifact: &Artifact,
    stored: &Stored,
) -> Result<Next, UploadError> {
    let mut facts: BTreeMap<&str, String> = destination.facts();
    let ports: Vec<String> = PORTS.iter().map(ToString::to_string).collect();
    for (key, value) in [
        ("image", stored.id.clone()),
        ("image_name", stored.name.clone()),
        ("machine", plain(artifact.name.split('.').next().unwrap_or_default())),
        ("arch", artifact.arch.gnu().to_owned()),
        ("debian_arch", artifact.arch.debian().to_owned()),
        ("file", artifact.path.display().to_string()),
        ("ports", ports.join(" ")),
        ("ports_with_commas", ports.join(", ")),
        ("disk_gib", artifact.disk_gib().max(10).to_string()),
    ] {
        facts.insert(key, value);
    }
    render(entry.next, &facts)
}

fn render(template: &str, facts: &BTreeMap<&str, String>) -> Result<Next, UploadError> {
    let text = fill(template, facts)?;
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        match line.strip_prefix("== ").and_then(|rest| rest.strip_suffix(" ==")) {
            Some(name) => name.clone_into(&mut current),
            None => {
                let section = sections.entry(current.clone()).or_default();
                section.push_str(line);
                section.push('\n');
            }
        }
    }
    let mut take = |name: &str| sections.remove(name).unwrap_or_default().trim().to_owned();
    Ok(Next { commands: take("commands"), terraform: take("terraform"), mail: take("mail") })
}

/// The template with a fact in place of each `{{name}}`.
fn fill(template: &str, facts: &BTreeMap<&str, String>) -> Result<String, UploadError> {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").unwrap_or((after, ""));
        let fact = facts.get(name).ok_or_else(|| {
            UploadError::answer("the template of next steps", format!("nothing is called `{name}`"))
        })?;
        text.push_str(before);
        text.push_str(fact);
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::ALL;

    /// What `next` gives every template.
    const COMMON: [&str; 10] = [
        "image",
        "image_name",
        "machine",
        "arch",
        "debian_arch",
        "file",
        "ports",
        "ports_with_commas",
        "disk_gib",
        "region",
    ];
    /// What single destinations give theirs.
    const OWN: [(&str, &[&str]); 10] = [
        ("folder", &["folder"]),
        ("s3", &["bucket"]),
        ("aws", &[]),
        ("gcp", &["project", "bucket"]),
        ("azure", &["group"]),
        ("openstack", &["auth_url"]),
        ("hetzner", &["location"]),
        ("digitalocean", &[]),
        ("oracle", &["compartment"]),
        ("proxmox", &["node", "storage"]),
    ];

    #[test]
    fn every_template_renders_with_what_its_destination_gives() {
        assert_eq!(ALL.len(), OWN.len());
        for entry in ALL {
            let own = OWN.iter().find(|(name, _)| *name == entry.name).unwrap().1;
            let facts: BTreeMap<&str, String> =
                COMMON.iter().chain(own).map(|name| (*name, format!("<{name}>"))).collect();
            let next = render(entry.next, &facts).unwrap();
            let names_the_image = ["<image>", "<image_name>"].map(|it| next.commands.contains(it));
            assert!(names_the_image.contains(&true), "{}", entry.name);
            assert!(!next.mail.is_empty(), "{}", entry.name);
            assert!(!next.commands.contains("{{") && !next.terraform.contains("{{"));
        }
        assert!(
            render("{{image}} {{nothing}}", &BTreeMap::from([("image", String::new())])).is_err()
        );
    }
}
