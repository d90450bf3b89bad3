//! gzip, bzip2, xz, lzma and zstd files.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_inspect::fuzz::compressed(bytes));
