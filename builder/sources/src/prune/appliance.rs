//! The appliance's pruning rules, each with its reason.
//!
//! Which modules of a kernel stay is not among them: that is the target's data.

use super::{Rule, Verdict};

const fn keep(pattern: &'static str, reason: &'static str) -> Rule {
    Rule { verdict: Verdict::Keep, pattern, reason }
}

const fn drop(pattern: &'static str, reason: &'static str) -> Rule {
    Rule { verdict: Verdict::Drop, pattern, reason }
}

const NO_READER: &str = "documentation is not read on an appliance; it is in the packages";
const NO_INITRAMFS: &str = "the initrd is ours; nothing is generated on the machine";
const NO_PACKAGES: &str = "packages are not installed on the machine; the image is replaced";
const NO_SHELL_SUGAR: &str = "completions for shells that are used for rescue only";
const VERIFIED_BOOT: &str = "the boot chain is measured and replaced as a whole";
const NO_HARDWARE: &str = "no mail host has such a device";
const NO_PROTOCOL: &str = "mail does not travel over this protocol";
const NOT_A_SHELL_HOST: &str = "a development or administration tool without use on the machine";

/// What holds for every machine.
pub(super) const RULES: &[Rule] = &[
    keep("usr/share/doc/*/copyright", "licences oblige us to ship their texts"),
    drop("usr/share/doc", NO_READER),
    drop("usr/share/man", NO_READER),
    drop("usr/share/info", NO_READER),
    drop("usr/share/base-files/info.dir", NO_READER),
    drop("usr/share/doc-base", NO_READER),
    drop("usr/share/lintian", "checks of packages, not of images"),
    drop("usr/share/bug", NO_PACKAGES),
    drop("usr/share/apport", NO_PACKAGES),
    drop("usr/share/debconf", NO_PACKAGES),
    drop("usr/share/perl5/Debconf", NO_PACKAGES),
    drop("usr/share/locale", "programs speak English; C.UTF-8 is in libc-bin"),
    keep("usr/lib/locale/C.utf8", "the one locale of the image"),
    drop("usr/lib/locale", "the one locale of the image is C.UTF-8"),
    drop("usr/lib/*/gconv/gconv-modules.cache", "made on the machine"),
    keep("usr/lib/*/gconv/gconv-modules*", "iconv's list"),
    keep("usr/lib/*/gconv/UTF-*", "conversions that the C library itself may want"),
    drop("usr/lib/*/gconv", "programs here convert in Rust; the C library knows UTF-8 itself"),
    drop("usr/share/i18n", "sources of locales"),
    drop("usr/share/bash-completion", NO_SHELL_SUGAR),
    drop("usr/share/zsh", NO_SHELL_SUGAR),
    drop("usr/share/fish", NO_SHELL_SUGAR),
    drop("usr/lib/udev/hwdb.d", "sources of a database of names for desktop devices"),
    drop("etc/udev/hwdb.d", "sources of a database of names for desktop devices"),
    drop("usr/lib/systemd/catalog", "explanations for journalctl -x, in many languages"),
    drop("usr/share/zoneinfo/right", "time zones with leap seconds, which nothing here uses"),
    drop("usr/share/zoneinfo/posix", "the same time zones again"),
    drop("usr/share/polkit-1", "no polkit"),
    drop("usr/share/initramfs-tools", NO_INITRAMFS),
    drop("usr/lib/dracut", NO_INITRAMFS),
    drop("etc/initramfs-tools", NO_INITRAMFS),
    drop("etc/kernel", NO_INITRAMFS),
    drop("usr/lib/kernel", NO_INITRAMFS),
    drop("usr/bin/kernel-install", NO_INITRAMFS),
    drop("usr/lib/klibc*", NO_INITRAMFS),
    drop("usr/sbin/mkinitramfs", NO_INITRAMFS),
    drop("usr/sbin/update-initramfs", NO_INITRAMFS),
    drop("etc/apt", NO_PACKAGES),
    drop("etc/logrotate.d", "logs are in the journal, which rotates itself"),
    drop("etc/cron.*", "timers are systemd's"),
    drop("etc/init.d", "services are systemd's"),
    drop("etc/rc*.d", "services are systemd's"),
    drop("etc/sv", "services are systemd's"),
    drop("etc/dhcp", "addresses are networkd's"),
    drop("etc/ufw", "the packet filter is ours"),
    drop("etc/update-motd.d", "the console's words are the agent's"),
    drop("usr/lib/systemd/system-generators/systemd-sysv-generator", "services are systemd's"),
    drop("usr/lib/pcrlock.d", VERIFIED_BOOT),
    drop("usr/lib/systemd/systemd-pcrlock", VERIFIED_BOOT),
    drop("usr/lib/systemd/system/**/systemd-pcrlock*", VERIFIED_BOOT),
    drop("etc/modules-load.d/modules.conf", "a link to /etc/modules, which only a script makes"),
    drop("usr/lib/systemd/boot/efi/addon*", VERIFIED_BOOT),
    drop("usr/lib/systemd/boot/efi/systemd-boot*", VERIFIED_BOOT),
    keep("boot/vmlinuz-*", "goes into the ESP"),
    keep("usr/lib/modules/*/vmlinuz", "goes into the ESP"),
    drop("usr/lib/linux-image-*", "device trees: those that a board needs are on its ESP"),
    drop("usr/lib/modules/*/dtb", "device trees: those that a board needs are on its ESP"),
    drop("usr/lib/modules/*/System.map", "symbols are for the kernel's developers"),
    drop("usr/lib/modules/*/config", "the configuration is for the kernel's developers"),
    drop("usr/lib/modules/*/build", "for compiling modules"),
    drop("usr/lib/modules/*/source", "for compiling modules"),
    drop("boot", "symbols and configuration of the kernel are for its developers"),
    drop("usr/lib/*/libmvec.so.1", "vector mathematics"),
    drop("usr/sbin/debugfs", NOT_A_SHELL_HOST),
    drop("usr/sbin/iconvconfig", NOT_A_SHELL_HOST),
    drop("usr/bin/localedef", NOT_A_SHELL_HOST),
    drop("usr/sbin/ldconfig", "one folder of libraries, in the linker's own list; no cache"),
    drop("usr/sbin/tc", NOT_A_SHELL_HOST),
    drop("usr/sbin/tipc", NO_PROTOCOL),
    drop("usr/bin/rdma", NO_HARDWARE),
    drop("usr/lib/tc", NOT_A_SHELL_HOST),
    drop("usr/lib/*/tc", NOT_A_SHELL_HOST),
    drop("usr/sbin/dcb", NO_HARDWARE),
    drop("usr/sbin/vdpa", NO_HARDWARE),
];

/// Of a kernel's packages what others read: where Debian has moved it to in 7.x, and before.
pub(super) const KERNEL_DATA: &[Rule] = &[
    keep("usr/lib/linux-image-*", "boards that do not bring a device tree need it to start"),
    keep("usr/lib/modules/*/dtb", "boards that do not bring a device tree need it to start"),
    keep("usr/lib/modules/*/modules.*", "what is built in, and in which order drivers are tried"),
    drop("**", "the rest of the kernel is in another layer"),
];
