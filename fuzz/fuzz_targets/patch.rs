//! A patch and what it is applied to.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_compile::fuzz::patch(bytes));
