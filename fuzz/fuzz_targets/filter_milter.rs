//! A mail server that asks the filter.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_filter::fuzz::milter(bytes));
