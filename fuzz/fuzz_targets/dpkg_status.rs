//! dpkg's status file.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_image::fuzz::dpkg_status(bytes));
