//! Relations between packages: `libc6 (>= 2.41) | libc6-any:any, dpkg`.
//!
//! In: the value of a `Depends`, `Provides`, `Conflicts` … field (Debian Policy §7.1). Out:
//! [`Clause`]s, all of which must hold, each by one of its [`Atom`]s. Pure.

use std::fmt;

use debversion::Version;
use mailkiln_pin::{PackageArch, PackageName};

/// Longest field read, in bytes; the longest of trixie's `Depends` has 25 KiB.
const MAX_FIELD: usize = 256 << 10;

/// Alternatives, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// At least one.
    pub atoms: Vec<Atom>,
}

/// One package in a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// The package's name, or that of a virtual package.
    pub name: PackageName,
    /// What stands after the colon.
    pub qualifier: Qualifier,
    /// The versions that are meant; all when there is none.
    pub constraint: Option<(Operator, Version)>,
}

/// Which architecture of a package is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// That of the package that says it.
    Same,
    /// `:any`: every one, if the package allows it.
    Any,
    /// `:native`, or a named one.
    Only(PackageArch),
    /// One that no image is made for.
    Foreign,
}

/// How versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Exactly,
    /// `>=`
    AtLeast,
    /// `>>`
    Above,
}

/// A relation that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a relation between packages")]
pub struct BadRelation(String);

impl Clause {
    /// Reads the value of a relation field; an empty one has no clauses.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, BadRelation> {
        if text.len() > MAX_FIELD {
            return Err(BadRelation::new(text));
        }
        text.split(',')
            .map(str::trim)
            .filter(|clause| !clause.is_empty())
            .map(|clause| {
                let atoms = clause.split('|').map(|atom| Atom::parse(atom.trim()));
                Ok(Self { atoms: atoms.collect::<Result<_, _>>()? })
            })
            .collect()
    }
}

impl Atom {
    /// Reads `name[:qualifier] [(operator version)]`.
    pub fn parse(text: &str) -> Result<Self, BadRelation> {
        let wrong = || BadRelation::new(text);
        let (name, constraint) = match text.split_once('(') {
            Some((name, rest)) => {
                let inner = rest.strip_suffix(')').ok_or_else(wrong)?.trim();
                (name.trim(), Some(parse_constraint(inner).ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let (name, qualifier) = match name.split_once(':') {
            None => (name, Qualifier::Same),
            Some((name, "any")) => (name, Qualifier::Any),
            Some((name, "native")) => (name, Qualifier::Same),
            Some((name, arch)) => (name, arch.parse().map_or(Qualifier::Foreign, Qualifier::Only)),
        };
        Ok(Self { name: name.parse().map_err(|_| wrong())?, qualifier, constraint })
    }

    /// Whether a package of this version is meant.
    pub fn admits(&self, version: &Version) -> bool {
        self.constraint.as_ref().is_none_or(|(operator, bound)| match operator {
            Operator::Below => version < bound,
            Operator::AtMost => version <= bound,
            Operator::Exactly => version == bound,
            Operator::AtLeast => version >= bound,
            Operator::Above => version > bound,
        })
    }

    /// Whether something that provides the name is meant. `version` is what it provides it as;
    /// without one it meets no constraint (Policy §7.5).
    pub fn admits_provided(&self, version: Option<&Version>) -> bool {
        match version {
            Some(version) => self.admits(version),
            None => self.constraint.is_none(),
        }
    }
}

fn parse_constraint(text: &str) -> Option<(Operator, Version)> {
    let version = text.trim_start_matches(['<', '>', '=']);
    let operator = match text.get(..text.len() - version.len())? {
        "<<" => Operator::Below,
        "<=" | "<" => Operator::AtMost,
        "=" => Operator::Exactly,
        ">=" | ">" => Operator::AtLeast,
        ">>" => Operator::Above,
        _ => return None,
    };
    Some((operator, parse_version(version.trim())?))
}

/// Reads a version as packages have it.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    text.parse::<mailkiln_pin::PackageVersion>().ok()?;
    text.parse().ok()
}

impl BadRelation {
    fn new(text: &str) -> Self {
        Self(text.escape_debug().take(120).collect())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match self.qualifier {
            Qualifier::Same => {}
            Qualifier::Any => f.write_str(":any")?,
            Qualifier::Only(arch) => write!(f, ":{arch}")?,
            Qualifier::Foreign => f.write_str(":foreign")?,
        }
        if let Some((operator, version)) = &self.constraint {
            let operator = match operator {
                Operator::Below => "<<",
                Operator::AtMost => "<=",
                Operator::Exactly => "=",
                Operator::AtLeast => ">=",
                Operator::Above => ">>",
            };
            write!(f, " ({operator} {version})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read() {
        let cases: [(&str, &[&[&str]]); 7] = [
            ("", &[]),
            ("libc6", &[&["libc6"]]),
            ("libc6 (>= 2.41), dpkg(<<1:2~)", &[&["libc6 (>= 2.41)"], &["dpkg (<< 1:2~)"]]),
            ("a1 | b2 (= 1-1) | c3:any", &[&["a1", "b2 (= 1-1)", "c3:any"]]),
            (
                "python3:any (>= 3.13~),\n perl:amd64",
                &[&["python3:any (>= 3.13~)"], &["perl:amd64"]],
            ),
            ("a1:mips, a1:native", &[&["a1:foreign"], &["a1"]]),
            ("a1 (< 1), ", &[&["a1 (<= 1)"]]),
        ];
        for (text, wanted) in cases {
            let clauses = Clause::parse_all(text).unwrap();
            let shown: Vec<Vec<_>> = clauses
                .iter()
                .map(|clause| clause.atoms.iter().map(ToString::to_string).collect())
                .collect();
            assert_eq!(shown, wanted, "{text}");
        }
        for wrong in [
            "A1",
            "a1 (1)",
            "a1 (>= )",
            "a1 (>= 1",
            "a1 | ",
            "a1 (>=< 1)",
            "a1 (= 1 2)",
            "a1 (>= é)",
        ] {
            assert!(Clause::parse_all(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_are_compared_as_debian_does() {
        let cases = [
            ("a1 (>= 1.10)", "1.9", false),
            ("a1 (>= 1.9)", "1.10", true),
            ("a1 (<< 1.0)", "1.0~rc1", true),
            ("a1 (= 1.0)", "1.0-1", false),
            ("a1 (<= 1.0)", "1.0", true),
            ("a1 (>> 2)", "1:1", true),
            ("a1 (>= 1.0-1)", "1.0-1+deb13u1", true),
            ("a1", "0", true),
        ];
        for (atom, version, wanted) in cases {
            let version = parse_version(version).unwrap();
            assert_eq!(Atom::parse(atom).unwrap().admits(&version), wanted, "{atom} {version}");
        }
        assert!(!Atom::parse("a1 (>= 1)").unwrap().admits_provided(None));
        assert!(Atom::parse("a1").unwrap().admits_provided(None));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "([a-z0-9+.:|,()<>=~ -]|\\PC){0,60}") {
            let _ = Clause::parse_all(&text);
        }
    }
}
