//! x86-64.

use codeslab::Address;

/// Bytes of [`return_constant`].
pub(crate) const CODE: usize = 6;

/// `mov eax, imm32; ret`
pub(crate) fn return_constant(value: u32) -> [u8; CODE] {
    let [a, b, c, d] = value.to_le_bytes();
    [0xb8, a, b, c, d, 0xc3]
}

/// A function at `at` that adds `constant` to `counter`, both words of 4 bytes, and returns the sum.
pub(crate) fn sums(at: Address, constant: Address, counter: Address) -> Vec<u8> {
    let displacement =
        |to: Address, end: u64| (to.offset_from(at.checked_add(end).unwrap()) as i32).to_le_bytes();
    // mov eax, [rip + constant]; add [rip + counter], eax; mov eax, [rip + counter]; ret
    let mut bytes = vec![0x8b, 0x05];
    bytes.extend(displacement(constant, 6));
    bytes.extend([0x01, 0x05]);
    bytes.extend(displacement(counter, 12));
    bytes.extend([0x8b, 0x05]);
    bytes.extend(displacement(counter, 18));
    bytes.push(0xc3);
    bytes
}
