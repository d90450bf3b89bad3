//! A disk, as records of its sectors.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_image::fuzz::disk(bytes));
