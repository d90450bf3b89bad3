use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use mailkiln_pin::Sha256;

use super::*;
use crate::Silent;

/// A cargo home whose registries hold these bytes as `x-1.0.0.crate`, and an empty cache.
fn homes(registries: &[&str]) -> (tempfile::TempDir, PathBuf, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("cargo");
    for (number, content) in registries.iter().enumerate() {
        let registry = home.join("registry/cache").join(format!("registry-{number}"));
        fs::create_dir_all(&registry).unwrap();
        fs::write(registry.join("x-1.0.0.crate"), content).unwrap();
    }
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    (folder, home, cache)
}

fn pinned(content: &str) -> [LockedCrate; 1] {
    [LockedCrate {
        name: String::from("x"),
        version: String::from("1.0.0"),
        sha256: Sha256::of(content.as_bytes()),
    }]
}

#[test]
fn cargos_crates_are_taken_over_if_they_hash_right() {
    let crates = pinned("right");
    for registries in [&["right"][..], &["wrong", "right"], &["right", "wrong"]] {
        let (_folder, home, cache) = homes(registries);
        import(&crates, &home, &cache).unwrap();
        assert!(missing(&crates, &cache).is_empty(), "{registries:?}");
    }
    let (_folder, home, cache) = homes(&["wrong", "other"]);
    let error = import(&crates, &home, &cache).unwrap_err();
    assert!(matches!(error, CratesError::Cache(CacheError::Altered { .. })), "{error}");
    assert_eq!(missing(&crates, &cache).len(), 1);
}

#[test]
fn a_cargo_that_never_fetched_is_no_error() {
    let (_folder, home, cache) = homes(&[]);
    let crates = pinned("right");
    import(&crates, &home, &cache).unwrap();
    assert_eq!(missing(&crates, &cache).len(), 1);
}

/// `x` of some version, as a registry has it.
fn published(version: &str) -> Vec<u8> {
    let manifest =
        format!("[package]\nname = \"x\"\nversion = \"{version}\"\nedition = \"2021\"\n");
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in [("Cargo.toml", manifest.as_str()), ("src/lib.rs", "")] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, format!("x-{version}/{name}"), content.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// Serves these versions of `x` as a sparse registry (The Cargo Book, "Registry Index"), and returns its address.
fn registry(versions: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut files = BTreeMap::from([(
        "/config.json".to_owned(),
        format!(r#"{{"dl": "{address}/{{version}}"}}"#).into_bytes(),
    )]);
    let mut index = String::new();
    for version in versions {
        let bytes = published(version);
        let checksum = Sha256::of(&bytes);
        index += &format!(
            r#"{{"name":"x","vers":"{version}","deps":[],"cksum":"{checksum}","features":{{}},"yanked":true}}"#
        );
        index.push('\n');
        files.insert(format!("/{version}"), bytes);
    }
    files.insert("/1/x".to_owned(), index.into_bytes());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            let body = first.split(' ').nth(1).and_then(|path| files.get(path));
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.cloned().unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    address
}

/// On a machine whose cargo has never fetched anything: crates that only patched manifests ask for, and versions that
/// were yanked after they had been locked.
#[test]
fn every_locked_crate_is_fetched_whatever_the_manifests_ask_for() {
    let (_folder, home, cache) = homes(&[]);
    let address = registry(&["1.0.0", "2.0.0"]);
    fs::create_dir_all(&home).unwrap();
    fs::write(
        home.join("config.toml"),
        format!(
            "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nregistry = \"sparse+{address}/\"\n"
        ),
    )
    .unwrap();
    let checksum = Sha256::of(&published("2.0.0"));
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"unit\"\nversion = \"0.1.0\"\ndependencies = [\"x\"]\n\n[[package]]\nname = \"x\"\n\
         version = \"2.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{checksum}\"\n"
    );
    let manifest = "[package]\nname = \"unit\"\nversion = \"0.1.0\"\n\n[dependencies]\nx = \"1\"\n";
    let component = Component {
        name: "unit".to_owned(),
        files: BTreeMap::from([
            ("Cargo.toml".to_owned(), manifest.as_bytes().into()),
            ("Cargo.lock".to_owned(), lock.into_bytes().into()),
            ("src/lib.rs".to_owned(), Cow::default()),
        ]),
        folder: String::new(),
        patches: Vec::new(),
        package: "unit".to_owned(),
        binaries: Vec::new(),
        features: crate::Features::default(),
        rustflags: Vec::new(),
        environment: BTreeMap::new(),
    };
    let crates = component.crates().unwrap();
    obtain_from(&home, &component, &crates, &cache, &Silent).unwrap();
    assert!(missing(&crates, &cache).is_empty());
}
