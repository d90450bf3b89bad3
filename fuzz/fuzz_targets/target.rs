//! A file of `images/`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_spec::fuzz::target(bytes));
