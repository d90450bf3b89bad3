//! One line per kind.

use super::*;

#[test]
fn content_decides() {
    let mut pe = vec![0; 200];
    pe[..2].copy_from_slice(b"MZ");
    pe[60] = 128;
    pe[128..132].copy_from_slice(b"PE\0\0");
    let mut iso = vec![0; 40_000];
    iso[32769..32774].copy_from_slice(b"CD001");
    for (data, kind) in [
        (pe.as_slice(), Kind::Program("Windows")),
        (iso.as_slice(), Kind::Iso),
        (b"MZ is how this sentence begins, and it goes on for more than sixty-four letters.", Kind::Other),
        (b"\x7fELF\x02\x01", Kind::Program("Linux")),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", Kind::Program("Java")),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", Kind::Program("macOS")),
        (b"#!/bin/sh\nrm -rf /", Kind::Script("shebang")),
        (b"\n<!DOCTYPE HTML><p>", Kind::Html),
        (b"\xff\xfe<\0h\0t\0m\0l\0>\0", Kind::Html),
        (b"<?xml version='1.0'?><svg xmlns=''>", Kind::Html),
        (b"<?xml version='1.0'?><invoice>", Kind::Other),
        (b"From: a@b\r\nSubject: x\r\n\r\nbody", Kind::Message),
        (b"From: the beginning of a letter\n\nand no more", Kind::Other),
        (b"[InternetShortcut]\r\nURL=file://x", Kind::Shortcut("Internet")),
        (b"#!/bin/sh\nexit\nPK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0abcd", Kind::Zip),
        (b"", Kind::Other),
    ] {
        assert_eq!(Kind::of(data), kind, "{:?}", String::from_utf8_lossy(&data[..data.len().min(40)]));
    }
}
