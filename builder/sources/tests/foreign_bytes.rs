//! Foreign bytes never make a reader panic.

use proptest::prelude::*;

proptest! {
    #[test]
    fn readers_refuse_or_accept(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        mailkiln_sources::fuzz::deb(&bytes);
        mailkiln_sources::fuzz::deb(&[b"!<arch>\n", &bytes[..]].concat());
        mailkiln_sources::fuzz::members(&bytes);
        mailkiln_sources::fuzz::layer(&bytes);
        mailkiln_sources::fuzz::copyright(&bytes);
    }

    #[test]
    fn copyright_files_are_read_or_not(
        lines in prop::collection::vec(
            prop::sample::select(&["Format: x", "Files: *", "License: GPL-2+ with x", "", " y", "License:", "/ , |"][..]),
            0..12,
        ),
    ) {
        mailkiln_sources::fuzz::copyright(lines.join("\n").as_bytes());
    }
}
