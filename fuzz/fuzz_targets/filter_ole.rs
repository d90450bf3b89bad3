//! OLE compound files.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_inspect::fuzz::ole(bytes));
