//! A toy: a folder with a list of its images, the newest last.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact::{Artifact, plain};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::journal::Journal;
use crate::progress::Progress;
use crate::settings::Setting;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "toy",
    title: "a toy: a folder with a list of its images",
    formats: &[],
    settings: &[Setting::new("path", &[], "the folder; it must be there")],
    next: "== commands ==\ncd {{shell folder}} && grep {{shell image_name}} index\n== mail ==\nOpen the ports {{text ports}}.\n",
    facts: &["folder"],
    open,
};

struct Toy {
    path: PathBuf,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    Ok(Box::new(Toy { path: context.settings.require("path")?.into() }))
}

impl Toy {
    /// The lines of the list: digests and names.
    fn index(&self) -> Result<Vec<(String, String)>, UploadError> {
        let path = self.path.join("index");
        let text = if path.exists() {
            fs::read_to_string(&path).map_err(UploadError::file("read", &path))?
        } else {
            String::new()
        };
        let line = |line: &str| {
            line.split_once(' ').map(|(digest, name)| (digest.to_owned(), name.to_owned()))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    fn write(&self, index: &[(String, String)]) -> Result<(), UploadError> {
        let path = self.path.join("index");
        let text: String = index.iter().map(|(digest, name)| format!("{digest} {name}\n")).collect();
        fs::write(&path, text).map_err(UploadError::file("write", &path))
    }

    fn stored(&self, name: &str) -> Stored {
        let id = self.path.join(name).display().to_string();
        Stored { id, name: name.to_owned(), created: String::new() }
    }
}

impl Destination for Toy {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        vec![format!("copy {} and add it to the list", artifact.path.display())]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let digest = artifact.sha256.to_string();
        let found = self.index()?.into_iter().find(|(known, _)| *known == digest);
        Ok(found.map(|(_, name)| self.stored(&name)))
    }

    fn put(
        &self,
        artifact: &Artifact,
        _: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        progress.step("copying");
        let name = format!("{}.{}", artifact.remote_name(), artifact.suffix);
        fs::copy(&artifact.path, self.path.join(&name))
            .map_err(UploadError::file("copy", &artifact.path))?;
        let mut index = self.index()?;
        index.push((artifact.sha256.to_string(), name.clone()));
        self.write(&index)?;
        Ok(self.stored(&name))
    }

    fn clean(&self, _: &Journal) -> Result<(), UploadError> {
        Ok(())
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let index = self.index()?;
        let named = index.iter().rev().filter(|(_, it)| it.starts_with(&plain(name)));
        Ok(named.map(|(_, name)| self.stored(name)).collect())
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        let mut index = self.index()?;
        index.retain(|(_, name)| *name != stored.name);
        self.write(&index)?;
        fs::remove_file(&stored.id).map_err(UploadError::file("remove", Path::new(&stored.id)))
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("folder", self.path.display().to_string())])
    }
}
