//! A `.deb`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_sources::fuzz::deb(bytes));
