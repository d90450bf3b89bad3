//! ClamAV's signatures, where `mail.toml` asks for ClamAV.
//!
//! In: the directory that freshclam fills. Out: how old the newest of them are.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::appliance::Unscanned;

/// New signatures come every day; after so long somebody has to see to it.
const OLD: Duration = Duration::from_secs(7 * 86_400);

/// What ClamAV looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// It has none yet.
    None,
    /// The newest file is so old.
    Aged(Duration),
}

impl Signatures {
    /// Looks into `directory`. What can't be read is not there for ClamAV either.
    pub fn look(directory: &Path, now: SystemTime) -> Self {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let files = entries.filter(|entry| is_signature(&entry.file_name().to_string_lossy()));
        let newest = files.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
        // A clock that was set back makes no file old.
        newest.map_or(Self::None, |time| Self::Aged(now.duration_since(time).unwrap_or_default()))
    }

    /// Whether they are of use, and a sentence about them.
    pub fn judge(self, unscanned: Unscanned) -> (bool, String) {
        let see = "see `journalctl -u clamav-freshclam`";
        match self {
            Self::None => {
                let meanwhile = match unscanned {
                    Unscanned::Defer => "mail waits until they have come",
                    Unscanned::Pass => "mail passes with a mark until they have come",
                };
                (false, format!("ClamAV has no signatures yet, and {meanwhile}; {see}"))
            }
            Self::Aged(age) => {
                let days = age.as_secs() / 86_400;
                let text = format!("ClamAV's newest signatures are {days} days old");
                if age > OLD { (false, format!("{text}; {see}")) } else { (true, text) }
            }
        }
    }
}

/// `daily.cvd`, `daily.cld`, `own.ndb`: as the trigger of `clamav-daemon.service` has it.
fn is_signature(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.as_bytes());
    matches!(ending, Some([b'c' | b'h' | b'i' | b'l' | b'n', _, b'b' | b'd']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        assert_eq!(Signatures::look(&folder.path().join("none"), now), Signatures::None);
        for name in ["freshclam.dat", "daily.cvd.part", "tmp"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(Signatures::look(folder.path(), now), Signatures::None);
        for (name, days) in [("main.cvd", 90), ("daily.cld", 3)] {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(days * 86_400)).unwrap();
        }
        let Signatures::Aged(age) = Signatures::look(folder.path(), now) else { panic!() };
        assert_eq!(age.as_secs() / 86_400, 3);
        let back = Signatures::look(folder.path(), now - Duration::from_secs(9 * 86_400));
        assert_eq!(back, Signatures::Aged(Duration::ZERO));
    }

    #[test]
    fn a_week_is_too_long() {
        let days = |days: u64| Signatures::Aged(Duration::from_secs(days * 86_400 + 60));
        assert_eq!(
            days(6).judge(Unscanned::Defer),
            (true, "ClamAV's newest signatures are 6 days old".to_owned())
        );
        let (fine, text) = days(7).judge(Unscanned::Defer);
        assert!(!fine && text.contains("7 days old; see `journalctl"), "{text}");
        assert!(Signatures::None.judge(Unscanned::Defer).1.contains("mail waits"));
        assert!(Signatures::None.judge(Unscanned::Pass).1.contains("with a mark"));
    }
}
