use super::samples::{self, Packing, deb, deb_of, directory, file, member, tar};
use super::*;
use mailkiln_tree::TreePath;

fn walk(deb: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, DebError> {
    let deb = Deb::parse(deb)?;
    deb.control_files()?;
    let mut members = deb.data()?;
    let mut found = Vec::new();
    while let Some(member) = members.next()? {
        let content = members.content()?;
        found.push((member, content));
    }
    Ok(found)
}

fn refusal(deb: &[u8]) -> String {
    walk(deb).unwrap_err().to_string()
}

#[test]
fn every_compression_of_the_format_is_read() {
    let long = format!("./usr/{}/x", "d".repeat(150));
    let data = tar(&[directory("./"), file(&long, b"content"), member(b'2', "./l", &long, b"")]);
    for packing in [Packing::None, Packing::Xz, Packing::Zstd, Packing::Gzip] {
        let found = walk(&deb_of(&data, packing)).unwrap();
        let [root, file, link] = &found[..] else { panic!("{packing:?}: {found:?}") };
        assert_eq!(root.0.path, TreePath::ROOT);
        assert_eq!((file.0.path.as_str(), file.0.size), (&long[2..], 7));
        assert_eq!(file.1, b"content");
        assert_eq!(link.0.kind, MemberKind::Symlink(long.clone()));
    }
}

#[test]
fn members_that_no_image_can_hold_are_refused() {
    for (sample, why) in [
        (file("./../etc/passwd", b""), "leave its place"),
        (file("./usr/../../etc/passwd", b""), "leave its place"),
        (file("/etc/passwd", b""), "absolute"),
        (file("./a\nb", b""), "control character"),
        (file("./a//b", b""), "component is empty"),
        (member(b'3', "./dev/sda", "", b""), "device node"),
        (member(b'4', "./dev/sda", "", b""), "device node"),
        (member(b'6', "./pipe", "", b""), "no place in a package"),
        (member(b'x', "./pax", "", b"20 path=../../x\n"), "no place in a package"),
        (member(b'S', "./sparse", "", b""), "no place in a package"),
        (member(b'1', "./a", "../../etc/shadow", b""), "leave its place"),
        (member(b'1', "./a", "/etc/shadow", b""), "absolute"),
        (member(b'2', "./a", "", b""), "link target is empty"),
        (member(b'2', "./a", "b\x1b[2J", b""), "not printable"),
        (member(b'5', "./a", "", b"x"), "yet has contents"),
    ] {
        let message = refusal(&deb(std::slice::from_ref(&sample)));
        assert!(message.contains(why), "{}: {message}", sample.path);
    }
}

#[test]
fn damaged_archives_are_refused() {
    let good = tar(&[file("./a", &[b'x'; 600])]);
    let edit = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut data = good.clone();
        edit(&mut data);
        refusal(&deb_of(&data, Packing::None))
    };
    for (message, why) in [
        (edit(&|data| data[0] ^= 1), "checksum"),
        (edit(&|data| data.truncate(data.len() - 1024)), "ends early"),
        (edit(&|data| data.truncate(700)), "ends early"),
        (edit(&|data| data.truncate(data.len() - 512)), "ends early"),
        (edit(&|data| data.push(1)), "something follows"),
        (edit(&|data| data.resize(2 << 20, 0)), "something follows"),
        (edit(&|data| data.clear()), "ends early"),
    ] {
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn a_blank_owner_is_root_and_others_are_numbers() {
    let owner = |field: &[u8; 8]| {
        let mut data = tar(&[file("./a", b"")]);
        data[108..116].copy_from_slice(field);
        data[148..156].copy_from_slice(b"        ");
        let sum: u32 = data[..512].iter().map(|byte| u32::from(*byte)).sum();
        data[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        walk(&deb_of(&data, Packing::None)).map(|found| found[0].0.uid)
    };
    assert_eq!(owner(b"\0\0\0\0\0\0\0\0").unwrap(), 0);
    assert_eq!(owner(b"0000052\0").unwrap(), 42);
    assert!(owner(b"someone\0").unwrap_err().to_string().contains("not a number of 32 bits"));
}

#[test]
fn a_size_beyond_all_bounds_is_refused_before_anything_is_allocated() {
    let mut data = tar(&[file("./a", b"")]);
    // 64 GiB - 1, in octal; then the checksum of the changed header.
    data[124..136].copy_from_slice(b"77777777777\0");
    data[148..156].copy_from_slice(b"        ");
    let sum: u32 = data[..512].iter().map(|byte| u32::from(*byte)).sum();
    data[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(refusal(&deb_of(&data, Packing::None)).contains("more than a package may"));
}

#[test]
fn compressed_parts_end_where_they_end() {
    let data = tar(&[file("./a", b"x")]);
    for packing in [Packing::Xz, Packing::Zstd, Packing::Gzip] {
        let (whole, suffix) = samples::compress(&data, packing);
        let control = tar(&[file("./control", samples::CONTROL)]);
        let name = format!("data.tar{suffix}");
        let refused = |data: &[u8]| {
            let parts =
                [("debian-binary", &b"2.0\n"[..]), ("control.tar", &control), (&name, data)];
            walk(&samples::ar(&parts)).is_err()
        };
        assert!(!refused(&whole), "{packing:?}");
        assert!(refused(&whole[..whole.len() - 3]), "{packing:?} cut short");
        assert!(refused(&[&whole[..], b"garbage"].concat()), "{packing:?} with garbage");
    }
}

#[test]
fn the_outer_frame_is_checked() {
    let control = tar(&[file("./control", samples::CONTROL)]);
    let data = tar(&[]);
    let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let parts = [version, ("control.tar", &control[..]), ("data.tar", &data[..])];
    assert!(walk(&samples::ar(&parts)).is_ok());
    for (bytes, why) in [
        (b"".to_vec(), "not an ar archive"),
        (b"!<arch>\n".to_vec(), "ends early"),
        (samples::ar(&parts[..2]), "ends early"),
        (samples::ar(&[version, parts[2], parts[1]]), "in this order"),
        (samples::ar(&[("debian-binary", b"3.0\n"), parts[1], parts[2]]), "format 2"),
        (samples::ar(&[parts[0], parts[1], parts[2], ("x", b"")]), "something follows"),
        (samples::ar(&[version, parts[1], ("data.tar.lzma", b"")]), "not supported"),
    ] {
        let message = refusal(&bytes);
        assert!(message.contains(why), "{why}: {message}");
    }
    let mut lying = samples::ar(&parts);
    lying[8 + 48..8 + 58].copy_from_slice(b"9999999999");
    assert!(refusal(&lying).contains("ends early"));
    lying[8 + 48..8 + 58].copy_from_slice(b"+4        ");
    assert!(refusal(&lying).contains("header is damaged"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        at in 0usize..4000, byte in 0u8..=255, cut in 0usize..4000,
    ) {
        let mut bytes = deb(&[file("./a", &[7; 600]), member(b'2', "./b", "a", b"")]);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut % 600));
        let _ = walk(&bytes);
    }
}
