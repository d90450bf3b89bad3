//! depmod's indexes, as init reads them.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_init::fuzz::modules(bytes));
