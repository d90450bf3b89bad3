# The boot sector of accelerator.rs. To assemble it:
#   gcc -c -m64 -o proof.o proof.S && ld -Ttext 0 --oformat binary -o proof.bin proof.o && xxd -i proof.bin
.code16
.org 0
start:
  cli
  xorw %ax,%ax
  movw %ax,%ds
  movw %ax,%es
  movw %ax,%ss
  movw $0x1000,%di
  movw $0x1800,%cx
  xorw %ax,%ax
  cld
  rep stosw            # zero 0x1000..0x4000
  movw $0x2003,0x1000  # PML4 -> PDPT
  movw $0x3003,0x2000  # PDPT -> PD
  movw $0x0083,0x3000  # PD: one 2 MiB page
  movl $0x620,%eax     # PAE|OSFXSR|OSXMMEXCPT
  movl %eax,%cr4
  movl $0x1000,%eax
  movl %eax,%cr3
  movl $0xc0000080,%ecx
  rdmsr
  orl $0x100,%eax
  wrmsr
  lgdtl 0x7c00+gdtr
  movl $0x80000011,%eax
  movl %eax,%cr0
  ljmpl $8,$(0x7c00+long)
.code64
long:
  pxor %xmm0,%xmm0
  movl $0x1000000,%ecx
1: addq $1,%rax
  loop 1b
  movw $0xf4,%dx
  movb $0x10,%al
  outb %al,%dx
2: hlt
  jmp 2b
.balign 8
gdt: .quad 0
     .quad 0x00209a0000000000
gdtr: .word 15
      .long 0x7c00+gdt
.org 510
.word 0xaa55
