//! A closure: store paths with what is in them, and where their contents come from.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use mailkiln_nix_store::{Shape, StorePath};
use mailkiln_pin::Sha256;

use crate::cache::Fetched;
use crate::error::ClosureError;
use crate::local::LocalStore;

/// How many links may follow each other, as on Linux.
const MOST_LINKS: usize = 40;
/// Where every store path is.
const STORE: &str = "/nix/store/";

/// A store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its path.
    pub path: StorePath,
    /// Digest of its NAR.
    pub nar_sha256: Sha256,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// What it refers to; itself too, where it does.
    pub references: BTreeSet<StorePath>,
    /// What is in it.
    pub shape: Shape,
}

/// A store path with all that it refers to, directly and indirectly.
#[derive(Debug)]
pub struct Closure {
    top: StorePath,
    /// By name below the store.
    objects: BTreeMap<String, Object>,
    source: Source,
}

/// Where contents come from.
#[derive(Debug)]
pub(crate) enum Source {
    Local(LocalStore),
    Fetched(BTreeMap<StorePath, Fetched>),
}

/// Takes path, length and contents of a file.
pub type Visit<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    + 'a;

impl Closure {
    pub(crate) fn new(top: StorePath, objects: Vec<Object>, source: Source) -> Self {
        let objects = objects.into_iter().map(|object| (object.path.to_basename(), object));
        Self { top, objects: objects.collect(), source }
    }

    /// The store path that everything else is needed for.
    pub fn top(&self) -> &StorePath {
        &self.top
    }

    /// Every store path, by its name below the store.
    pub fn objects(&self) -> &BTreeMap<String, Object> {
        &self.objects
    }

    /// What `nix-store --load-db` reads: for each path a line with its name, digest, size, deriver (none: no store needs
    /// it, and a local one would have to be asked for it), and how many references follow, each in a line. The format is
    /// that of `nix-store --dump-db`, and of `closureInfo` in nixpkgs.
    pub fn registration(&self) -> String {
        let mut text = String::new();
        for object in self.objects.values() {
            let Object { path, nar_sha256, nar_size, references, .. } = object;
            let count = references.len();
            text.push_str(&format!(
                "{}\n{nar_sha256}\n{nar_size}\n\n{count}\n",
                path.to_absolute_path()
            ));
            let mut names: Vec<String> =
                references.iter().map(StorePath::to_absolute_path).collect();
            names.sort();
            names.iter().for_each(|name| text.extend([name, "\n"]));
        }
        text
    }

    /// Where a path of the running system ends up when links are followed: a store path's name, and the place in it.
    ///
    /// # Errors
    /// [`ClosureError::Link`] when that is outside of the closure.
    pub fn resolve(&self, path: &str) -> Result<(&Object, String), ClosureError> {
        let away = |way: &str| ClosureError::Link { path: path.to_owned(), way: way.to_owned() };
        let outside = |to: &str| away(&format!("to {to}, which is not in the closure"));
        let mut left = parts(path);
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                ".." => drop(done.pop()),
                _ => done.push(part),
            }
            let [nix, store, name, inside @ ..] = done.as_slice() else { continue };
            if nix != "nix" || store != "store" {
                return Err(outside(&format!("/{}", done.join("/"))));
            }
            let object =
                self.objects.get(name).ok_or_else(|| outside(&format!("{STORE}{name}")))?;
            let place = inside.join("/");
            match object.shape.get(&place) {
                Some(Shape::Symlink(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(away("in a circle"));
                    }
                    match target.starts_with('/') {
                        true => done.clear(),
                        false => drop(done.pop()),
                    }
                    left.extend(parts(target));
                }
                Some(_) if left.is_empty() => return Ok((object, place)),
                Some(_) => {}
                None => return Err(outside(&format!("{STORE}{name}/{place}"))),
            }
        }
        Err(outside(&format!("/{}", done.join("/"))))
    }

    /// Whether there is something at a path of the running system, which need not be there.
    pub fn has(&self, path: &str) -> bool {
        self.resolve(path).is_ok()
    }

    /// The bytes of a file of the running system, at most `limit`.
    ///
    /// # Errors
    /// [`ClosureError`] when it is not there, no file, or too large.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClosureError> {
        let (object, place) = self.resolve(path)?;
        let whole = || object.path.to_absolute_path();
        let size = match object.shape.get(&place) {
            Some(Shape::File { size, .. }) => *size,
            _ => {
                return Err(ClosureError::Lacking { path: whole(), place, wanted: "a file" });
            }
        };
        if size > limit {
            return Err(ClosureError::TooLarge { path: path.to_owned(), size, limit });
        }
        match &self.source {
            Source::Local(store) => store.read(&object.path, &place),
            Source::Fetched(fetched) => {
                let mut bytes = Vec::new();
                fetched_one(fetched, &object.path)?.each(&mut |at, _, contents| {
                    if at == place {
                        contents.read_to_end(&mut bytes)?;
                    }
                    Ok(())
                })?;
                Ok(bytes)
            }
        }
    }

    /// Calls `visit` for every file of a store path that has bytes, in the order of its shape. Memory does not depend on the
    /// sizes of files.
    ///
    /// # Errors
    /// [`ClosureError`] when contents can't be read or are not those of the record, or of `visit` as it says, within
    /// [`ClosureError::File`].
    pub fn each_file(&self, object: &Object, visit: &mut Visit<'_>) -> Result<(), ClosureError> {
        match &self.source {
            Source::Local(store) => store.each(object, visit),
            Source::Fetched(fetched) => {
                fetched_one(fetched, &object.path)?.each(&mut |place, size, contents| {
                    if size == 0 {
                        return Ok(());
                    }
                    visit(place, size, contents).map_err(std::io::Error::other)
                })
            }
        }
    }
}

fn fetched_one<'a>(
    fetched: &'a BTreeMap<StorePath, Fetched>,
    path: &StorePath,
) -> Result<&'a Fetched, ClosureError> {
    fetched.get(path).ok_or_else(|| ClosureError::Lacking {
        path: path.to_absolute_path(),
        place: String::new(),
        wanted: "an archive",
    })
}

/// The names of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !name.is_empty() && *name != ".");
    names.rev().map(str::to_owned).collect()
}
