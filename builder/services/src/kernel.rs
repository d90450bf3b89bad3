//! Kernel settings (sysctl): what an appliance that runs only its own programs can switch off.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSetting {
    /// Name with dots: `kernel.kptr_restrict`.
    pub name: &'static str,
    /// Value.
    pub value: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Whether some kernels do not have it; then it is skipped without a word.
    pub optional: bool,
}

const fn set(name: &'static str, value: &'static str, reason: &'static str) -> KernelSetting {
    KernelSetting { name, value, reason, optional: false }
}

const fn try_set(name: &'static str, value: &'static str, reason: &'static str) -> KernelSetting {
    KernelSetting { name, value, reason, optional: true }
}

/// Settings of every appliance: Documentation/admin-guide/sysctl of the kernel.
const ALWAYS: &[KernelSetting] = &[
    set("fs.suid_dumpable", "0", "memory of privileged programs never lands in a file"),
    set("kernel.core_pattern", "|/usr/bin/false", "a crash must not write mail or keys to disk"),
    set("kernel.dmesg_restrict", "1", "the kernel log helps to write exploits"),
    set("kernel.kptr_restrict", "2", "so do kernel addresses"),
    set("kernel.panic", "10", "no one is there to press the button: reboot after a panic"),
    set("kernel.panic_on_oops", "1", "a kernel that has lost its way must not write mail"),
    try_set("kernel.kexec_load_disabled", "1", "only what the boot chain measured may run"),
    set("kernel.sysrq", "0", "no magic keys on a serial console"),
    try_set("kernel.unprivileged_bpf_disabled", "1", "no service loads BPF programs"),
    try_set("kernel.unprivileged_userns_clone", "0", "services need no user namespaces"),
    try_set("kernel.yama.ptrace_scope", "2", "services do not look into each other"),
    try_set("net.core.bpf_jit_harden", "2", "harder to spray code through the BPF compiler"),
    set("net.ipv4.conf.all.accept_redirects", "0", "routes come from the network's operator"),
    set("net.ipv4.conf.default.accept_redirects", "0", "the same for links that come later"),
    set("net.ipv4.conf.all.send_redirects", "0", "this is not a router"),
    set("net.ipv4.conf.default.send_redirects", "0", "the same for links that come later"),
    set("net.ipv4.tcp_syncookies", "1", "a flood of half-open connections locks no one out"),
];

/// Settings while IPv6 is in use. Ignored where the kernel runs without it.
const WITH_IPV6: &[KernelSetting] = &[
    try_set("net.ipv6.conf.all.accept_redirects", "0", "routes come from router advertisements"),
    try_set("net.ipv6.conf.default.accept_redirects", "0", "the same for links that come later"),
];

/// Settings that turn IPv6 off, also on the loopback, so that no program tries it in vain.
const WITHOUT_IPV6: &[KernelSetting] = &[
    try_set("net.ipv6.conf.all.disable_ipv6", "1", "mail.toml says `ipv6 = false`"),
    try_set("net.ipv6.conf.default.disable_ipv6", "1", "the same for links that come later"),
];

/// The settings of an appliance.
pub(crate) fn settings(ipv6: bool) -> Vec<KernelSetting> {
    let family = if ipv6 { WITH_IPV6 } else { WITHOUT_IPV6 };
    [ALWAYS, family].concat()
}
