//! `mailkiln.lock`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_lock::fuzz::lock(bytes));
