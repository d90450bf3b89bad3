//! `/proc/net/tcp`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_agent::fuzz::ports(bytes));
