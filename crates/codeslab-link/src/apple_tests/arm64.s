.text
.p2align 2
.globl _start, _other
_start:
    bl _other
    b _next
    adrp x0, _value@PAGE
    add x0, x0, _value@PAGEOFF
    adrp x1, _value@PAGE+16
    ldr x1, [x1, _value@PAGEOFF+16]
    adrp x2, _bytes@PAGE
    ldrb w2, [x2, _bytes@PAGEOFF]
    adrp x3, _halves@PAGE
    ldrh w3, [x3, _halves@PAGEOFF]
    strh w3, [x3, _halves@PAGEOFF+2]
    adrp x4, _words@PAGE
    ldrsw x4, [x4, _words@PAGEOFF]
    ldr s4, [x4, _words@PAGEOFF]
    adrp x5, _vector@PAGE
    ldr q5, [x5, _vector@PAGEOFF]
    str d5, [x5, _vector@PAGEOFF+8]
    adrp x6, _text@PAGE
    add x6, x6, _text@PAGEOFF+8
    adrp x7, l_constant@PAGE
    ldr x7, [x7, l_constant@PAGEOFF]
_other:
    ret
_next:
    ret

.section __TEXT,__const
.p2align 3
.globl _text
_text: .quad 1, 2, 3
l_constant: .quad 4

.section __DATA,__const
.globl _table
.p2align 3
_table: .quad _start, _other, _value + 16
    .quad l_constant
    .long _next - _start
    .long _text - _table
    .quad _value - _table + 5

.data
.p2align 4
.globl _value, _bytes, _halves, _words, _vector
_value: .quad _value, _table
_vector: .quad 1, 2
_words: .long 1
_halves: .short 1, 2
    .quad _text - .
    .quad _value - _start
    .long _table - _value
    .long 0
    .quad _text - _start + 9
_bytes: .byte 1
