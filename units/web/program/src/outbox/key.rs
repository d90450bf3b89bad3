//! The key that seals sessions for later. It lies in a file of its own, so that a copy of the database alone opens nothing.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::problem::{Problem, internal};
use crate::{random, seal};

/// Its name in the state directory.
const NAME: &str = "outbox.key";

/// Reads the key; makes it where there is none.
pub(super) fn read(state: &Path) -> Result<[u8; seal::KEY], Problem> {
    let path = state.join(NAME);
    let mut key = [0; seal::KEY];
    match std::fs::File::open(&path) {
        Ok(mut file) => file.read_exact(&mut key).map_err(|error| internal(&error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            key = random::bytes()?;
            let mut options = std::fs::OpenOptions::new();
            // Written beside and linked: a second request that makes one at the same time must read the first one's. Each has a
            // file of its own, or the second would write into the one that is linked already.
            let own = u64::from_ne_bytes(random::bytes()?);
            let beside = state.join(format!(".{NAME}.{own:016x}"));
            let made = options.write(true).create_new(true).mode(0o600).open(&beside);
            let made =
                made.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
            let linked = made.and_then(|()| std::fs::hard_link(&beside, &path));
            let _ = std::fs::remove_file(&beside);
            match linked {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    return read(state);
                }
                other => other.map_err(|error| internal(&error))?,
            }
        }
        Err(error) => return Err(internal(&error)),
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_made_once_and_ours_alone() {
        let state = std::env::temp_dir().join(format!("web-outbox-key-{}", std::process::id()));
        std::fs::create_dir_all(&state).unwrap();
        let first = read(&state).unwrap();
        assert_eq!(read(&state).unwrap(), first);
        let mode = std::fs::metadata(state.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn requests_at_the_same_time_get_the_key_that_stays() {
        let state = std::env::temp_dir().join(format!("web-outbox-keys-{}", std::process::id()));
        std::fs::create_dir_all(&state).unwrap();
        for round in 0..40 {
            let start = std::sync::Barrier::new(8);
            let found: Vec<_> = std::thread::scope(|scope| {
                let one = || {
                    start.wait();
                    read(&state).unwrap()
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let stays = read(&state).unwrap();
            assert!(found.iter().all(|one| *one == stays), "round {round}");
            let left = std::fs::read_dir(&state).unwrap().count();
            assert_eq!(left, 1, "only the key is left");
            std::fs::remove_file(state.join(NAME)).unwrap();
        }
        std::fs::remove_dir_all(&state).unwrap();
    }
}
