//! Licences of a package.
//!
//! In: `/usr/share/doc/PACKAGE/copyright`. Out: SPDX names where Debian's short names have one,
//! `LicenseRef-…` where not. Format: DEP-5, the machine-readable copyright file 1.0. A file in
//! free prose yields nothing, and the SBOM then says `NOASSERTION`.

use std::collections::BTreeSet;

use deb822_fast::Deb822;

/// Licences outside GNU's family, in SPDX's spelling; Debian's differs in case at most.
const SPDX: [&str; 33] = [
    "0BSD",
    "AFL-2.1",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSL-1.0",
    "Beerware",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "HPND",
    "ISC",
    "Latex2e",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "OFL-1.1",
    "OpenSSL",
    "Sleepycat",
    "TCP-wrappers",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "X11",
];

/// Debian's short names that SPDX calls otherwise (DEP-5, "Short name", and common use).
const RENAMED: [(&str, &str); 8] = [
    ("apache-2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("bsl-1", "BSL-1.0"),
    ("cc0", "CC0-1.0"),
    ("expat", "MIT"),
    ("zlib", "Zlib"),
    ("zlib/libpng", "Zlib"),
];

/// The licences that a copyright file names, sorted; empty when it is not machine-readable.
pub(crate) fn licences(text: &str) -> Vec<String> {
    // Free prose parses as nothing, or as fields without a format.
    let Ok(document) = text.parse::<Deb822>() else { return Vec::new() };
    let mut paragraphs = document.iter();
    if paragraphs.next().is_none_or(|header| header.get("Format").is_none()) {
        return Vec::new();
    }
    let named: BTreeSet<String> = document
        .iter()
        .filter(|paragraph| paragraph.get("Files").is_some() || paragraph.get("Format").is_some())
        .filter_map(|paragraph| paragraph.get("License")?.lines().next())
        .flat_map(short_names)
        .collect();
    named.into_iter().collect()
}

/// The names in `GPL-2+ and BSD-3-clause, or Expat with X exception`.
fn short_names(synopsis: &str) -> Vec<String> {
    let mut names = Vec::new();
    // "with … exception" adds to the name before it, and has no short name of its own.
    let mut inside_exception = false;
    for word in synopsis.split([',', ' ', '|', '/']).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "with" => inside_exception = true,
            "and" | "or" => inside_exception = false,
            _ if inside_exception => {}
            _ => names.push(spdx(word)),
        }
    }
    names
}

fn spdx(name: &str) -> String {
    let lower = name.trim_matches(['(', ')', ';']).to_ascii_lowercase();
    if let Some(id) = SPDX.iter().find(|id| id.eq_ignore_ascii_case(&lower)) {
        return (*id).to_owned();
    }
    if let Some((_, id)) = RENAMED.iter().find(|(debian, _)| *debian == lower) {
        return (*id).to_owned();
    }
    if let Some(id) = gnu(&lower) {
        return id;
    }
    // SPDX 2.3, annex D: idstring = 1*(ALPHA / DIGIT / "-" / ".").
    let idstring: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    format!("LicenseRef-Debian-{}", idstring.trim_matches('-'))
}

/// `gpl-2+`, `lgpl-2.1`, `agpl-3.0-or-later`: the name, a version, and whether a later one will do.
fn gnu(lower: &str) -> Option<String> {
    let (family, rest) = lower.split_once('-')?;
    let family = match family {
        "gpl" | "lgpl" | "agpl" => family.to_ascii_uppercase(),
        _ => return None,
    };
    let later = rest.strip_suffix('+').or_else(|| rest.strip_suffix("-or-later"));
    let version = later.unwrap_or_else(|| rest.strip_suffix("-only").unwrap_or(rest));
    let version = match version {
        "1" | "2" | "3" => format!("{version}.0"),
        "1.0" | "2.0" | "2.1" | "3.0" => version.to_owned(),
        _ => return None,
    };
    let which = if later.is_some() { "or-later" } else { "only" };
    Some(format!("{family}-{version}-{which}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_readable_files_name_their_licences() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
                    \n\
                    Files: *\nCopyright: X\nLicense: GPL-2+ and BSD-3-clause\n\
                    \n\
                    Files: y\nCopyright: Y\nLicense: Expat or public-domain\n text\n\
                    \n\
                    License: GPL-2+\n text\n";
        assert_eq!(
            licences(text),
            ["BSD-3-Clause", "GPL-2.0-or-later", "LicenseRef-Debian-public-domain", "MIT"]
        );
        assert_eq!(
            short_names("GPL-2+ with OpenSSL exception and ISC"),
            ["GPL-2.0-or-later", "ISC"]
        );
    }

    #[test]
    fn short_names_become_spdx_ids() {
        for (debian, id) in [
            ("GPL-2", "GPL-2.0-only"),
            ("GPL-2.0-only", "GPL-2.0-only"),
            ("gpl-3.0+", "GPL-3.0-or-later"),
            ("LGPL-2.1-or-later", "LGPL-2.1-or-later"),
            ("GPL-2+-with-x", "LicenseRef-Debian-gpl-2--with-x"),
            ("GFDL-1.3+", "LicenseRef-Debian-gfdl-1.3"),
            ("bsd-3-CLAUSE", "BSD-3-Clause"),
            ("Expat", "MIT"),
            ("public-domain", "LicenseRef-Debian-public-domain"),
        ] {
            assert_eq!(spdx(debian), id);
        }
    }

    #[test]
    fn prose_names_none() {
        for text in ["", "This package was debianized by X.\n\nLicense: see below\n", ":\n\n \x01"]
        {
            assert!(licences(text).is_empty(), "{text}");
        }
    }
}
