//! The cached index of a layer.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_sources::fuzz::layer(bytes));
