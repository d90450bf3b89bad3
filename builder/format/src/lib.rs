//! Disk images as targets expect them: img.zst, qcow2.
