//! A client of the filter's API, and a worker that was taken over.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_filter::fuzz::replies(bytes));
