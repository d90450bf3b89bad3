//! A FAT32 volume, as records of its sectors.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_image::fuzz::fat(bytes));
