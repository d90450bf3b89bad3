//! EICAR in every container.

mod made;

use made::archives::{self, zip, zip_by};
use made::{classes, documents, eicar, found, message};
use mailkiln_inspect::Class;
use rars::ArchiveVersion::{Rar15, Rar20, Rar29, Rar50, Rar70};
use zip::CompressionMethod::{Bzip2, Deflated, Stored, Xz};

#[test]
fn eicar_is_found_in_every_container() {
    let eicar = eicar();
    let members: &[(&str, &[u8])] = &[("readme.txt", b"nothing here"), ("a.txt", &eicar)];
    let tar = archives::tar(members);
    let rar = |version, is_stored| archives::rar(members, version, is_stored);
    for (name, container) in [
        ("a.txt", eicar.clone()),
        ("a.zip", zip_by(members, Deflated)),
        ("a.zip", zip_by(members, Stored)),
        ("a.zip", zip_by(members, Bzip2)),
        ("a.zip", zip_by(members, Xz)),
        ("a.7z", archives::sevenzip(members)),
        ("a.rar", rar(Rar15, false)),
        ("a.rar", rar(Rar20, false)),
        ("a.rar", rar(Rar29, false)),
        ("a.rar", rar(Rar50, false)),
        ("a.rar", rar(Rar70, false)),
        ("a.rar", rar(Rar50, true)),
        ("a.tar", tar.clone()),
        ("a.tar.gz", archives::gzip(&tar)),
        ("a.gz", archives::gzip(&eicar)),
        ("a.bz2", archives::bzip2(&eicar)),
        ("a.xz", archives::xz(&eicar)),
        ("a.lzma", archives::lzma(&eicar)),
        ("a.tar.zst", archives::zstd(&tar)),
        ("a.iso", archives::iso("A.TXT", &eicar)),
        ("a.cab", archives::cab(members)),
        ("a.one", archives::onenote(&eicar)),
        ("winmail.dat", archives::tnef("a.txt", &eicar)),
        ("a.uue", archives::uuencoded("a.txt", &eicar)),
        ("a.eml", message("a.txt", &eicar)),
        (
            "a.msg",
            archives::ole(&[(
                "/__attach_version1.0_#00000000/__substg1.0_37010102",
                eicar.clone(),
            )]),
        ),
        ("a.docx", documents::ooxml(&[("word/media/a.bin", &eicar)])),
    ] {
        let classes = classes(&message(name, &container));
        assert!(
            classes.contains(&Class::Malware),
            "{name}: {:?}",
            found(&message(name, &container))
        );
        let others: Vec<_> = classes.iter().filter(|class| **class != Class::Malware).collect();
        assert!(others.is_empty(), "{name}: {others:?}");
    }
}

#[test]
fn the_place_is_told_from_the_outside_in() {
    let eicar = eicar();
    let inner = zip(&[("c.txt", &eicar)]);
    let findings = found(&message("a.zip", &zip(&[("b.zip", &inner)])));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].place, ["a.zip", "b.zip", "c.txt"]);
    assert_eq!(findings[0].part, Some(1));
}

#[test]
fn names_in_archives_count() {
    let members: &[(&str, &[u8])] = &[("invoice.pdf.exe", b"x"), ("run.js", b"y"), ("a.lnk", b"z")];
    for archive in [
        zip(members),
        archives::sevenzip(members),
        archives::rar(members, Rar50, false),
        archives::rar(members, Rar29, false),
        archives::tar(members),
        archives::cab(members),
    ] {
        let classes = classes(&message("a.bin", &archive));
        assert_eq!(
            classes,
            [Class::DeceptiveName, Class::Executable, Class::Script, Class::Shortcut]
        );
    }
}

#[test]
fn archives_with_a_password_are_told_and_their_names_count() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/locked");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let classes = classes(&message(&name, &std::fs::read(&path).unwrap()));
        let expected: &[Class] = match name.contains("visible") {
            true => &[Class::Executable, Class::EncryptedArchive],
            false => &[Class::EncryptedArchive],
        };
        assert_eq!(classes, expected, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn damaged_archives_are_told() {
    let members: &[(&str, &[u8])] = &[("a.txt", &[b'x'; 5000]), ("b.txt", b"y")];
    for (name, archive) in [
        ("a.zip", zip(members)),
        ("a.7z", archives::sevenzip(members)),
        ("a.rar", archives::rar(members, Rar50, true)),
        ("a.gz", archives::gzip(&[b'x'; 5000])),
        ("a.xz", archives::xz(&[b'x'; 5000])),
        ("a.cab", archives::cab(members)),
        ("a.tar", archives::tar(members)),
    ] {
        let half = &archive[..archive.len() / 2];
        assert!(
            classes(&message(name, half))
                .iter()
                .any(|class| matches!(class, Class::Damaged | Class::Ambiguous)),
            "{name}: {:?}",
            found(&message(name, half))
        );
    }
}

#[test]
fn what_fuzzing_found_is_told_as_ambiguous() {
    for cabinet in [
        include_bytes!("fixtures/crashes/offset-behind-the-data.cab").as_slice(),
        include_bytes!("fixtures/crashes/stored-block-of-another-size.cab"),
    ] {
        assert_eq!(classes(&message("a.cab", cabinet)), [Class::Ambiguous]);
    }
}

#[test]
fn an_archive_that_is_stored_in_an_archive_has_one_reading() {
    let report = zip_by(&[("word/document.xml", b"<w:document/>"), ("b.txt", b"y")], Deflated);
    let mut archive = zip_by(&[("a.txt", b"x"), ("report.zip", &report)], Stored);
    for method in [Stored, Deflated, Stored, Stored, Deflated, Deflated, Deflated, Deflated] {
        archive = zip_by(&[("first.txt", b"x"), ("a.zip", &archive), ("last.txt", b"x")], method);
        assert!(found(&message("a.zip", &archive)).is_empty());
    }
    let eicar = eicar();
    let hidden = zip_by(&[("a.txt", &eicar)], Stored);
    let outer = zip_by(&[("a.zip", &hidden)], Stored);
    assert!(classes(&message("a.zip", &outer)).contains(&Class::Malware));
}
