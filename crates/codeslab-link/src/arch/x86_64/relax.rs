//! Rewriting x86-64 code that goes through GOT entries, where the symbol turns out to be near.
//!
//! Compilers mark such instructions with relocations of their own, one for those with a REX prefix and one for those without, and
//! instructions keep their length. They are recognised by their bytes before they are rewritten, and left alone when they are not what
//! the relocation says they are. The rows of `elf` name these functions, and `apply` calls them.
//!
//! The offset of a thread-local variable that lies at one distance from all thread pointers is a number, which instructions can have in
//! themselves.
//!
//! Source: psABI §B.2 "Optimize GOTPCRELX Relocations"; Intel SDM volume 2 for the encodings.

use crate::arch::row::Operand;

const REX_R: u8 = 0x04;
/// mod and r/m of an operand at a distance from the instruction pointer.
const MODRM_RIP: u8 = 0x05;
const MODRM_MOD_RM: u8 = 0xc7;
/// mod of a register operand.
const MODRM_REGISTER: u8 = 0xc0;
/// What lies between a field and the end of its instruction: the field itself.
const TO_END: i64 = -4;

/// Rewrites an instruction without a REX prefix.
pub(super) fn without_rex(bytes: &mut [u8], operand: Operand) -> bool {
    relaxed(bytes, operand, 0).is_some()
}

/// Rewrites an instruction with one.
pub(super) fn with_rex(bytes: &mut [u8], operand: Operand) -> bool {
    relaxed(bytes, operand, 1).is_some()
}

/// The same for a format whose distances count from the end of the instruction.
pub(super) fn from_end(bytes: &mut [u8], operand: Operand) -> bool {
    operand
        .addend
        .checked_add(TO_END)
        .is_some_and(|addend| with_rex(bytes, Operand { addend, ..operand }))
}

/// Rewrites an instruction that takes the offset of a thread-local variable from an entry, so that it has the offset in itself: code for
/// initial exec becomes code for local exec.
pub(super) fn initial_exec(bytes: &mut [u8], operand: Operand) -> bool {
    with_offset(bytes, operand).is_some()
}

fn with_offset(bytes: &mut [u8], operand: Operand) -> Option<()> {
    const REX_W: u8 = 0x48;
    if operand.addend != TO_END {
        return None;
    }
    let start = operand.offset.checked_sub(3)?;
    let end = operand.offset.checked_add(4)?;
    let instruction: &mut [u8; 7] = bytes.get_mut(start..end)?.try_into().ok()?;
    let [rex, opcode, modrm, ..] = *instruction;
    if rex & !REX_R != REX_W || modrm & MODRM_MOD_RM != MODRM_RIP {
        return None;
    }
    let opcode = match opcode {
        // mov
        0x8b => 0xc7,
        // add
        0x03 => 0x81,
        _ => return None,
    };
    let [a, b, c, d] = i32::try_from(operand.symbol.cast_signed())
        .ok()?
        .to_le_bytes();
    let register = MODRM_REGISTER | modrm >> 3 & 7;
    // The register moves from ModRM.reg to ModRM.rm, its high bit from REX.R to REX.B.
    *instruction = [REX_W | (rex & REX_R) >> 2, opcode, register, a, b, c, d];
    Some(())
}

fn relaxed(bytes: &mut [u8], operand: Operand, prefix_size: usize) -> Option<()> {
    // With another addend it is not the entry itself that is used.
    if operand.addend != TO_END {
        return None;
    }
    let start = operand.offset.checked_sub(2 + prefix_size)?;
    let end = operand.offset.checked_add(4)?;
    if prefix_size == 0 && is_padded(bytes, start) {
        return None;
    }
    let instruction = bytes.get_mut(start..end)?;
    let (prefix, rest) = instruction.split_at_mut(prefix_size);
    let rest: &mut [u8; 6] = rest.try_into().ok()?;
    match (prefix, rest[0], rest[1]) {
        // Their operand sizes do not depend on REX.
        ([], 0xff, 0x15) => call(rest, operand),
        ([], 0xff, 0x25) => jump(rest, operand),
        (prefix, opcode, modrm) if modrm & MODRM_MOD_RM == MODRM_RIP => match prefix {
            [] => load(None, rest, opcode, operand),
            [rex] if *rex & 0xf0 == 0x40 => load(Some(rex), rest, opcode, operand),
            _ => None,
        },
        _ => None,
    }
}

/// Whether `data16 rex.W` stands before an instruction, as before the call of a sequence for thread-local storage, whose length is fixed.
/// The call that would come out has its `addr32` between REX and the opcode, where REX does not count: what is left is `data16`, and AMD's
/// processors then take 16 bits of the distance and of the instruction pointer (APM volume 3, "CALL (Near)"), Intel's all of it.
fn is_padded(bytes: &[u8], start: usize) -> bool {
    bytes[..start.min(bytes.len())].ends_with(&[0x66, 0x48])
}

/// `call *entry(%rip)` → `addr32 call symbol`
fn call(code: &mut [u8; 6], operand: Operand) -> Option<()> {
    let [a, b, c, d] = distance(operand.symbol, operand.place, 4)?;
    *code = [0x67, 0xe8, a, b, c, d];
    Some(())
}

/// `jmp *entry(%rip)` → `jmp symbol; nop`, whose field lies one byte earlier.
fn jump(code: &mut [u8; 6], operand: Operand) -> Option<()> {
    let [a, b, c, d] = distance(operand.symbol, operand.place, 3)?;
    *code = [0xe9, a, b, c, d, 0x90];
    Some(())
}

/// `mov entry(%rip), %reg` and arithmetic with the entry as its source.
fn load(rex: Option<&mut u8>, code: &mut [u8; 6], opcode: u8, operand: Operand) -> Option<()> {
    const MOV: u8 = 0x8b;
    const LEA: u8 = 0x8d;
    if opcode == MOV
        && let Some(field) = distance(operand.symbol, operand.place, 4)
    {
        code[0] = LEA;
        code[2..].copy_from_slice(&field);
        return Some(());
    }
    // op /digit, %reg with an immediate: the opcode and the digit that selects the operation.
    let (immediate_opcode, digit) = match opcode {
        MOV => (0xc7, 0),
        // test
        0x85 => (0xf7, 0),
        // add, or, adc, sbb, and, sub, xor, cmp
        0x03 | 0x0b | 0x13 | 0x1b | 0x23 | 0x2b | 0x33 | 0x3b => (0x81, opcode >> 3),
        _ => return None,
    };
    let field = immediate(operand.symbol)?;
    let register = (code[1] >> 3) & 7;
    code[0] = immediate_opcode;
    code[1] = MODRM_REGISTER | digit << 3 | register;
    code[2..].copy_from_slice(&field);
    if let Some(rex) = rex {
        // The register moves from ModRM.reg to ModRM.rm, its high bit from REX.R to REX.B.
        *rex = (*rex & !REX_R) | (*rex & REX_R) >> 2;
    }
    Some(())
}

/// The distance to `symbol` from the end of an instruction, which lies `past` bytes behind `place`.
fn distance(symbol: u64, place: u64, past: u64) -> Option<[u8; 4]> {
    let distance = i128::from(symbol) - (i128::from(place) + i128::from(past));
    i32::try_from(distance).ok().map(i32::to_le_bytes)
}

/// `symbol` as an immediate operand, which is sign-extended where the operation is 64 bits wide.
fn immediate(symbol: u64) -> Option<[u8; 4]> {
    // Both readings of what fits agree for non-negative values.
    i32::try_from(symbol).ok().map(i32::to_le_bytes)
}

#[cfg(test)]
mod tests;
