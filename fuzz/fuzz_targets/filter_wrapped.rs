//! Files wrapped for the way, signed messages, documents in one file.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_inspect::fuzz::wrapped(bytes));
