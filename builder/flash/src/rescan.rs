//! Tells the kernel that a device has another partition table now.
//!
//! The one place with `unsafe`: neither the standard library nor nix has a safe call for it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

#[allow(unsafe_code, reason = "the macro makes an unsafe function")]
mod request {
    // BLKRRPART of linux/fs.h: `_IO(0x12, 95)`.
    nix::ioctl_none!(read_partition_table, 0x12, 95);
}

/// Has the kernel read the partition table of `device` anew.
///
/// # Errors
/// What the kernel says: it wants `CAP_SYS_ADMIN`, a device that can have partitions, and none of
/// them in use.
#[allow(unsafe_code, reason = "an ioctl that the kernel offers in no other way")]
pub(crate) fn rescan(device: &File) -> io::Result<()> {
    // SAFETY: BLKRRPART takes no argument, so the kernel reads and writes no memory of ours, and the
    // descriptor is open as long as `device` is borrowed.
    unsafe { request::read_partition_table(device.as_raw_fd()) }?;
    Ok(())
}
