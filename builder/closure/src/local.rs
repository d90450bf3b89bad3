//! A store on this machine: what refers to what, and contents.
//!
//! A store's database says what refers to what, and where that is, is a matter of who made the store (a chroot store keeps
//! it elsewhere, an unpacked one has none), in a format of SQLite. So it is not read. What Nix wrote into it, it found by
//! looking for hash parts of store paths in the archive of each path; the same is done here, with every path of the store as
//! a candidate. So nothing is missed that Nix found. More may be found, where a path names another that was no input of its
//! build: then the closure is larger than Nix's, never smaller.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use mailkiln_nix_store::{Shape, StorePath};
use mailkiln_pin::Sha256;
use nix_archive::nar::{CaseHack, REFERENCE_LENGTH, ReferencePattern};

use crate::closure::{Closure, Object, Source, Visit};
use crate::error::ClosureError;
use crate::parallel;

/// Where a store is below its root.
const STORE: &str = "nix/store";
/// How many links may lead to a store path.
const MOST_LINKS: usize = 40;

/// The folder of a store.
#[derive(Debug, Clone)]
pub struct LocalStore {
    folder: PathBuf,
}

/// The store path that `path` names below `root`, where it may be a link to one, or to a link: `./result`,
/// `/nix/var/nix/profiles/system`. Links with absolute targets are read as below `root`.
///
/// # Errors
/// [`ClosureError::NoStorePath`] when it leads elsewhere.
pub fn in_store(root: &Path, path: &Path) -> Result<StorePath, ClosureError> {
    let wrong = || ClosureError::NoStorePath(path.display().to_string());
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let text = at.to_str().ok_or_else(wrong)?;
        let text = text.trim_end_matches('/');
        if let Ok(found) = StorePath::from_absolute_path(text.as_bytes()) {
            return Ok(found);
        }
        let place = match at.strip_prefix("/") {
            Ok(inside) => root.join(inside),
            Err(_) => at.clone(),
        };
        let target = fs::read_link(&place).map_err(|_| wrong())?;
        at = match target.is_absolute() {
            true => target,
            false => at.parent().unwrap_or(Path::new("")).join(target),
        };
    }
    Err(wrong())
}

impl LocalStore {
    /// The store in `nix/store` below `root`.
    pub fn below(root: &Path) -> Self {
        Self { folder: root.join(STORE) }
    }

    /// The closure of `top`: everything is read and hashed once.
    ///
    /// # Errors
    /// [`ClosureError`] names the path and the file.
    pub fn closure(&self, top: &StorePath) -> Result<Closure, ClosureError> {
        let candidates = self.list()?;
        // Names that were listed are base32, so there is nothing to go wrong.
        let pattern = ReferencePattern::new(hash_parts(&candidates)).map_err(|error| {
            let source = io::Error::other(error);
            ClosureError::NoStore { store: self.folder.clone(), source }
        })?;
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let mut objects: BTreeMap<StorePath, Object> = BTreeMap::new();
        let mut wave = BTreeSet::from([top.clone()]);
        while !wave.is_empty() {
            let paths: Vec<StorePath> = wave.into_iter().collect();
            let found =
                parallel::each(&paths, workers, |path| self.object(path, &pattern, &candidates))?;
            objects.extend(found.into_iter().map(|object| (object.path.clone(), object)));
            let needed = objects.values().flat_map(|object| &object.references);
            wave = needed.filter(|path| !objects.contains_key(path)).cloned().collect();
        }
        self.check_links(top, &objects)?;
        let objects = objects.into_values().collect();
        Ok(Closure::new(top.clone(), objects, Source::Local(self.clone())))
    }

    /// What was deleted is no candidate any more, so nothing refers to it. The links of the system itself tell at least.
    fn check_links(
        &self,
        top: &StorePath,
        objects: &BTreeMap<StorePath, Object>,
    ) -> Result<(), ClosureError> {
        let Some(Shape::Directory(entries)) = objects.get(top).map(|object| &object.shape) else {
            return Ok(());
        };
        for shape in entries.values() {
            let Shape::Symlink(target) = shape else { continue };
            let whole: Vec<&str> = target.splitn(5, '/').take(4).collect();
            let Ok(path) = StorePath::from_absolute_path(whole.join("/").as_bytes()) else {
                continue;
            };
            if !objects.contains_key(&path) {
                return Err(self.missing(&path, Some(top)));
            }
        }
        Ok(())
    }

