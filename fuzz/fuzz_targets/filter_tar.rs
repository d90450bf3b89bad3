//! Tar archives, as the filter opens them.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_inspect::fuzz::tar(bytes));
