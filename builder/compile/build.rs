//! Gathers the sources of every unit into a table of (path, bytes) per component, sorted by path.
//!
//! In: `[build]` of each `units/*/unit.toml`, and the folders that it names; for a unit with `with_builder` also the
//! builder's crates that it depends on. Out: `embedded_files.rs`. Only what a compilation reads: manifests, locks,
//! `src`, data and patches.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files at a package's root that count; of its folders, those in [`FOLDERS`] do.
const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "build.rs"];
const FOLDERS: [&str; 5] = ["src", "data", "patches", "assets", "locales"];

fn main() -> io::Result<()> {
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let root = here.join("../..").canonicalize()?;
    let mut code = String::from("const FILES: &[(&str, &[Embedded])] = &[\n");
    for unit in mailkiln_unit::units() {
        let workspace = root.join(&unit.build.workspace);
        let files = match unit.shares_workspace() {
            true => member(&workspace, &unit.name)?,
            false => whole(&workspace)?,
        };
        code += &match unit.build.with_builder {
            true => table(&unit.name, &root, with_builder(&root, unit, files)?)?,
            false => table(&unit.name, &workspace, files)?,
        };
    }
    fs::write(out.join("embedded_files.rs"), code + "];\n")
}

/// Files of a component: path, and whether its content counts. Cargo wants every member of a
/// workspace to have a program or a library, so of those that a component does not use there is an
/// empty one: a change in it does not change the component.
type Files = BTreeMap<String, bool>;

/// The files of a workspace that one unit has for itself: those at its root, and all its members.
fn whole(workspace: &Path) -> io::Result<Files> {
    let mut files = Files::default();
    gather(workspace, "", &mut files)?;
    for package in members(workspace)? {
        gather(workspace, &package, &mut files)?;
    }
    Ok(files)
}

/// The members that a workspace's manifest lists.
fn members(workspace: &Path) -> io::Result<Vec<String>> {
    let manifest: toml::Table =
        fs::read_to_string(workspace.join("Cargo.toml"))?.parse().map_err(io::Error::other)?;
    let listed = manifest.get("workspace").and_then(|table| table.get("members"));
    let listed = listed.and_then(toml::Value::as_array).into_iter().flatten();
    Ok(listed.filter_map(|member| member.as_str().map(str::to_owned)).collect())
}

/// The files of one member of a workspace that units share: its own, those of members that it depends
/// on, and the other members' manifests.
fn member(units: &Path, package: &str) -> io::Result<Files> {
    let mut files = Files::default();
    gather(units, "", &mut files)?;
    let mut used = BTreeSet::new();
    let mut open = vec![package.to_owned()];
    while let Some(package) = open.pop() {
        if used.insert(package.clone()) {
            gather(units, &package, &mut files)?;
            open.extend(path_dependencies(&units.join(package).join("Cargo.toml"))?);
        }
    }
    for other in members(units)?.into_iter().filter(|member| !used.contains(member)) {
        files.insert(format!("{other}/Cargo.toml"), true);
        for source in ["src/lib.rs", "src/main.rs"] {
            let on_disk = units.join(&other).join(source);
            println!("cargo:rerun-if-changed={}", on_disk.display());
            if on_disk.is_file() {
                files.insert(format!("{other}/{source}"), false);
            }
        }
    }
    Ok(files)
}

