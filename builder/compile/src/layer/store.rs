//! A layer's folder: `files/` as they stood in the target folder, and `layer.json`, which says what
//! they must be. The first line of that file is the digest of the rest.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mailkiln_pin::Sha256;
use mailkiln_tree::TreePath;
use sha2::Digest as _;

use super::Contents;
use super::files::StoredFile;
use crate::FileError;
use crate::file_error::At;

const CONTENTS: &str = "layer.json";
const FILES: &str = "files";
/// Bytes read at once.
const BLOCK: usize = 1 << 18;

/// What the layer in `folder` holds.
pub(super) fn read(folder: &Path) -> Result<Contents, FileError> {
    let path = folder.join(CONTENTS);
    let text = fs::read_to_string(&path).at("read", &path)?;
    let (digest, json) = text.split_once('\n').unwrap_or_default();
    if digest != Sha256::of(json.as_bytes()).to_string() {
        return Err(damaged()).at("read", &path);
    }
    serde_json::from_str(json).at("decode", &path)
}

/// Copies the files of packages that are not `left_out` to `target`, which must not exist, and
/// verifies each.
pub(super) fn copy_out(
    folder: &Path,
    contents: &Contents,
    left_out: &BTreeSet<&str>,
    target: &Path,
) -> Result<(), FileError> {
    let wanted =
        |packages: &BTreeSet<String>| packages.iter().all(|name| !left_out.contains(name.as_str()));
    fs::create_dir(target).at("create", target)?;
    for (path, packages) in &contents.folders {
        if wanted(packages) {
            let path = below(target, path)?;
            fs::create_dir_all(&path).at("create", &path)?;
        }
    }
    let mut buffer = vec![0; BLOCK];
    for file in contents.files.iter().filter(|file| wanted(&file.packages)) {
        copy(
            &below(&folder.join(FILES), &file.path)?,
            &below(target, &file.path)?,
            file,
            &mut buffer,
        )?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, wanted: &StoredFile, buffer: &mut [u8]) -> Result<(), FileError> {
    make_parent(to)?;
    let mut source = File::open(from).at("read", from)?;
    let mut copy = File::create_new(to).at("create", to)?;
    let (mut digest, mut size) = (sha2::Sha256::new(), 0_u64);
    loop {
        let count = source.read(buffer).at("read", from)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        size += count as u64;
        copy.write_all(&buffer[..count]).at("write", to)?;
    }
    if size != wanted.size || Sha256::from_bytes(digest.finalize().into()) != wanted.sha256 {
        return Err(damaged()).at("use", from);
    }
    let mode = if wanted.executable { 0o755 } else { 0o644 };
    copy.set_permissions(Permissions::from_mode(mode)).at("change", to)?;
    copy.set_modified(SystemTime::UNIX_EPOCH + wanted.modified).at("change", to)
}

/// Moves files from `target` into the new layer `folder`.
pub(super) fn move_in(
    folder: &Path,
    mut contents: Contents,
    target: &Path,
) -> Result<(), FileError> {
    for file in &mut contents.files {
        let (from, to) = (target.join(&file.path), folder.join(FILES).join(&file.path));
        file.sha256 = digest_of(&from)?;
        make_parent(&to)?;
        fs::rename(&from, &to).at("move", &from)?;
        let mode = if file.executable { 0o555 } else { 0o444 };
        fs::set_permissions(&to, Permissions::from_mode(mode)).at("change", &to)?;
    }
    let path = folder.join(CONTENTS);
    let json = serde_json::to_string(&contents).at("encode", &path)?;
    let text = format!("{}\n{json}", Sha256::of(json.as_bytes()));
    fs::write(&path, text).at("write", &path)
}

fn digest_of(path: &Path) -> Result<Sha256, FileError> {
    let mut file = File::open(path).at("read", path)?;
    let mut digest = sha2::Sha256::new();
    io::copy(&mut file, &mut digest).at("read", path)?;
    Ok(Sha256::from_bytes(digest.finalize().into()))
}

fn make_parent(path: &Path) -> Result<(), FileError> {
    path.parent().map_or(Ok(()), |parent| fs::create_dir_all(parent).at("create", parent))
}

/// A path that stays below `folder`.
fn below(folder: &Path, path: &str) -> Result<PathBuf, FileError> {
    let parsed = TreePath::parse(path).map_err(|_| damaged()).at("use", Path::new(path))?;
    Ok(folder.join(parsed.as_str()))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not what was stored")
}
