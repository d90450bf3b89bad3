//! cargo's graph and messages.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_compile::fuzz::cargo_output(bytes));
