//! Disk images as targets expect them: raw, compressed, for hypervisors and clouds; and read back.
//!
//! In: an assembled disk and the extents of it that may be other than zero. Out: the same disk in any
//! number of formats of [one list](Format::all), read once, the same bytes whatever the number of threads, with
//! the SHA-256 of each computed while it is written, and a map of the blocks that a medium needs. The way back
//! takes a file of any of them and gives the disk.

mod bmap;
mod codec;
mod container;
pub mod fuzz;
mod gz;
mod hashing;
mod img;
mod mapped;
mod oci;
mod open;
mod ova;
mod ovf;
mod pass;
mod qcow2;
mod registry;
mod sparse;
mod spool;
mod stretch;
mod tar;
mod tar_gz;
mod vhd;
mod vhdx;
mod vmdk;
mod xz;
mod zst;

pub use bmap::{BadBmap, Bmap, Range};
pub use hashing::Hashing;
pub use open::{BadFormat, BadImage, Opened, decoder, open, open_with_format, read_full};
pub use pass::{Job, write};
pub use registry::{Compression, Format, UnknownFormat};
pub use sparse::Sparse;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod tests;
