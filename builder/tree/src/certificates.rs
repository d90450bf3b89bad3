//! The certificate authorities that the machine trusts.
//!
//! In: `/usr/share/ca-certificates/**/*.crt`. Out: `/etc/ssl/certs/ca-certificates.crt`, as
//! `update-ca-certificates` writes it with every authority enabled. The links named by hash are
//! left out: they are for OpenSSL programs that read a folder, and none is in the image.

use crate::draft::{Draft, FixupError};
use crate::{Kind, TreePath};

const SOURCES: &str = "usr/share/ca-certificates";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Writes the bundle; does nothing when the package is not in the image.
pub(crate) fn write(draft: &mut Draft<'_>) -> Result<(), FixupError> {
    let sources: Vec<TreePath> = draft
        .tree
        .within(&TreePath::parse(SOURCES)?)
        .filter(|(path, entry)| {
            path.name().ends_with(".crt") && !matches!(entry.kind, Kind::Directory)
        })
        .map(|(path, _)| path.clone())
        .collect();
    if sources.is_empty() {
        return Ok(());
    }
    let mut bundle = String::new();
    for path in sources {
        let text = draft.text(&path)?.unwrap_or_default();
        let malformed = |why: &str| FixupError::Malformed {
            path: path.to_string(),
            line: 1,
            why: why.to_owned(),
        };
        let text = text.trim_end();
        if text.matches(BEGIN).count() != 1 || !text.starts_with(BEGIN) || !text.ends_with(END) {
            return Err(malformed("one PEM certificate (RFC 7468) is expected"));
        }
        bundle.push_str(text);
        bundle.push('\n');
    }
    draft.write(BUNDLE, bundle.into_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NothingPacked, Tree};

    #[test]
    fn certificates_are_joined_in_order_and_anything_else_is_refused() {
        let pem = |body: &str| format!("{BEGIN}\n{body}\n{END}");
        let mut draft = Draft::new(Tree::default(), &NothingPacked);
        write(&mut draft).unwrap();
        assert!(!draft.has(BUNDLE).unwrap());
        // Without the newline at the end, which would glue two together.
        draft.write_default("usr/share/ca-certificates/mozilla/B.crt", &pem("Qg==")).unwrap();
        draft.write_default("usr/share/ca-certificates/mozilla/A.crt", &pem("QQ==")).unwrap();
        write(&mut draft).unwrap();
        let bundle = draft.text(&TreePath::parse(BUNDLE).unwrap()).unwrap().unwrap();
        assert_eq!(bundle, format!("{}\n{}\n", pem("QQ=="), pem("Qg==")));
        draft.write_default("usr/share/ca-certificates/mozilla/C.crt", "\x01DER").unwrap();
        assert!(write(&mut draft).is_err());
    }
}
