//! Seeds as the appliance reads them from the card.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailkiln_agent::fuzz::seed(bytes));
