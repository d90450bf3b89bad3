//! DKIM records in a zone file.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_spec::fuzz::dkim_records(bytes));
