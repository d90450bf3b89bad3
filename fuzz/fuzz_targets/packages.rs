//! `Packages`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_lock::fuzz::packages(bytes));
