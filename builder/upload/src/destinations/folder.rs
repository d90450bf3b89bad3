//! A folder: of a web server, a mounted share, a hypervisor's store of images.
//!
//! The image stands under another name until it is whole and on the disk. Beside it are its digest, as `sha256sum -c` reads it,
//! and its tags.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::digest::{Context as Digest, SHA256};
use serde_json::{Map, Value, json};

use crate::artifact::{Artifact, plain};
use crate::destination::{Context, Destination, Entry, Stored};
use crate::error::UploadError;
use crate::journal::Journal;
use crate::parts::{check, hex};
use crate::progress::Progress;
use crate::settings::Setting;

/// The destination.
pub static ENTRY: Entry = Entry {
    name: "folder",
    title: "a folder: of a web server, a share, a hypervisor",
    formats: &[],
    settings: &[Setting::new("path", &[], "the folder; it must be there")],
    next: include_str!("../../next/folder.hbs"),
    facts: &["folder"],
    open,
};

/// How the file with the tags ends.
const TAGS: &str = "upload.json";
/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

struct Folder {
    path: PathBuf,
}

fn open(context: &Context) -> Result<Box<dyn Destination>, UploadError> {
    let given = PathBuf::from(context.settings.require("path")?);
    let path = given.canonicalize().map_err(UploadError::file("use the folder", &given))?;
    if !path.is_dir() {
        return Err(UploadError::Setting {
            message: format!("{} is not a folder", path.display()),
            hint: "give a folder that is there".to_owned(),
        });
    }
    Ok(Box::new(Folder { path }))
}

impl Folder {
    fn file(&self, artifact: &Artifact) -> PathBuf {
        self.path.join(format!("{}.{}", artifact.remote_name(), artifact.suffix))
    }

    fn partial(path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.part"))
    }

    fn beside(path: &Path, ending: &str) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!("{name}.{ending}"))
    }

    /// The tags of an image, if the file that has them is there and makes sense.
    fn tags(path: &Path) -> Option<Map<String, Value>> {
        let text = fs::read_to_string(Self::beside(path, TAGS)).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn stored(path: &Path, tags: &Map<String, Value>) -> Stored {
        Stored {
            id: path.display().to_string(),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            created: tags.get("created").and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    }
}

impl Destination for Folder {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn plan(&self, artifact: &Artifact) -> Vec<String> {
        vec![format!(
            "copy {} to {}, with .sha256 and .{TAGS} beside it",
            artifact.path.display(),
            self.file(artifact).display()
        )]
    }

    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError> {
        let path = self.file(artifact);
        let Some(tags) = Self::tags(&path) else { return Ok(None) };
        let same = tags.get("mailkiln-sha256").and_then(Value::as_str)
            == Some(&artifact.sha256.to_string())
            && fs::metadata(&path).is_ok_and(|file| file.len() == artifact.size);
        Ok(same.then(|| Self::stored(&path, &tags)))
    }

    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError> {
        let path = self.file(artifact);
        let partial = Self::partial(&path);
        journal.note("partial", &partial.display().to_string())?;
        copy(artifact, &partial, progress)?;
        fs::rename(&partial, &path).map_err(UploadError::file("rename", &partial))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        write(&Self::beside(&path, "sha256"), &format!("{}  {name}\n", artifact.sha256))?;
        let mut tags: Map<String, Value> = artifact
            .tags()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect();
        let created = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        tags.insert("created".to_owned(), json!(created));
        write(&Self::beside(&path, TAGS), &format!("{:#}\n", Value::Object(tags.clone())))?;
        Ok(Self::stored(&path, &tags))
    }

    fn clean(&self, journal: &Journal) -> Result<(), UploadError> {
        let Some(partial) = journal.value("partial").map(PathBuf::from) else { return Ok(()) };
        remove(&partial)
    }

    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError> {
        let entries = fs::read_dir(&self.path).map_err(UploadError::file("list", &self.path))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(UploadError::file("list", &self.path))?;
            let file = entry.file_name().to_string_lossy().into_owned();
            let Some(image) = file.strip_suffix(&format!(".{TAGS}")) else { continue };
            let path = self.path.join(image);
            let Some(tags) = Self::tags(&path) else { continue };
            let named = tags.get("mailkiln-name").and_then(Value::as_str).map(plain);
            if named == Some(plain(name)) && path.is_file() {
                found.push(Self::stored(&path, &tags));
            }
        }
        found.sort_by(|one, two| two.created.cmp(&one.created).then(two.name.cmp(&one.name)));
        Ok(found)
    }

    fn remove(&self, stored: &Stored) -> Result<(), UploadError> {
        let path = PathBuf::from(&stored.id);
        // The tags last: an interrupted removal is found again.
        remove(&path)?;
        remove(&Self::beside(&path, "sha256"))?;
        remove(&Self::beside(&path, TAGS))
    }

    fn facts(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("folder", self.path.display().to_string())])
    }
}

/// Copies from where a broken copy ended: what is there is compared by the digest of the whole, read again.
fn copy(artifact: &Artifact, to: &Path, progress: &dyn Progress) -> Result<(), UploadError> {
    let mut source =
        File::open(&artifact.path).map_err(UploadError::file("read", &artifact.path))?;
    let mut target = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(to)
        .map_err(UploadError::file("create", to))?;
    progress.begin(artifact.size);
    let (mut digest, mut buffer, mut known) =
        (Digest::new(&SHA256), vec![0; PIECE], vec![0; PIECE]);
    let mut offset = 0_u64;
    loop {
        let count = read_full(&mut source, &mut buffer)
            .map_err(UploadError::file("read", &artifact.path))?;
        if count == 0 {
            break;
        }
        let piece = &buffer[..count];
        digest.update(piece);
        let there =
            read_full(&mut target, &mut known[..count]).map_err(UploadError::file("read", to))?;
        if known[..there] != *piece {
            let written =
                target.seek(SeekFrom::Start(offset)).and_then(|_| target.write_all(piece));
            written.map_err(UploadError::file("write", to))?;
        }
        offset += count as u64;
        progress.advance(count as u64);
    }
    progress.end();
    check(artifact, &hex(digest.finish().as_ref()))?;
    target.set_len(offset).and_then(|()| target.sync_all()).map_err(UploadError::file("write", to))
}

fn read_full(from: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Writes a small file: whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), UploadError> {
    let new = Folder::partial(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    written.map_err(UploadError::file("write", path))
}

fn remove(path: &Path) -> Result<(), UploadError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(UploadError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}
