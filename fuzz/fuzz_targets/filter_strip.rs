//! Messages whose parts the filter takes out.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_filter::fuzz::strip(bytes));
