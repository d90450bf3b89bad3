//! A Unified Kernel Image.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_image::fuzz::uki(bytes));
