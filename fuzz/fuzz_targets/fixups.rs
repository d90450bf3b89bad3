//! Text files of packages.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_tree::fuzz::fixups(bytes));
