//! Block maps of bmap-tools.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_format::fuzz::bmap(bytes));
