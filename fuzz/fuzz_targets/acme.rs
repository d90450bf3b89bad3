//! Settings and state of the ACME client, and requests to the port of its challenge.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_acme::fuzz::acme(bytes));
