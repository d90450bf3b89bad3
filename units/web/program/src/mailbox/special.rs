//! The folder for a purpose.

use mailkiln_servers::Error;
use mailkiln_servers::imap::{self, Folder, SpecialUse};

/// The folder for a purpose, of those that `folders` lists, as the server writes it. One that is missing is made, under the name
/// that our server gives it.
///
/// # Errors
/// Those of the server, which may refuse to make it.
pub(crate) async fn special(
    imap: &mut imap::Session,
    folders: &[Folder],
    wanted: SpecialUse,
) -> Result<String, Error> {
    let name = name(wanted);
    if let Some(folder) = existing(folders, wanted, name) {
        return Ok(folder.wire.clone());
    }
    match wanted {
        // Every account has it, whether it is listed or not (RFC 9051, section 5.1).
        SpecialUse::Inbox => {}
        SpecialUse::Archive => imap.create_archive(name).await?,
        _ => imap.create(name).await?,
    }
    Ok(name.to_owned())
}

/// The folder with templates. RFC 6154 has no use for it, so programs know it by this name: ours, Thunderbird and others.
const TEMPLATES: &str = "Templates";

/// Whether templates lie in this folder.
pub(crate) fn is_templates(folder: &Folder) -> bool {
    folder.wire.eq_ignore_ascii_case(TEMPLATES)
}

/// The folder with templates, of those that `folders` lists, as the server writes it; made where it is missing.
///
/// # Errors
/// Those of the server, which may refuse to make it.
pub(crate) async fn templates(
    imap: &mut imap::Session,
    folders: &[Folder],
) -> Result<String, Error> {
    if let Some(folder) = folders.iter().find(|folder| is_templates(folder)) {
        return Ok(folder.wire.clone());
    }
    imap.create(TEMPLATES).await?;
    Ok(TEMPLATES.to_owned())
}

fn name(wanted: SpecialUse) -> &'static str {
    match wanted {
        SpecialUse::Inbox => "INBOX",
        SpecialUse::Drafts => "Drafts",
        SpecialUse::Sent => "Sent Items",
        SpecialUse::Archive => "Archive",
        SpecialUse::Junk => "Junk Mail",
        SpecialUse::Trash => "Deleted Items",
    }
}

/// By its purpose where the server says it (RFC 6154), else by its name: many servers say none.
fn existing<'a>(folders: &'a [Folder], wanted: SpecialUse, name: &str) -> Option<&'a Folder> {
    let by_use = folders.iter().find(|folder| folder.special_use() == Some(wanted));
    by_use.or_else(|| folders.iter().find(|folder| folder.wire.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkiln_servers::imap::Counters;

    fn folder(wire: &str, attribute: &str) -> Folder {
        Folder {
            wire: wire.into(),
            name: wire.into(),
            delimiter: Some('/'),
            attributes: vec![attribute.to_owned()],
            counters: Counters::default(),
        }
    }

    #[test]
    fn a_folder_is_found_by_its_purpose_or_else_by_its_name_in_any_case() {
        let says = [folder("Sent Items", ""), folder("Gesendet", "\\Sent"), folder("inbox", "")];
        let silent = [folder("INBOX", ""), folder("sent items", "\\HasNoChildren")];
        for (folders, wanted, expected) in [
            (says.as_slice(), SpecialUse::Sent, Some("Gesendet")),
            (&says, SpecialUse::Inbox, Some("inbox")),
            (&says, SpecialUse::Drafts, None),
            // A second one must not be made, nor this one be called by a name that it does not have.
            (&silent, SpecialUse::Sent, Some("sent items")),
            (&silent, SpecialUse::Trash, None),
        ] {
            let found = existing(folders, wanted, name(wanted)).map(|found| found.wire.as_str());
            assert_eq!(found, expected, "{wanted:?}");
        }
    }
}
