//! How cargo is called, as values: arguments and environment.
//!
//! In: a component, a target and where its folders stand. Out: what the command gets. Pure, and
//! part of a unit's cache key, so whoever changes a flag here makes new units. Nothing of the
//! host is in it but, outside the sandbox, the paths that are remapped away.

use std::collections::BTreeMap;

use mailkiln_pin::Arch;

use crate::component::{Component, Features};

/// Where a build's folders stand for the compiler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) source: &'a str,
    pub(crate) build: &'a str,
}

/// What the compiler is told to be at those places, wherever they really are.
const NAMES: Places<'_> = Places { source: "/unit", build: "/build" };

/// The architecture that this program, and so its toolchain, runs on.
pub(crate) const fn host() -> Option<Arch> {
    if cfg!(target_arch = "x86_64") {
        Some(Arch::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Arch::Aarch64)
    } else {
        None
    }
}

/// Arguments of `cargo build`, without the number of jobs.
pub(crate) fn build(component: &Component, target: Arch) -> Vec<String> {
    let mut arguments = vec![
        String::from("build"),
        String::from("--release"),
        String::from("--message-format=json-render-diagnostics"),
        format!("--target={}", target.rust()),
        format!("--package={}", component.package),
    ];
    arguments.extend(component.binaries.iter().map(|binary| format!("--bin={binary}")));
    arguments.extend(offline(&component.features));
    arguments
}

/// Arguments of `cargo metadata` for the same build.
pub(crate) fn metadata(component: &Component, target: Arch) -> Vec<String> {
    let mut arguments = vec![
        String::from("metadata"),
        String::from("--format-version=1"),
        format!("--filter-platform={}", target.rust()),
    ];
    arguments.extend(offline(&component.features));
    arguments
}

fn offline(features: &Features) -> Vec<String> {
    let mut arguments = vec![String::from("--locked"), String::from("--offline")];
    if !features.default {
        arguments.push(String::from("--no-default-features"));
    }
    if !features.others.is_empty() {
        arguments.push(format!("--features={}", features.others.join(",")));
    }
    arguments
}

/// cargo's configuration file: the registry is the folder `vendor` beside the manifest.
pub(crate) const CONFIGURATION: &str = "\
[source.crates-io]
replace-with = \"vendor\"
[source.vendor]
directory = \"vendor\"
";

