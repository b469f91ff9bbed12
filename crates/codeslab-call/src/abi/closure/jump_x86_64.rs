//! A closure on x86-64, whatever the convention: r10 and r11 are free between caller and callee in all of them.

/// Bytes of a closure, of which each begins at a multiple.
pub(crate) const CLOSURE_BYTES: usize = 32;

/// Loads the word and goes to the trampoline.
pub(crate) fn closure(word: u64, trampoline: u64) -> Vec<u8> {
    let mut code = vec![0x49, 0xba]; // mov r10, word
    code.extend(word.to_le_bytes());
    code.extend([0x49, 0xbb]); // mov r11, trampoline
    code.extend(trampoline.to_le_bytes());
    code.extend([0x41, 0xff, 0xe3]); // jmp r11
    code.resize(CLOSURE_BYTES, 0xcc);
    code
}
