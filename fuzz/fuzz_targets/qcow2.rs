//! A qcow2 image.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_format::fuzz::qcow2(bytes));
