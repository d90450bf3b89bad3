//! A squashfs.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_squashfs::fuzz::squashfs(bytes));
