//! The machine's own apt configuration, read for addresses of Debian mirrors.
//!
//! In: the text of `sources.list` (sources.list(5), one line for each source) and `*.sources`
//! files (deb822). Out: the base addresses of archives that carry Debian, in file order. A mirror
//! of any Debian release serves: archives keep all releases in one pool.

use std::fs;
use std::path::{Path, PathBuf};

use deb822_fast::Deb822;
use mailkiln_pin::Archive;

use crate::{Base, MirrorError};

/// Codenames and aliases of Debian's releases. Third parties use these too, so an address found
/// here is a candidate; what it serves is trusted by digest alone.
const RELEASES: [&str; 12] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
];

/// Largest configuration file read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Mirrors named below `etc`, which is `/etc/apt` but for tests. A folder that does not exist names
/// none: not every machine has apt.
pub fn read_apt_sources(etc: &Path) -> Result<Vec<(Archive, Base)>, MirrorError> {
    let mut bases = Vec::new();
    for path in source_files(etc)? {
        let unreadable = |reason: String| MirrorError::Apt { path: path.clone(), reason };
        let size = fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(unreadable(format!("it is larger than {MAX_BYTES} bytes")));
        }
        let bytes = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let found = if path.extension().is_some_and(|extension| extension == "sources") {
            parse_deb822_sources(&text).map_err(unreadable)?
        } else {
            parse_one_line_sources(&text)
        };
        for base in found {
            if !bases.contains(&base) {
                bases.push(base);
            }
        }
    }
    Ok(bases)
}

/// The files in the order that apt reads them.
fn source_files(etc: &Path) -> Result<Vec<PathBuf>, MirrorError> {
    let main = etc.join("sources.list");
    let mut files: Vec<PathBuf> = main.is_file().then_some(main).into_iter().collect();
    let folder = etc.join("sources.list.d");
    if folder.is_dir() {
        let read = || fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect();
        let found: std::io::Result<Vec<PathBuf>> = read();
        let mut found = found.map_err(|error| MirrorError::Apt {
            path: folder.clone(),
            reason: error.to_string(),
        })?;
        found.retain(|path| {
            path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
        });
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// Reads `deb [options] uri suite component…` lines. Lines of other kinds name no mirror.
pub fn parse_one_line_sources(text: &str) -> Vec<(Archive, Base)> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(Archive, Base)> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = line.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    words.any(|component| component == "main").then_some(())?;
    candidate(uri, suite)
}

/// Reads deb822 stanzas. A stanza with `Enabled: no` or without `deb` among its types names none.
///
/// # Errors
///
/// Says what is wrong with the syntax.
pub fn parse_deb822_sources(text: &str) -> Result<Vec<(Archive, Base)>, String> {
    // The parser is strict where apt is not: apt takes comments anywhere and blank starts.
    let plain: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let stanzas: Deb822 =
        plain.trim_start().parse().map_err(|error: deb822_fast::Error| error.to_string())?;
    let mut bases = Vec::new();
    for stanza in stanzas.iter() {
        let words = |field: &str| -> Vec<String> {
            let text = stanza.get(field).unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect()
        };
        let enabled = stanza.get("Enabled").is_none_or(|value| {
            !["no", "false", "off", "without", "disable"].contains(&value.trim())
        });
        let has = |field: &str, word: &str| words(field).iter().any(|found| found == word);
        if !enabled || !has("Types", "deb") || !has("Components", "main") {
            continue;
        }
        for uri in words("URIs") {
            bases.extend(words("Suites").iter().filter_map(|suite| candidate(&uri, suite)));
        }
    }
    Ok(bases)
}

/// The archive that a source belongs to, going by the suite's name.
fn candidate(uri: &str, suite: &str) -> Option<(Archive, Base)> {
    let (release, rest) = suite.split_at(suite.find(['-', '/']).unwrap_or(suite.len()));
    RELEASES.contains(&release).then_some(())?;
    let archive = match rest {
        "-security" | "/updates" => Archive::Security,
        _ => Archive::Debian,
    };
    let uri =
        uri.strip_prefix("copy:").map_or_else(|| uri.to_owned(), |path| format!("file:{path}"));
    Some((archive, Base::parse(&uri).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bases: &[(Archive, Base)]) -> Vec<String> {
        bases.iter().map(|(archive, base)| format!("{archive} {base}")).collect()
    }

    #[test]
    fn one_line_sources() {
        let cases: [(&str, &[&str]); 9] = [
            ("deb http://m.example/debian bookworm main", &["debian http://m.example/debian"]),
            (
                "deb http://m.example/debian/ trixie-updates main contrib",
                &["debian http://m.example/debian"],
            ),
            (
                "deb [arch=amd64 signed-by=/x.gpg] https://m.example/sec trixie-security main",
                &["debian-security https://m.example/sec"],
            ),
            (
                "deb http://m.example/sec buster/updates main\n deb http://m.example/sec bullseye/updates main # old",
                &["debian-security http://m.example/sec"],
            ),
            ("deb-src http://m.example/debian trixie main", &[]),
            ("# deb http://m.example/debian trixie main", &[]),
            ("deb https://other.example/apt tool-bookworm main", &[]),
            ("deb https://other.example/debian bookworm stable", &[]),
            (
                "deb file:/srv/debian trixie main\ndeb cdrom:[x] trixie main\ndeb",
                &["debian file:///srv/debian"],
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(shown(&parse_one_line_sources(text)), wanted, "{text}");
        }
    }

    #[test]
    fn deb822_sources() {
        let text = "\n# Comment\nTypes: deb deb-src\n# in between\nURIs: http://a.example/debian\n  http://b.example/debian\n\
                    Suites: trixie trixie-updates\nComponents: main\nSigned-By: /x.gpg\n\n\
                    Types: deb\nURIs: http://a.example/debian-security\nSuites: trixie-security\nComponents: main\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://c.example/debian\nSuites: trixie\nComponents: main\n\n\
                    Types: deb\nURIs: http://d.example\nSuites: ./\n";
        let mut found = shown(&parse_deb822_sources(text).unwrap());
        found.dedup();
        assert_eq!(
            found,
            [
                "debian http://a.example/debian",
                "debian http://b.example/debian",
                "debian-security http://a.example/debian-security"
            ]
        );
        assert!(parse_deb822_sources("Types deb").is_err());
        assert_eq!(parse_deb822_sources("").unwrap(), []);
    }

    #[test]
    fn files_are_read_in_apts_order() {
        let etc = tempfile::tempdir().unwrap();
        assert_eq!(read_apt_sources(&etc.path().join("none")).unwrap(), []);
        let folder = etc.path().join("sources.list.d");
        fs::create_dir(&folder).unwrap();
        let line = |host: &str| format!("deb http://{host}.example/debian trixie main\n");
        fs::write(folder.join("b.list"), line("third")).unwrap();
        fs::write(folder.join("a.list"), line("second")).unwrap();
        fs::write(folder.join("c.list.save"), line("never")).unwrap();
        fs::write(etc.path().join("sources.list"), line("first") + &line("second")).unwrap();
        let found = shown(&read_apt_sources(etc.path()).unwrap());
        let hosts = ["first", "second", "third"];
        assert_eq!(found, hosts.map(|host| format!("debian http://{host}.example/debian")));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "(deb|Types|URIs|[\\[\\] :#\n]|\\PC){0,40}") {
            let _ = parse_one_line_sources(&text);
            let _ = parse_deb822_sources(&text);
        }
    }
}
