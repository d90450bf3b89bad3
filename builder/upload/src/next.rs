//! What to do with an image that is in the cloud: commands, Terraform, and what mail needs from the provider.
//!
//! In: the destination's template (`next/NAME.hbs`), the image, facts of the destination. Out: three texts. A template's
//! sections begin with lines `== commands ==`, `== terraform ==` and `== mail ==`; they are told apart before anything is put
//! into them.

use mailkiln_template::{BadTemplate, Templates};
use serde::Serialize;
use serde_json::{Map, Value, json};

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
    let own = destination.facts().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    let facts = own.chain(common(artifact, stored)).collect();
    render(entry.next, &facts)
        .map_err(|error| UploadError::answer("the template of next steps", error.to_string()))
}

/// What is known of every image.
fn common(artifact: &Artifact, stored: &Stored) -> Map<String, Value> {
    let facts = json!({
        "image": stored.id,
        "image_name": stored.name,
        "machine": plain(artifact.name.split('.').next().unwrap_or_default()),
        "arch": artifact.arch.gnu(),
        "ports": PORTS,
        "disk_gib": artifact.disk_gib().max(10),
    });
    facts.as_object().cloned().unwrap_or_default()
}

fn render(template: &str, facts: &Map<String, Value>) -> Result<Next, BadTemplate> {
    let templates = Templates::default();
    let section = |name: &str| {
        let (_, text) = template.split_once(&format!("== {name} ==\n")).unwrap_or_default();
        let text = text.split("\n== ").next().unwrap_or_default();
        templates.render(text, facts).map(|text| text.trim().to_owned())
    };
    Ok(Next {
        commands: section("commands")?,
        terraform: section("terraform")?,
        mail: section("mail")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::sample;
    use crate::destination::ALL;

    /// What every destination says of an image, if it is called so.
    fn next_of(entry: &Entry, id: &str, name: &str, own: &str) -> Next {
        let folder = tempfile::tempdir().unwrap();
        let stored = Stored { id: id.to_owned(), name: name.to_owned(), created: String::new() };
        let own = entry.facts.iter().map(|fact| ((*fact).to_owned(), own.into()));
        let facts = own.chain(common(&sample(folder.path(), b"disk"), &stored)).collect();
        render(entry.next, &facts).unwrap()
    }

    #[test]
    fn every_template_renders_with_what_its_destination_gives() {
        for entry in ALL {
            let next = next_of(entry, "the-image", "its-name", "own");
            let names_the_image = ["the-image", "its-name"].map(|it| next.commands.contains(it));
            assert!(names_the_image.contains(&true), "{}", entry.name);
            assert!(!next.mail.is_empty(), "{}", entry.name);
            assert!(entry.facts.is_empty() || next.commands.contains("own"), "{}", entry.name);
            assert!(!format!("{next:?}").contains("{{"), "{}", entry.name);
        }
        assert!(render("== mail ==\n{{text image}} {{text nothing}}", &Map::new()).is_err());
    }

    #[test]
    fn odd_names_are_quoted() {
        let odd = "/srv/it's a $(touch x) \"y\"\n== mail ==\n${z}";
        for entry in ALL {
            let next = next_of(entry, odd, odd, odd);
            // What is left of the commands without quoted words has nothing of it.
            let words = next.commands.replace("\\'", "");
            let bare: String = words.split('\'').step_by(2).collect();
            assert!(!bare.contains("touch") && !bare.contains("${z}"), "{}: {bare}", entry.name);
            assert!(!next.mail.contains("\n${z}"), "{}: {}", entry.name, next.mail);
            assert!(!next.terraform.contains(" ${z}"), "{}: {}", entry.name, next.terraform);
        }
        let next = next_of(ALL[0], "x", "a b.img", "/srv/it's $HOME \"x\"");
        let expected = r#"cd '/srv/it'\''s $HOME "x"' && sha256sum -c 'a b.img.sha256'"#;
        assert_eq!(next.commands, expected);
    }
}
