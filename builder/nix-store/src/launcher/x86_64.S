# What a launcher does on x86_64: execve(LOADER, [LOADER, "--inhibit-cache", "--argv0", argv[0], "--library-path",
# LIBRARIES, PROGRAM, argv[1]..., NULL], envp). The new list is made in place: argc and argv[0] become LIBRARIES and
# PROGRAM, and the rest is put before them. The stack at entry: System V ABI, AMD64 supplement, 3.4.1.
# To assemble: as -o start.o x86_64.S && objcopy -O binary -j .text start.o start.bin && xxd -i start.bin
  .intel_syntax noprefix
  .globl _start
_start:
  mov rcx, [rsp]
  test rcx, rcx
  jz fail                       # without even a name there is no place to write to
  lea rdx, [rsp + rcx*8 + 16]   # envp
  mov rax, [rsp + 8]            # argv[0]
  mov rbx, [rip + program]
  mov [rsp + 8], rbx
  mov rbx, [rip + libraries]
  mov [rsp], rbx
  push [rip + library_path_option]
  push rax
  push [rip + argv0_option]
  push [rip + inhibit_cache_option]
  mov rdi, [rip + loader]
  push rdi
  mov rsi, rsp
  mov eax, 59                   # execve
  syscall
fail:
  mov edi, 127                  # what shells say of a command that can't be found
  mov eax, 60                   # exit
  syscall
  .balign 8, 0xcc
# Filled in by launcher.rs: addresses of strings.
loader:               .quad 0
inhibit_cache_option: .quad 0
argv0_option:         .quad 0
library_path_option:  .quad 0
libraries:            .quad 0
program:              .quad 0
