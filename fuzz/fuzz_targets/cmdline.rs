//! The kernel command line.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_init::fuzz::cmdline(bytes));
