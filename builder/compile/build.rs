//! Gathers the sources of `units/` into a table of (path, bytes) per component, sorted by path.
//!
//! In: `units/{Cargo.toml,Cargo.lock,init,store,agent,acme}`, `units/filter` and `units/mail-server`; for the agent
//! also the builder's crates that it renders `mail.toml` with. Out: `embedded_files.rs`. Only what a compilation
//! reads: manifests, locks, `src`, data and patches.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files at a package's root that count; of its folders, those in [`FOLDERS`] do.
const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "build.rs"];
const FOLDERS: [&str; 3] = ["src", "data", "patches"];
/// The members of the workspace `units`.
const MEMBERS: [&str; 4] = ["init", "store", "agent", "acme"];

fn main() -> io::Result<()> {
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let units = here.join("../../units").canonicalize()?;
    let mut code = String::new();
    let whole = here.join("../..").canonicalize()?;
    for package in ["init", "agent", "acme"] {
        let files = with_model(&whole, member(&units, package)?, package == "agent")?;
        code += &table(&package.to_uppercase(), &whole, files)?;
    }
    let mut filter = Files::default();
    for package in ["", "inspect", "program"] {
        gather(&units.join("filter"), package, &mut filter)?;
    }
    let mut mail_server = Files::default();
    gather(&units.join("mail-server"), "", &mut mail_server)?;
    code += &table("FILTER", &units.join("filter"), filter)?;
    code += &table("MAIL_SERVER", &units.join("mail-server"), mail_server)?;
    fs::write(out.join("embedded_files.rs"), code)
}

/// Files of a component: path, and whether its content counts. Cargo wants every member of a
/// workspace to have a program or a library, so of those that a component does not use there is an
/// empty one: a change in it does not change the component.
type Files = BTreeMap<String, bool>;

/// The files of one member of the appliance's workspace: its own, those of members that it depends
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
    for other in MEMBERS.iter().filter(|member| !used.contains(**member)) {
        files.insert(format!("{other}/Cargo.toml"), true);
        for source in ["src/lib.rs", "src/main.rs"] {
            let on_disk = units.join(other).join(source);
            println!("cargo:rerun-if-changed={}", on_disk.display());
            if on_disk.is_file() {
                files.insert(format!("{other}/{source}"), false);
            }
        }
    }
    Ok(files)
}

/// Files of a member of `units`, as they are in the whole repository, and those of the builder's crates that the
/// agent depends on. Those have a workspace of their own, whose manifest says what they share. Who does not use
/// them has their manifests alone, since cargo reads them for the lock.
fn with_model(whole: &Path, files: Files, uses_them: bool) -> io::Result<Files> {
    let mut all: Files =
        files.into_iter().map(|(path, content)| (format!("units/{path}"), content)).collect();
    println!("cargo:rerun-if-changed={}", whole.join("Cargo.toml").display());
    all.insert("Cargo.toml".to_owned(), true);
    let manifest = fs::read_to_string(whole.join("units/agent/Cargo.toml"))?;
    let mut open: Vec<String> = names_after(&manifest, "path = \"../../builder/").collect();
    while let Some(package) = open.pop() {
        if all.contains_key(&format!("builder/{package}/Cargo.toml")) {
            continue;
        }
        let folder = format!("builder/{package}");
        if uses_them {
            gather(whole, &folder, &mut all)?;
        } else {
            all.insert(format!("{folder}/Cargo.toml"), true);
            all.insert(format!("{folder}/src/lib.rs"), false);
        }
        // `NAME.workspace = true` before the dependencies of its tests.
        let manifest = fs::read_to_string(whole.join(&folder).join("Cargo.toml"))?;
        let own = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        open.extend(own.lines().filter_map(|line| {
            let name = line.trim().strip_prefix("mailkiln-")?;
            Some(name.split(['.', ' ']).next()?.to_owned())
        }));
    }
    Ok(all)
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
    let mut code = format!("const {name}: &[(&str, &[u8])] = &[\n");
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
    Ok(code + "];\n")
}