    fn missing(&self, path: &StorePath, referrer: Option<&StorePath>) -> ClosureError {
        ClosureError::NotInStore {
            path: path.to_absolute_path(),
            store: self.folder.clone(),
            referrer: referrer.map(StorePath::to_absolute_path),
        }
    }

    /// Every store path that is there.
    fn list(&self) -> Result<Vec<StorePath>, ClosureError> {
        let wrong = |source| ClosureError::NoStore { store: self.folder.clone(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name();
            // Locks, and folders of Nix itself, are no store paths.
            if let Some(name) = name.to_str()
                && !name.ends_with(".lock")
                && let Ok(path) = StorePath::from_basename(name.as_bytes())
            {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn object(
        &self,
        path: &StorePath,
        pattern: &ReferencePattern,
        candidates: &[StorePath],
    ) -> Result<Object, ClosureError> {
        let place = self.folder.join(path.to_basename());
        if fs::symlink_metadata(&place).is_err() {
            return Err(self.missing(path, None));
        }
        let scan = pattern
            .scan_path(&place, CaseHack::Disabled)
            .map_err(|source| ClosureError::Archive { path: path.to_absolute_path(), source })?;
        let references = scan.matches.iter().filter_map(|index| candidates.get(*index));
        Ok(Object {
            path: path.clone(),
            nar_sha256: Sha256::from_bytes(scan.nar_sha256),
            nar_size: scan.nar_size,
            references: references.cloned().collect(),
            shape: shape(&place)?,
        })
    }

    /// The bytes of a file of a store path.
    pub(crate) fn read(&self, path: &StorePath, place: &str) -> Result<Vec<u8>, ClosureError> {
        let file = self.place(path, place);
        fs::read(&file).map_err(|source| ClosureError::File { path: file, source })
    }

    fn place(&self, path: &StorePath, place: &str) -> PathBuf {
        let whole = self.folder.join(path.to_basename());
        // Joining with nothing would leave a slash behind a file.
        if place.is_empty() { whole } else { whole.join(place) }
    }

    /// Every file that has bytes, in the order of the shape.
    pub(crate) fn each(&self, object: &Object, visit: &mut Visit<'_>) -> Result<(), ClosureError> {
        let mut left = vec![(String::new(), &object.shape)];
        while let Some((place, shape)) = left.pop() {
            match shape {
                Shape::File { size, .. } if *size > 0 => {
                    let path = self.place(&object.path, &place);
                    let failed = |source| ClosureError::File { path: path.clone(), source };
                    let mut file = File::open(&path).map_err(failed)?.take(*size);
                    visit(&place, *size, &mut file).map_err(io::Error::other).map_err(failed)?;
                }
                Shape::Directory(entries) => {
                    let gap = if place.is_empty() { "" } else { "/" };
                    let inside = entries.iter().rev();
                    left.extend(inside.map(|(name, shape)| (format!("{place}{gap}{name}"), shape)));
                }
                Shape::File { .. } | Shape::Symlink(_) => {}
            }
        }
        Ok(())
    }
}

/// The part of each store path by which others refer to it.
fn hash_parts(paths: &[StorePath]) -> impl Iterator<Item = String> {
    paths.iter().map(|path| {
        let mut name = path.to_basename();
        name.truncate(REFERENCE_LENGTH);
        name
    })
}

/// What is at a place of this machine's file system.
fn shape(place: &Path) -> Result<Shape, ClosureError> {
    let failed = |source| ClosureError::File { path: place.to_owned(), source };
    let text = |bytes: &std::ffi::OsStr| {
        let not_text =
            || io::Error::other("it is not UTF-8, which the image's file system asks for");
        bytes.to_str().map(str::to_owned).ok_or_else(not_text)
    };
    let metadata = fs::symlink_metadata(place).map_err(failed)?;
    if metadata.is_symlink() {
        let target = fs::read_link(place).map_err(failed)?;
        return text(target.as_os_str()).map(Shape::Symlink).map_err(failed);
    }
    if metadata.is_file() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return Ok(Shape::File { executable, size: metadata.len() });
    }
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(place).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = text(&entry.file_name()).map_err(failed)?;
        entries.insert(name, shape(&entry.path())?);
    }
    Ok(Shape::Directory(entries))
}
