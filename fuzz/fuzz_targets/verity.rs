//! A verity superblock, as the builder reads it.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_image::fuzz::superblock(bytes));
