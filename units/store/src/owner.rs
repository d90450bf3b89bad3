//! Who owns the state: a command that root types writes as the service's own user.
//!
//! In: the folder of a service's state. Out: this process runs as that folder's owner. Otherwise a
//! file that root writes could not be read by the service after the next boot.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};

/// Why root could not become the owner of the state.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The folder cannot be looked at.
    #[error("cannot look at {0}: {1}; nothing was changed")]
    Look(PathBuf, #[source] io::Error),
    /// It is something else.
    #[error("{0} is not a directory; nothing was changed")]
    NotADirectory(PathBuf),
    /// The kernel refused.
    #[error("cannot become the owner of {path} (uid {uid}): {source}; nothing was changed")]
    Become {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Gives root's powers up for good and becomes the owner of `folder`, with the groups of the paths
/// `shared` that exist. Does nothing for anyone but root, and where root owns the folder or there is
/// none: then there is no service whose files could be spoilt.
///
/// # Errors
/// [`OwnerError`]; the process must end then, for it may hold only some of its powers.
pub fn become_owner_of(folder: &Path, shared: &[PathBuf]) -> Result<(), OwnerError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let metadata = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OwnerError::Look(folder.to_owned(), error)),
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        return Err(OwnerError::NotADirectory(folder.to_owned()));
    }
    let (uid, gid) = (metadata.uid(), metadata.gid());
    if uid == 0 {
        return Ok(());
    }
    // Root's own group opens nothing that this command needs.
    let shared = shared.iter().filter_map(|path| fs::metadata(path).ok());
    let mut groups: Vec<Gid> =
        shared.map(|it| Gid::from_raw(it.gid())).filter(|it| it.as_raw() != 0).collect();
    groups.push(Gid::from_raw(gid));
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&groups)
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user))
        .map_err(|error| OwnerError::Become { path: folder.to_owned(), uid, source: error.into() })
}
