//! apt's lists of sources.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_fetch::fuzz::apt_sources(bytes));
