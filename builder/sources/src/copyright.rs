//! Licences of a package.
//!
//! In: `/usr/share/doc/PACKAGE/copyright`. Out: SPDX names where Debian's short names have one,
//! `LicenseRef-…` where not. Format: DEP-5, the machine-readable copyright file 1.0. A file in
//! free prose yields nothing, and the SBOM then says `NOASSERTION`.

use std::collections::BTreeSet;

use deb822_fast::Deb822;

/// Debian's short names that SPDX spells differently.
const SPDX: [(&str, &str); 32] = [
    ("agpl-3", "AGPL-3.0-only"),
    ("agpl-3+", "AGPL-3.0-or-later"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsl-1.0", "BSL-1.0"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("expat", "MIT"),
    ("gpl-1", "GPL-1.0-only"),
    ("gpl-1+", "GPL-1.0-or-later"),
    ("gpl-2", "GPL-2.0-only"),
    ("gpl-2+", "GPL-2.0-or-later"),
    ("gpl-3", "GPL-3.0-only"),
    ("gpl-3+", "GPL-3.0-or-later"),
    ("isc", "ISC"),
    ("lgpl-2", "LGPL-2.0-only"),
    ("lgpl-2+", "LGPL-2.0-or-later"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-2.1+", "LGPL-2.1-or-later"),
    ("lgpl-3", "LGPL-3.0-only"),
    ("lgpl-3+", "LGPL-3.0-or-later"),
    ("mit", "MIT"),
    ("mit-0", "MIT-0"),
    ("mpl-2.0", "MPL-2.0"),
    ("unlicense", "Unlicense"),
    ("zlib", "Zlib"),
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
    if let Some((_, id)) = SPDX.iter().find(|(debian, _)| *debian == lower) {
        return (*id).to_owned();
    }
    // SPDX 2.3, annex D: idstring = 1*(ALPHA / DIGIT / "-" / ".").
    let idstring: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    format!("LicenseRef-Debian-{}", idstring.trim_matches('-'))
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
    fn prose_names_none() {
        for text in ["", "This package was debianized by X.\n\nLicense: see below\n", ":\n\n \x01"]
        {
            assert!(licences(text).is_empty(), "{text}");
        }
    }
}
