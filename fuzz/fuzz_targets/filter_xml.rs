//! Parts of XML documents.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_inspect::fuzz::document_xml(bytes));
