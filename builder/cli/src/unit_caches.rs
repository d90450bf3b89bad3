//! The unit caches that a build may take compiled units from, and the keys that it trusts.
//!
//! In: options, environment, `mail.toml`. Out: [`UnitCaches`], the first to be asked first.

use std::env;
use std::fs;
use std::path::Path;

use mailkiln_assemble::UnitCaches;
use mailkiln_fetch::Base;

use crate::commands::public_key;
use crate::failure::Failure;

/// What was written in one place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written<'a> {
    /// Addresses and paths.
    pub(crate) from: &'a [String],
    /// Keys.
    pub(crate) keys: &'a [String],
}

/// What the command line says, then the environment (`MAILKILN_UNITS_FROM` and
/// `MAILKILN_UNITS_KEY`, several values with blanks between them), then `mail.toml`. Addresses come from the first
/// of these that names any; keys from all.
///
/// # Errors
/// [`Failure`] when an address or key is not one, or there are addresses and no key.
pub(crate) fn gather(options: Written<'_>, spec: Written<'_>) -> Result<UnitCaches, Failure> {
    let variable = |name| -> Vec<String> {
        let value = env::var(name).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    let (from, keys) = (variable("MAILKILN_UNITS_FROM"), variable("MAILKILN_UNITS_KEY"));
    of(&[options, Written { from: &from, keys: &keys }, spec])
}

fn of(places: &[Written<'_>]) -> Result<UnitCaches, Failure> {
    let from = places.iter().map(|place| place.from).find(|from| !from.is_empty());
    let bases: Vec<Base> =
        from.unwrap_or_default().iter().map(|text| base(text)).collect::<Result<_, _>>()?;
    let keys = places.iter().flat_map(|place| place.keys);
    let keys: Vec<_> = keys.map(|text| public_key(text)).collect::<Result<_, _>>()?;
    if let Some(first) = bases.first().filter(|_| keys.is_empty()) {
        return Err(Failure::Input {
            message: format!("no key is given for the unit cache {first}"),
            causes: Vec::new(),
            hint: Some(
                "add --trusted-public-key NAME:BASE64, MAILKILN_UNITS_KEY or `units_keys` in [build]: what `mailkiln keygen` \
                 printed for whoever signs the units"
                    .to_owned(),
            ),
        });
    }
    Ok(UnitCaches { bases, keys })
}

/// An address, or the path of a folder.
///
/// # Errors
/// [`Failure`] when it is neither.
pub(crate) fn base(text: &str) -> Result<Base, Failure> {
    if text.contains("://") || text.starts_with("file:/") {
        return Base::parse(text).map_err(|_| Failure::Input {
            message: format!("`{}` is not the address of a unit cache", text.escape_debug()),
            causes: Vec::new(),
            hint: Some(
                "use an https://, http:// or file:/// URL, or the path of a folder".to_owned(),
            ),
        });
    }
    let path = Path::new(text);
    let folder = fs::canonicalize(path).map_err(Failure::file("find the unit cache", path))?;
    Base::folder(&folder).map_err(|error| Failure::input(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "test-1:qi4BEtHhBmIpa6xyPWhfJXGbYx0G1kY5RDz+7ujZ4Rw=";

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_most_specific_place_names_the_caches_and_all_name_keys() {
        let (option, spec) = (texts(&["https://a.example"]), texts(&["https://b.example/units/"]));
        let key = texts(&[KEY]);
        let none = Written::default();
        let spec = Written { from: &spec, keys: &key };
        let shown = |places: &[Written<'_>]| {
            let caches = of(places).unwrap();
            let bases: Vec<_> = caches.bases.iter().map(ToString::to_string).collect();
            (bases.join(" "), caches.keys.len())
        };
        let option = Written { from: &option, keys: &[] };
        assert_eq!(shown(&[none, none, none]), (String::new(), 0));
        assert_eq!(shown(&[none, none, spec]), ("https://b.example/units".to_owned(), 1));
        assert_eq!(shown(&[option, none, spec]), ("https://a.example".to_owned(), 1));
        let error = of(&[option]).unwrap_err();
        assert!(error.to_string().starts_with("no key is given for the unit cache https://a"));
    }

    #[test]
    fn a_folder_is_found_whatever_its_name_and_other_words_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a b#c");
        fs::create_dir(&odd).unwrap();
        let found = base(odd.to_str().unwrap()).unwrap();
        assert!(found.join("x").ends_with("/a b#c/x"));
        for wrong in ["ftp://a.example", "https://", "/does/not/exist", ""] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }
}
