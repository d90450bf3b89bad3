//! A verity superblock, as init reads it.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_init::fuzz::superblock(bytes));
