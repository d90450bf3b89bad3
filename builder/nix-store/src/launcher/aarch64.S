// What a launcher does on aarch64: the same as x86_64.S says. The stack at entry is that of Linux on every architecture
// (argc, argv, NULL, envp, NULL); the stack pointer keeps to multiples of 16.
// To assemble: aarch64-linux-gnu-as -o start.o aarch64.S && aarch64-linux-gnu-objcopy -O binary -j .text start.o start.bin
  .globl _start
_start:
  ldr x9, [sp]
  cbz x9, fail                  // without even a name there is no place to write to
  add x2, sp, #16
  add x2, x2, x9, lsl #3        // envp
  ldr x10, [sp, #8]             // argv[0]
  adr x11, table
  ldp x0, x12, [x11]            // LOADER, --inhibit-cache
  ldp x13, x14, [x11, #16]      // --argv0, --library-path
  ldp x15, x16, [x11, #32]      // LIBRARIES, PROGRAM
  sub sp, sp, #48
  str x0, [sp, #8]
  stp x12, x13, [sp, #16]
  stp x10, x14, [sp, #32]
  stp x15, x16, [sp, #48]
  add x1, sp, #8
  mov x8, #221                  // execve
  svc #0
fail:
  mov x0, #127                  // what shells say of a command that can't be found
  mov x8, #93                   // exit
  svc #0
  .balign 8
// Filled in by launcher.rs: addresses of strings.
table:
  .quad 0, 0, 0, 0, 0, 0
