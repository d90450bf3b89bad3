//! `copyright` of a package.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_sources::fuzz::copyright(bytes));
