//! Partitions, ESP, UKI, verity and boot chain: the disk as bytes, and its reader.
