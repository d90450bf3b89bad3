//! The machine of QEMU that stands for a board.

/// What `mailkiln run` and the tests start, and which files of the ESP they hand to it in place of
/// the board's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// `-M`: `raspi3b`.
    pub machine: String,
    /// MiB of memory; boards have what they have.
    pub memory: u32,
    /// The file of the ESP that its firmware would start: `u-boot.bin`.
    pub kernel: String,
    /// The file of the ESP that its firmware would hand on: `bcm2837-rpi-3-b.dtb`.
    pub device_tree: String,
    /// Devices, by a string of their `compatible`, that the machine has and has wrong: they are taken
    /// out of the device tree that is handed on.
    pub without: Vec<String>,
    /// `-device` of its network: `usb-net`. `None` where the machine has no network that works.
    pub network: Option<String>,
    /// Which serial port, from 0, is the console.
    pub serial: u32,
}
