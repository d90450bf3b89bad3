//! Files of GRUB's package.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_image::fuzz::grub(bytes));
