//! squashfs 4.0: packs of compressed blocks, the writer that joins them, the reader.
