//! Zip archives and the documents that are one.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_inspect::fuzz::zip(bytes));
