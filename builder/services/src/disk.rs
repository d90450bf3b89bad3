//! The part of the disk that the appliance makes itself: the second slot, and `/var`.

/// Sizes of one slot in bytes, a multiple of 4096. Both slots are equal, so that an update of
/// the same size fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSizes {
    /// The root partition.
    pub root: u64,
    /// Its verity hash tree.
    pub verity: u64,
}

/// What the first boot adds to the disk, and what `/var` looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Sizes of the slots.
    pub slots: SlotSizes,
    /// Least size of `/var` in bytes; it takes all that is left.
    pub var_minimum: u64,
    /// Seconds after which ext4 writes what nobody asked it to write: 5 by itself, more on a card.
    /// What programs sync, as the mail server does with every message, is written at once.
    pub commit: Option<u32>,
}

impl Disk {
    pub(crate) const fn new(slots: SlotSizes, worn_by_writes: bool) -> Self {
        let commit = if worn_by_writes { Some(60) } else { None };
        Self { slots, var_minimum: 256 << 20, commit }
    }
}
