//! 64-bit Arm.

use codeslab::Address;

/// Bytes of [`return_constant`].
pub(crate) const CODE: usize = 12;

const RET: u32 = 0xd65f_03c0;

/// `movz w0, #low; movk w0, #high, lsl #16; ret`
pub(crate) fn return_constant(value: u32) -> [u8; CODE] {
    let (low, high) = (value & 0xffff, value >> 16);
    let code = [0x5280_0000 | low << 5, 0x72a0_0000 | high << 5, RET];
    let bytes = code.map(u32::to_le_bytes).concat();
    bytes.try_into().expect("three instructions")
}

/// A function at `at` that adds `constant` to `counter`, both words of 4 bytes, and returns the sum.
pub(crate) fn sums(at: Address, constant: Address, counter: Address) -> Vec<u8> {
    let page = |address: u64| (address >> 12).cast_signed();
    let adrp = |register: u32, to: Address, offset: u64| {
        let pages = page(to.value()) - page(at.value() + offset);
        let field = pages.cast_unsigned() as u32;
        0x9000_0000 | register | (field & 3) << 29 | (field >> 2 & 0x7_ffff) << 5
    };
    let low = |to: Address| ((to.value() as u32 & 0xfff) / 4) << 10;
    // adrp x1, constant; ldr w0, [x1, low]; adrp x1, counter; ldr w2, [x1, low]; add w0, w0, w2; str w0, [x1, low]; ret
    let code = [
        adrp(1, constant, 0),
        0xb940_0020 | low(constant),
        adrp(1, counter, 8),
        0xb940_0022 | low(counter),
        0x0b02_0000,
        0xb900_0020 | low(counter),
        RET,
    ];
    code.map(u32::to_le_bytes).concat()
}
