//! `mail.toml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_spec::fuzz::mail_toml(bytes));
