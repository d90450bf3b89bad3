//! The `/init` of a Mailkiln initrd, as a library so that its parsers can be tested and fuzzed.
//!
//! In: the kernel command line, sysfs, module indexes and the disks. Out: a verified, read-only
//! root file system with systemd running on it. `cmdline`, `modules`, `gpt`, `verity` and the
//! encoder of `dm` are pure; `devices`, `identity`, `dm` and `switch` touch the
//! machine; `main` is the story.

pub mod cmdline;
pub mod console;
pub mod devices;
pub mod dm;
pub mod gpt;
pub mod identity;
pub mod modules;
pub mod switch;
pub mod verity;
