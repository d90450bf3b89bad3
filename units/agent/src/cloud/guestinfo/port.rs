//! The one instruction by which VMware is asked.
//!
//! In: registers. Out: what the hypervisor has put into them. VMware answers at this port whichever privilege a program has, so
//! neither CAP_SYS_RAWIO nor `ioperm` is needed: as open-vm-tools, which runs it as anybody (`lib/backdoor/backdoorGcc64.c`).
//! Everywhere else the instruction ends the program: so it is executed only where the processor says that it is
//! VMware's, and by a process of its own.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__cpuid;

use super::{Hypervisor, Registers};

/// VMware's port; there is one only where the processor says so.
#[derive(Debug)]
pub struct Backdoor(());

impl Backdoor {
    /// The port, if VMware runs this machine: "Mechanisms to determine if software is running in a VMware virtual
    /// machine", Broadcom's knowledge base 315371 (formerly 1009458).
    #[cfg(target_arch = "x86_64")]
    pub fn find() -> Option<Self> {
        /// Bit 31 of ECX of leaf 1.
        const IN_HYPERVISOR: u32 = 1 << 31;
        /// The leaf with the hypervisor's name in EBX, ECX and EDX.
        const NAME: u32 = 0x4000_0000;
        if __cpuid(1).ecx & IN_HYPERVISOR == 0 {
            return None;
        }
        let leaf = __cpuid(NAME);
        let name = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat();
        (name == b"VMwareVMware").then_some(Self(()))
    }

    /// None: VMware's machines with ARM processors are asked in another way, and no target is made for them.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn find() -> Option<Self> {
        None
    }
}

#[cfg(target_arch = "x86_64")]
impl Hypervisor for Backdoor {
    #[allow(unsafe_code, reason = "an instruction that has no other name in Rust")]
    fn call(&mut self, registers: Registers) -> Registers {
        let Registers { eax, ebx, ecx, edx, esi, edi } = registers;
        // As 64 bits, so that the upper halves are zero.
        let [mut rax, mut rbx, mut rcx, mut rdx, mut rsi, mut rdi] =
            [eax, ebx, ecx, edx, esi, edi].map(u64::from);
        // SAFETY: `Backdoor` exists only where VMware answers at this port. There IN changes these six registers and no memory of
        // ours: only commands of the other, faster port have addresses. RBX, which the compiler keeps for itself, is
        // put back. Should the machine's settings forbid the port, the processor raises an exception and the process ends.
        unsafe {
            core::arch::asm!(
                "xchg {rbx}, rbx",
                "in eax, dx",
                "xchg {rbx}, rbx",
                rbx = inout(reg) rbx,
                inout("rax") rax,
                inout("rcx") rcx,
                inout("rdx") rdx,
                inout("rsi") rsi,
                inout("rdi") rdi,
                options(nostack),
            );
        }
        let [eax, ebx, ecx, edx, esi, edi] = [rax, rbx, rcx, rdx, rsi, rdi].map(|it| it as u32);
        Registers { eax, ebx, ecx, edx, esi, edi }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Hypervisor for Backdoor {
    fn call(&mut self, _: Registers) -> Registers {
        Registers::default()
    }
}
