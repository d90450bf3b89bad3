//! A name server's answer, and `resolv.conf`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_agent::fuzz::dns(bytes));
