//! An account, as the mail server's API has it.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_agent::fuzz::principal(bytes));