/// Variables that make a build repeatable, wherever it runs.
pub(crate) fn environment(
    component: &Component,
    target: Arch,
    places: Places<'_>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from(
        [
            ("CARGO_INCREMENTAL", "0"),
            ("CARGO_NET_OFFLINE", "true"),
            ("CARGO_TERM_COLOR", "never"),
            // const-random draws its keys from this instead of the system's generator.
            ("CONST_RANDOM_SEED", "mailkiln"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("SOURCE_DATE_EPOCH", "1000000000"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let Places { build, .. } = places;
    variables.insert(String::from("CARGO_HOME"), format!("{build}/cargo"));
    variables.insert(String::from("CARGO_TARGET_DIR"), format!("{build}/target"));
    // cargo splits this variable at the unit separator, so paths may hold spaces.
    let rustflags = rustflags(component, places).join("\u{1f}");
    variables.insert(String::from("CARGO_ENCODED_RUSTFLAGS"), rustflags);
    if let Some(flags) = c_flags(places) {
        variables.insert(format!("CFLAGS_{}", target.rust().replace('-', "_")), flags);
    }
    variables.extend(component.environment.clone());
    variables
}

/// Variables of the sandbox alone: its tools by their full names, so that no link or default
/// decides which compiler is meant.
pub(crate) fn sandbox_environment(target: Arch, build: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        (String::from("HOME"), format!("{build}/home")),
        (String::from("PATH"), String::from("/usr/bin")),
        (String::from("TMPDIR"), String::from("/tmp")),
        (String::from("USER"), String::from("build")),
    ]);
    for arch in [Some(target), host()].into_iter().flatten() {
        let (triple, tools) = (arch.rust(), arch.multiarch());
        let lower = triple.replace('-', "_");
        let upper = lower.to_ascii_uppercase();
        variables.insert(format!("AR_{lower}"), format!("{tools}-ar"));
        variables.insert(format!("CC_{lower}"), format!("{tools}-gcc"));
        variables.insert(format!("RANLIB_{lower}"), format!("{tools}-ranlib"));
        variables.insert(format!("CARGO_TARGET_{upper}_LINKER"), format!("{tools}-gcc"));
    }
    variables
}

fn rustflags(component: &Component, places: Places<'_>) -> Vec<String> {
    let remap = |from: &str, to: &str| format!("--remap-path-prefix={from}={to}");
    let mut flags = vec![
        // The last match wins: the broader path comes first.
        remap(places.source, NAMES.source),
        remap(&format!("{}/vendor", places.source), "/crates"),
        remap(places.build, NAMES.build),
        // An identifier of the linker's own is one more thing that could differ.
        String::from("-Clink-arg=-Wl,--build-id=none"),
        String::from("-Cstrip=symbols"),
    ];
    flags.extend(component.rustflags.iter().cloned());
    flags
}

/// The same for C; nothing where a path with a space would be taken for two flags.
fn c_flags(places: Places<'_>) -> Option<String> {
    let map = |from: &str, to: &str| format!("-ffile-prefix-map={from}={to}");
    (!places.source.contains(char::is_whitespace) && !places.build.contains(char::is_whitespace))
        .then(|| {
            [
                map(places.source, NAMES.source),
                map(&format!("{}/vendor", places.source), "/crates"),
                map(places.build, NAMES.build),
            ]
            .join(" ")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Component {
        Component {
            name: String::from("x"),
            files: BTreeMap::new(),
            folder: String::new(),
            patches: Vec::new(),
            package: String::from("x"),
            binaries: vec![String::from("y")],
            features: Features { default: false, others: vec!["a".into(), "b".into()] },
            rustflags: vec![String::from("-Ctarget-feature=+crt-static")],
            environment: BTreeMap::from([("CONST_RANDOM_SEED".into(), "own".into())]),
        }
    }

    #[test]
    fn a_build_names_its_target_package_and_features() {
        let arguments = build(&component(), Arch::Aarch64).join(" ");
        for wanted in [
            "build --release",
            "--target=aarch64-unknown-linux-gnu",
            "--package=x --bin=y --locked --offline --no-default-features --features=a,b",
        ] {
            assert!(arguments.contains(wanted), "{arguments}");
        }
    }

    #[test]
    fn paths_are_remapped_and_a_component_has_the_last_word() {
        let places = Places { source: "/home/a b/src", build: "/home/a b/build" };
        let variables = environment(&component(), Arch::X86_64, places);
        let flags: Vec<_> = variables["CARGO_ENCODED_RUSTFLAGS"].split('\u{1f}').collect();
        assert!(flags.contains(&"--remap-path-prefix=/home/a b/src/vendor=/crates"));
        assert_eq!(flags.last(), Some(&"-Ctarget-feature=+crt-static"));
        assert_eq!(variables["CONST_RANDOM_SEED"], "own");
        assert!(!variables.keys().any(|name| name.starts_with("CFLAGS")));
    }

    #[test]
    fn a_cross_build_names_both_compilers() {
        let variables = sandbox_environment(Arch::Aarch64, "/build");
        assert_eq!(variables["CC_aarch64_unknown_linux_gnu"], "aarch64-linux-gnu-gcc");
        assert_eq!(
            variables["CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"],
            "aarch64-linux-gnu-gcc"
        );
        let own = host().unwrap();
        assert_eq!(
            variables[&format!("AR_{}", own.rust().replace('-', "_"))],
            format!("{}-ar", own.multiarch())
        );
    }
}
