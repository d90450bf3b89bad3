//! Where what is written lies: with the drafts, or with the templates. Both are messages; a template is written as a draft is, but
//! never sent: a new message begins with it.

use mailkiln_servers::imap::{self, SpecialUse};

use crate::form::escaped;
use crate::mailbox::{problem, special, templates};
use crate::problem::Problem;

/// The kind of folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Drafts,
    Templates,
}

impl Place {
    /// What a field or a query says.
    pub(super) fn read(name: &str) -> Self {
        if name == Self::Templates.name() { Self::Templates } else { Self::Drafts }
    }

    /// As [`Place::read`] reads it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Drafts => "",
            Self::Templates => "templates",
        }
    }

    /// The folder, made where it is missing.
    pub(super) async fn folder(self, imap: &mut imap::Session) -> Result<String, Problem> {
        let folders = imap.folders().await.map_err(problem)?;
        match self {
            Self::Drafts => special(imap, &folders, SpecialUse::Drafts).await,
            Self::Templates => templates(imap, &folders).await,
        }
        .map_err(problem)
    }

    /// The text for what was changed elsewhere meanwhile.
    pub(super) fn stale(self) -> &'static str {
        match self {
            Self::Drafts => "compose.stale",
            Self::Templates => "compose.stale-template",
        }
    }

    /// The address of an image in a message that lies here. compose.js makes `cid:` of it again.
    pub(super) fn image(self, uid: u32, content_id: &str) -> String {
        let id = escaped(content_id);
        match self {
            Self::Drafts => format!("/compose/image/{uid}/{id}"),
            Self::Templates => format!("/compose/templates/image/{uid}/{id}"),
        }
    }
}
