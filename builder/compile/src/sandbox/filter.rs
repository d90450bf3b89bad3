//! The system calls that a compilation does without: seccomp(2).
//!
//! In: nothing. Out: a filter on the calling process and all that it starts. Refused are calls that
//! make namespaces or mounts, look into other processes, or reach parts of the kernel where most of
//! its holes are found. They fail with EPERM, as for any user without the right. Of the foreign ABIs,
//! i386's is refused as a whole, and x32's numbers are in the list like ours.

use std::collections::BTreeMap;
use std::io;

use nix::libc::{self, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::namespaces::{Refusal, Step as _};

const REFUSED: &[c_long] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_fanotify_init,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// Every flag that makes a namespace: clone(2).
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// x32 calls are those of x86_64 with this bit: the kernel's arch/x86/include/uapi/asm/unistd.h.
#[cfg(target_arch = "x86_64")]
const ABIS: &[c_long] = &[0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const ABIS: &[c_long] = &[0];

/// Refuses these calls from now on. Needs `no_new_privs`.
pub(super) fn apply() -> Result<(), Refusal> {
    for program in programs().map_err(io::Error::other).step(making)? {
        seccompiler::apply_filter(&program).map_err(io::Error::other).step(making)?;
    }
    Ok(())
}

fn making() -> String {
    String::from("filter system calls")
}

/// Two filters, since one has one way to refuse; the kernel runs both. clone3 keeps its flags in
/// memory where a filter cannot look, so it does not exist here: libraries fall back to clone.
fn programs() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut absent = BTreeMap::new();
    for abi in ABIS {
        refused.extend(REFUSED.iter().map(|call| (abi + call, Vec::new())));
        let mut rules = Vec::new();
        for bit in (0..64).map(|bit| 1_u64 << bit).filter(|bit| NAMESPACES & bit != 0) {
            let op = SeccompCmpOp::MaskedEq(bit);
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, op, bit)?;
            rules.push(SeccompRule::new(vec![condition])?);
        }
        refused.insert(abi + libc::SYS_clone, rules);
        absent.insert(abi + libc::SYS_clone3, Vec::new());
    }
    let program = |rules, errno: i32| {
        let arch =
            if cfg!(target_arch = "aarch64") { TargetArch::aarch64 } else { TargetArch::x86_64 };
        let refusal = SeccompAction::Errno(errno.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)?.try_into()
    };
    Ok([program(refused, libc::EPERM)?, program(absent, libc::ENOSYS)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_can_be_made() {
        for program in programs().unwrap() {
            assert!(!program.is_empty() && program.len() < 4096, "{}", program.len());
        }
    }
}