/// Files of a unit as they are in the whole repository, and those of the builder's crates that it depends on. Those
/// have a workspace of their own, whose manifest says what they share. Of crates that only other members of its
/// workspace use it has the manifests, since cargo reads them for the lock.
fn with_builder(whole: &Path, unit: &mailkiln_unit::Unit, files: Files) -> io::Result<Files> {
    let folder = &unit.build.workspace;
    let workspace = whole.join(folder);
    let mut all: Files =
        files.into_iter().map(|(path, content)| (format!("{folder}/{path}"), content)).collect();
    println!("cargo:rerun-if-changed={}", whole.join("Cargo.toml").display());
    all.insert("Cargo.toml".to_owned(), true);
    let used = builder_crates(whole, &[workspace.join(&unit.name)])?;
    let members = members(&workspace)?.iter().map(|name| workspace.join(name)).collect::<Vec<_>>();
    for package in builder_crates(whole, &members)? {
        let folder = format!("builder/{package}");
        if used.contains(&package) {
            gather(whole, &folder, &mut all)?;
        } else {
            all.insert(format!("{folder}/Cargo.toml"), true);
            all.insert(format!("{folder}/src/lib.rs"), false);
        }
    }
    if used.contains("unit") {
        // That crate lists the units when it is compiled.
        all.extend(
            mailkiln_unit::names().iter().map(|name| (format!("units/{name}/unit.toml"), true)),
        );
    }
    Ok(all)
}

/// The builder's crates that packages depend on, and those that these depend on.
fn builder_crates(whole: &Path, packages: &[PathBuf]) -> io::Result<BTreeSet<String>> {
    let (mut open, mut found) = (Vec::new(), BTreeSet::new());
    for package in packages {
        let manifest = fs::read_to_string(package.join("Cargo.toml"))?;
        open.extend(names_after(&manifest, "path = \"../../builder/"));
    }
    while let Some(package) = open.pop() {
        // `NAME.workspace = true` before the dependencies of its tests.
        let manifest = whole.join("builder").join(&package).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest)?;
        let own = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        open.extend(own.lines().filter_map(|line| {
            let name = line.trim().strip_prefix("mailkiln-")?;
            let name = name.split(['.', ' ']).next()?.to_owned();
            (!found.contains(&name)).then_some(name)
        }));
        found.insert(package);
    }
    Ok(found)
}

/// What follows each `mark` until a quotation mark.
fn names_after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = String> + 'a {
    text.split(mark).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
}

/// Members that a manifest names as `path = "../MEMBER"`.
fn path_dependencies(manifest: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(manifest)?;
    Ok(names_after(&text, "path = \"../").filter(|name| !name.contains('/')).collect())
}

/// Adds the relative paths of a package's files.
fn gather(root: &Path, package: &str, paths: &mut Files) -> io::Result<()> {
    let folder = root.join(package);
    let relative = |name: &str| format!("{package}/{name}").trim_start_matches('/').to_owned();
    for name in FILES {
        let file = folder.join(name);
        println!("cargo:rerun-if-changed={}", file.display());
        if file.is_file() {
            paths.insert(relative(name), true);
        }
    }
    for name in FOLDERS {
        descend(root, &relative(name), paths)?;
    }
    Ok(())
}

fn descend(root: &Path, folder: &str, paths: &mut Files) -> io::Result<()> {
    let on_disk = root.join(folder);
    println!("cargo:rerun-if-changed={}", on_disk.display());
    if !on_disk.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(on_disk)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
        let path = format!("{folder}/{name}");
        // What editors and patch(1) leave behind is nobody's source.
        let stray = name.starts_with('.') || name.ends_with('~') || name.ends_with(".orig");
        let wanted = !folder.starts_with("patches") || name.ends_with(".patch");
        if entry.file_type()?.is_dir() {
            descend(root, &path, paths)?;
        } else if wanted && !stray {
            paths.insert(path, true);
        }
    }
    Ok(())
}

fn table(name: &str, root: &Path, files: Files) -> io::Result<String> {
    let mut code = format!("({name:?}, &[\n");
    for (path, whole) in files {
        let content = if whole {
            let file = root.join(&path);
            println!("cargo:rerun-if-changed={}", file.display());
            let file = file.to_str().ok_or(io::ErrorKind::InvalidData)?;
            format!("include_bytes!({file:?})")
        } else {
            String::from("b\"\"")
        };
        writeln!(code, "    ({path:?}, {content}),").map_err(io::Error::other)?;
    }
    Ok(code + "]),\n")
}
