.text
.globl _start, _other
_start:
    callq _other
    jmp _next
    movl _value(%rip), %eax
    movl _value+4(%rip), %eax
    cmpb $1, _value(%rip)
    movw $2, _value+8(%rip)
    movl $3, _value(%rip)
    cmpb $1, L_inner(%rip)
    movw $2, L_inner(%rip)
    movl $3, L_inner+4(%rip)
    leaq _text(%rip), %rdi
    leaq L_constant(%rip), %rdi
    movq _value@GOTPCREL(%rip), %r11
    movq _other@GOTPCREL(%rip), %rax
_other:
    retq
_next:
    retq

.section __TEXT,__const
.globl _text
_text: .quad 1, 2, 3
L_constant: .quad 4

.section __DATA,__const
.globl _table
.p2align 3
_table: .quad _start, _other, _value + 16
    .quad L_constant
    .long _next - _start
    .long _text - _table
    .quad _value - _table + 5

.data
.p2align 3
.globl _value
_value: .quad _value, _table
L_inner: .quad 7, 8
    .quad _text - .
    .quad _value - _start
    .long _table - _value
    .long 0
    .quad _text - _start + 9
