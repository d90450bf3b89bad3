//! UKIs: written, read back by `object`, hostile stubs refused.

use mailkiln_pin::Sha256;
use proptest::prelude::*;

use super::*;

const PARTS: Parts<'_> = Parts {
    os_release: "ID=mailkiln\n",
    uname: "6.12.0",
    command_line: "roothash=00 console=ttyS0",
    initrd: &[3; 1000],
    kernel: &[4; 5000],
};

/// The smallest stub: headers, one section of code, room for `room` more section headers.
pub(crate) fn stub(room: usize) -> Vec<u8> {
    let (coff, optional_len) = (0x40, 240);
    let table = coff + 24 + optional_len;
    let headers = table + 40 * (1 + room);
    let mut stub = vec![0; headers.next_multiple_of(512)];
    let mut put = |at: usize, bytes: &[u8]| stub[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &(coff as u32).to_le_bytes());
    put(coff, b"PE\0\0");
    put(coff + 4, &0x8664_u16.to_le_bytes());
    put(coff + 6, &1_u16.to_le_bytes());
    put(coff + 20, &(optional_len as u16).to_le_bytes());
    let optional = coff + 24;
    put(optional, &0x20b_u16.to_le_bytes());
    put(optional + 32, &4096_u32.to_le_bytes());
    put(optional + 36, &512_u32.to_le_bytes());
    put(optional + 56, &0x2000_u32.to_le_bytes());
    put(optional + 60, &(headers as u32).to_le_bytes());
    put(optional + 64, &0xdead_u32.to_le_bytes());
    put(optional + 108, &16_u32.to_le_bytes());
    put(table, b".text");
    put(table + 8, &[0x00, 0x02, 0, 0, 0x00, 0x10, 0, 0, 0x00, 0x02, 0, 0]);
    let text_at = (headers.next_multiple_of(512) as u32).to_le_bytes();
    put(table + 20, &text_at);
    stub.extend([0xcc; 512]);
    stub
}

#[test]
fn parts_come_back() {
    let uki = PARTS.append_to(&stub(5)).unwrap();
    let read = Uki::parse(&uki).unwrap();
    assert_eq!(read.os_release, Some(PARTS.os_release));
    assert_eq!(read.uname, Some(PARTS.uname));
    assert_eq!(read.command_line, PARTS.command_line);
    assert_eq!((read.initrd, read.kernel), (PARTS.initrd, PARTS.kernel));
    let names: Vec<_> = read.sections.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [".text", ".osrel", ".uname", ".cmdline", ".initrd", ".linux"]);
}

#[test]
fn bytes_are_pinned() {
    assert_eq!(
        Sha256::of(&PARTS.append_to(&stub(5)).unwrap()).to_string(),
        "8219db0e12bc209b6f7d5ad555e015f3e5bcf669fb75e02d062e5ec7a1782d67"
    );
}

#[test]
fn stubs_without_room_and_other_files_are_refused() {
    assert_eq!(PARTS.append_to(&stub(4)), Err(BadStub::NoRoom { room: 4, needed: 5 }));
    let good = stub(5);
    for end in 0..0x40 + 24 + 240 + 40 * 6 {
        assert_eq!(PARTS.append_to(&good[..end]), Err(BadStub::NotPe), "cut at {end}");
    }
    let edit = |at: usize, value: u8| {
        let mut stub = good.clone();
        stub[at] = value;
        PARTS.append_to(&stub)
    };
    for (at, value) in [(0, 0), (0x3f, 0xff), (0x40, 0), (0x58, 0), (0x58 + 33, 0x11)] {
        assert_eq!(edit(at, value), Err(BadStub::NotPe), "byte {at}");
    }
    let mut near_4_gib = good.clone();
    near_4_gib[0x58 + 56..0x58 + 60].copy_from_slice(&0xffff_e000_u32.to_le_bytes());
    assert_eq!(PARTS.append_to(&near_4_gib), Err(BadStub::TooLarge));
    assert!(matches!(Uki::parse(&good), Err(BadUki::NoSection(".cmdline"))));
}

proptest! {
    #[test]
    fn foreign_bytes_do_no_harm(edits in prop::collection::vec((0_usize..560, any::<u8>()), 1..8)) {
        let mut stub = stub(5);
        for (at, value) in edits {
            stub[at] = value;
        }
        if let Ok(uki) = PARTS.append_to(&stub) {
            let _ = Uki::parse(&uki);
        }
        let _ = Uki::parse(&stub);
    }
}
