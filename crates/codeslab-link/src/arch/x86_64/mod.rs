//! What a linker has to know about x86-64 code.
//!
//! Calls, jumps and RIP-relative operands hold a signed 32-bit distance from the *end* of the instruction, so they span
//! ±2 GiB; that is why addends are usually -4. What may be further away is reached through 64 bits in memory: a GOT entry.
//! A call that has no GOT entry in the code gets one through a stub. The other way round, code that was compiled to go
//! through a GOT entry can be rewritten to do without when the symbol turns out to be near; instructions keep their length.
//! Instructions are recognised by their bytes before they are rewritten, and left alone when they are not what the
//! relocation says they are.
//!
//! Source: psABI §B.2 "Optimize GOTPCRELX Relocations"; Intel SDM volume 2 for the encodings.

use crate::arch::formula::RelocationKind;
use object::elf;

/// Bytes of a GOT entry.
pub(crate) const GOT_ENTRY_SIZE: u64 = 8;
/// Bytes of a stub: six of `jmp *entry(%rip)`, rounded up so that none crosses a cache line.
pub(crate) const STUB_SIZE: u64 = 8;

const REX_R: u8 = 0x04;
/// mod and r/m of an operand at a distance from the instruction pointer.
const MODRM_RIP: u8 = 0x05;
const MODRM_MOD_RM: u8 = 0xc7;
/// mod of a register operand.
const MODRM_REGISTER: u8 = 0xc0;

/// The stub at `stub`, which jumps to the address in the GOT entry at `entry`; `None` if that is out of reach.
pub(crate) fn stub(stub: u64, entry: u64) -> Option<[u8; STUB_SIZE as usize]> {
    const JUMP_SIZE: i128 = 6;
    let distance = i128::from(entry) - (i128::from(stub) + JUMP_SIZE);
    let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
    // jmp *distance(%rip), and two traps that nothing reaches.
    Some([0xff, 0x25, a, b, c, d, 0xcc, 0xcc])
}

/// Where the operand of a GOT-relative instruction lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    /// Bytes from the start of the section to the field.
    pub(crate) offset: usize,
    /// P, the address of the field.
    pub(crate) place: u64,
    /// S, the address of the symbol.
    pub(crate) symbol: u64,
}

/// Rewrites the instruction around `operand` to do without its GOT entry. Says whether it did; otherwise nothing changed.
pub(crate) fn relax(bytes: &mut [u8], kind: RelocationKind, operand: Operand) -> bool {
    relaxed(bytes, kind, operand).is_some()
}

fn relaxed(bytes: &mut [u8], kind: RelocationKind, operand: Operand) -> Option<()> {
    let prefix_size = match kind {
        RelocationKind::GotPcRelX => 0,
        RelocationKind::RexGotPcRelX => 1,
        _ => return None,
    };
    let start = operand.offset.checked_sub(2 + prefix_size)?;
    let end = operand.offset.checked_add(4)?;
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

/// The psABI name of a type of relocation that is for thread-local storage.
pub(crate) fn elf_thread_local_name(number: elf::RelocationType) -> Option<&'static str> {
    Some(match number {
        elf::R_X86_64_DTPMOD64 => "R_X86_64_DTPMOD64",
        elf::R_X86_64_DTPOFF64 => "R_X86_64_DTPOFF64",
        elf::R_X86_64_TPOFF64 => "R_X86_64_TPOFF64",
        elf::R_X86_64_TLSGD => "R_X86_64_TLSGD",
        elf::R_X86_64_TLSLD => "R_X86_64_TLSLD",
        elf::R_X86_64_DTPOFF32 => "R_X86_64_DTPOFF32",
        elf::R_X86_64_GOTTPOFF => "R_X86_64_GOTTPOFF",
        elf::R_X86_64_TPOFF32 => "R_X86_64_TPOFF32",
        elf::R_X86_64_GOTPC32_TLSDESC => "R_X86_64_GOTPC32_TLSDESC",
        elf::R_X86_64_TLSDESC_CALL => "R_X86_64_TLSDESC_CALL",
        elf::R_X86_64_TLSDESC => "R_X86_64_TLSDESC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
