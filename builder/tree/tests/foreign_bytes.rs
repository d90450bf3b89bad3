//! Foreign text never makes a fix-up panic.

use proptest::prelude::*;

/// Words that the formats know, so that their parsers are reached behind the first check.
const WORDS: [&str; 24] = [
    "u",
    "u!",
    "g",
    "m",
    "r",
    "-",
    "a",
    "root",
    "0",
    "4294967295",
    ":",
    "%",
    "\"",
    "\\",
    "\n",
    " ",
    "[Install]\n",
    "WantedBy=",
    "Alias=",
    "Also=x@.service",
    "DefaultInstance=",
    "enable",
    "x@i.service",
    "d /var/",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fixups_refuse_or_accept(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40)) {
        for place in 0..9 {
            mailkiln_tree::fuzz::fixups(&[&[place], words.concat().as_bytes()].concat());
        }
    }

    #[test]
    fn modules_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        mailkiln_tree::fuzz::module(&bytes);
        mailkiln_tree::fuzz::fixups(&bytes);
        let elf = [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0"[..], &bytes].concat();
        mailkiln_tree::fuzz::module(&elf);
    }
}
