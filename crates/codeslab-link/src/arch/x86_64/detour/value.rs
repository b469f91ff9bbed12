//! Detours of instructions that take an address of 32 bits as a value, where it has more:
//!
//! ```text
//! mov $environ, %edi            becomes    jmp detour
//! detour: mov entry(%rip), %rdi
//!         jmp back
//!
//! movq $environ, 8(%rsp)        becomes    jmp detour; nop; …
//! detour: lea -128(%rsp), %rsp
//!         push %rsi
//!         mov entry(%rip), %rsi
//!         mov %rsi, 144(%rsp)              the same with a register for the value; the stack pointer is lower now
//!         pop %rsi
//!         lea 128(%rsp), %rsp
//!         jmp back
//! ```
//!
//! Compilers take an address into half a register because writing that clears the other half. What is computed with 32 bits alone is as it was.
//!
//! Source: Intel SDM volume 2, "MOV", "ADD" and their like, table 2-2 "32-Bit Addressing Forms with the ModR/M Byte".

use super::frame::{back, begun, displacement, ended, load};
use crate::arch::machine::Detour;
use crate::arch::row::Misfit;

/// How much lower the stack pointer is within a detour.
const LOWER: i128 = 128 + 8;

/// The number of the stack pointer.
const RSP: u8 = 4;

/// What is done with the value.
enum Use {
    /// It goes into the register of this number.
    Load(u8),
    /// It goes onto the stack.
    Push,
    /// The instruction with this opcode takes it from a register; the byte for its operands is at this place of the instruction.
    Operate { opcode: u8, modrm_at: usize },
    /// The same, with the register that has no such byte.
    Accumulate { opcode: u8 },
}

/// Whether an instruction uses its value in a way that can be done elsewhere.
pub(super) fn takes(instruction: &[u8]) -> bool {
    use_of(instruction).is_some()
}

fn use_of(instruction: &[u8]) -> Option<Use> {
    let (rex, at) = prefix(instruction);
    let is_wide = rex & 8 != 0;
    let opcode = *instruction.get(at)?;
    let modrm = instruction.get(at + 1).copied()?;
    let (is_register, number) = (modrm >> 6 == 3, modrm & 7 | (rex & 1) << 3);
    let operation = modrm >> 3 & 7;
    match opcode {
        0xb8..=0xbf if !is_wide => {
            let number = opcode & 7 | (rex & 1) << 3;
            (number != RSP).then_some(Use::Load(number))
        }
        0xc7 if is_wide && operation == 0 && is_register => {
            (number != RSP).then_some(Use::Load(number))
        }
        0xc7 if is_wide && operation == 0 => Some(Use::Operate {
            opcode: 0x89,
            modrm_at: at + 1,
        }),
        0x81 if is_wide => Some(Use::Operate {
            opcode: 0x01 | operation << 3,
            modrm_at: at + 1,
        }),
        0x68 => Some(Use::Push),
        _ if is_wide && opcode & 0xc7 == 0x05 => Some(Use::Accumulate { opcode: opcode - 4 }),
        _ => None,
    }
}

/// Whether it pushes its value, and does nothing else to the stack.
pub(super) fn is_push(instruction: &[u8]) -> bool {
    matches!(use_of(instruction), Some(Use::Push))
}

/// The prefix that widens operands and registers, and how many bytes it has.
fn prefix(instruction: &[u8]) -> (u8, usize) {
    match instruction.first() {
        Some(rex @ 0x40..=0x4f) => (*rex, 1),
        _ => (0, 0),
    }
}

/// The detour of an instruction that [`takes`] a value.
pub(super) fn code(instruction: &[u8], places: &Detour) -> Result<Vec<u8>, Misfit> {
    let length = instruction.len();
    let (rex, _) = prefix(instruction);
    let mut code = Vec::new();
    match use_of(instruction) {
        Some(Use::Load(number)) => {
            load(&mut code, places, number)?;
            add(&mut code, places, number)?;
            back(&mut code, places, length)?;
        }
        Some(Use::Push) => {
            // The register is where the value shall be, until they are exchanged: below that, the stack is not ours.
            code.push(0x50 | places.scratch);
            load(&mut code, places, places.scratch)?;
            add(&mut code, places, places.scratch)?;
            code.extend([0x48, 0x87, 0x04 | places.scratch << 3, 0x24]);
            back(&mut code, places, length)?;
        }
        Some(Use::Operate { opcode, modrm_at }) => {
            code = begun(places)?;
            add(&mut code, places, places.scratch)?;
            code.extend([rex, opcode]);
            let operands = instruction.get(modrm_at..places.field).unwrap_or_default();
            operate(&mut code, (rex, operands), places, length)?;
            ended(&mut code, places, length)?;
        }
        Some(Use::Accumulate { opcode }) => {
            code = begun(places)?;
            add(&mut code, places, places.scratch)?;
            code.extend([rex, opcode, 0xc0 | places.scratch << 3]);
            ended(&mut code, places, length)?;
        }
        None => {}
    }
    Ok(code)
}

/// Adds A, which changes no flag.
fn add(code: &mut Vec<u8>, places: &Detour, register: u8) -> Result<(), Misfit> {
    if places.addend == 0 {
        return Ok(());
    }
    let (high, low) = (register >> 3, register & 7);
    code.extend([0x48 | high << 2 | high, 0x8d, 0x80 | low << 3 | low]);
    if low == RSP {
        code.push(0x24);
    }
    code.extend(displacement(places.addend.into())?);
    Ok(())
}

/// The operands of an instruction, the scratch register in the place of the value: what is left of it is another register, or where in
/// memory the other operand is.
fn operate(
    code: &mut Vec<u8>,
    (rex, operands): (u8, &[u8]),
    places: &Detour,
    length: usize,
) -> Result<(), Misfit> {
    let Some((&modrm, rest)) = operands.split_first() else {
        return Ok(());
    };
    let (mode, low) = (modrm >> 6, modrm & 7);
    let modrm = modrm & 0xc7 | places.scratch << 3;
    let number = |bytes: &[u8]| match *bytes {
        [a, b, c, d] => i128::from(i32::from_le_bytes([a, b, c, d])),
        [short] => i128::from(short.cast_signed()),
        _ => 0,
    };
    if mode == 0 && low == 5 {
        // Counted from the end of the instruction, which is elsewhere now.
        let target = i128::from(places.instruction) + length as i128 + number(rest);
        code.push(modrm);
        let end = i128::from(places.start) + code.len() as i128 + 4;
        code.extend(displacement(target - end)?);
        return Ok(());
    }
    match rest.split_first() {
        // Counted from the stack pointer, as the byte behind says unless it is about R12.
        Some((&sib, displaced)) if mode < 3 && low == RSP && sib & 7 == RSP && rex & 1 == 0 => {
            code.extend([modrm & 0x3f | 0x80, sib]);
            code.extend(displacement(number(displaced) + LOWER)?);
        }
        _ => {
            code.push(modrm);
            code.extend(rest);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::frame::{ENTER_RED_ZONE, LEAVE_RED_ZONE, SIZE};
    use super::super::{find, write};
    use super::*;
    use crate::arch::machine::OperandForm;

    /// What is between the jumps, for an instruction at 0x1000 whose last four bytes are the field, a detour at 0x2000 and an entry at 0x3000.
    fn detour(instruction: &[u8], addend: i64) -> Option<Vec<u8>> {
        let field = instruction.len() - 4;
        let found = find(instruction, &[0], &[field])[0]?;
        assert_eq!(found.operand, OperandForm::Value);
        let places = Detour {
            start: 0x2000,
            instruction: 0x1000,
            entry: 0x3000,
            field,
            scratch: found.scratch,
            operand: found.operand,
            addend,
        };
        let (mut detour, mut jump) = ([0; SIZE as usize], instruction.to_vec());
        write(&mut detour, &mut jump, &places).unwrap();
        assert_eq!(jump[..5], [0xe9, 0xfb, 0x0f, 0, 0]);
        assert!(jump[5..].iter().all(|byte| *byte == 0x90));
        let end = detour.iter().rposition(|byte| *byte != 0xcc)? + 1 - 5;
        let back = i32::from_le_bytes(detour[end + 1..end + 5].try_into().unwrap());
        assert_eq!(detour[end], 0xe9);
        assert_eq!(
            0x2000 + end as i128 + 5 + i128::from(back),
            0x1000 + instruction.len() as i128
        );
        Some(detour[..end].to_vec())
    }

    #[test]
    fn a_value_for_a_register_is_loaded() {
        // mov $x, %edi
        assert_eq!(
            detour(&[0xbf, 0, 0, 0, 0], 0).unwrap(),
            [0x48, 0x8b, 0x3d, 0xf9, 0x0f, 0, 0]
        );
        // mov $x+16, %r12d: mov entry(%rip), %r12; lea 16(%r12), %r12
        let loaded = [
            0x4c, 0x8b, 0x25, 0xf9, 0x0f, 0, 0, 0x4d, 0x8d, 0xa4, 0x24, 16, 0, 0, 0,
        ];
        assert_eq!(detour(&[0x41, 0xbc, 0, 0, 0, 0], 16).unwrap(), loaded);
        // mov $x, %rax, signed
        let loaded = [0x48, 0x8b, 0x05, 0xf9, 0x0f, 0, 0];
        assert_eq!(detour(&[0x48, 0xc7, 0xc0, 0, 0, 0, 0], 0).unwrap(), loaded);
    }

    #[test]
    fn a_value_that_is_stored_compared_or_added_goes_through_a_register() {
        let table: [(&[u8], i64, &[u8]); 8] = [
            // movq $x, 8(%rsp): mov %rsi, 144(%rsp)
            (
                &[0x48, 0xc7, 0x44, 0x24, 8, 0, 0, 0, 0],
                0,
                &[0x48, 0x89, 0xb4, 0x24, 144, 0, 0, 0],
            ),
            // movq $x, (%rsp)
            (
                &[0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0],
                0,
                &[0x48, 0x89, 0xb4, 0x24, 136, 0, 0, 0],
            ),
            // movq $x, (%r12)
            (
                &[0x49, 0xc7, 0x04, 0x24, 0, 0, 0, 0],
                0,
                &[0x49, 0x89, 0x34, 0x24],
            ),
            // movq $x, -8(%rbp)
            (
                &[0x48, 0xc7, 0x45, 0xf8, 0, 0, 0, 0],
                0,
                &[0x48, 0x89, 0x75, 0xf8],
            ),
            // movq $x, (%rsi,%rdi,8)
            (
                &[0x48, 0xc7, 0x04, 0xfe, 0, 0, 0, 0],
                0,
                &[0x48, 0x89, 0x1c, 0xfe],
            ),
            // cmp $x+3, %rdx: lea 3(%rsi), %rsi; cmp %rsi, %rdx
            (
                &[0x48, 0x81, 0xfa, 0, 0, 0, 0],
                3,
                &[0x48, 0x8d, 0xb6, 3, 0, 0, 0, 0x48, 0x39, 0xf2],
            ),
            // add $x, %rax
            (&[0x48, 0x05, 0, 0, 0, 0], 0, &[0x48, 0x01, 0xf0]),
            // movq $x, 0x100(%rip), which is 0x110b: what it is counted from comes 0x1010 later
            (
                &[0x48, 0xc7, 0x05, 0, 1, 0, 0, 0, 0, 0, 0],
                0,
                &[0x48, 0x89, 0x35, 0xf7, 0xf0, 0xff, 0xff],
            ),
        ];
        for (instruction, addend, expected) in table {
            let all = detour(instruction, addend).expect("it takes a detour");
            let begun = LEAVE_RED_ZONE.len() + 1 + 7;
            let ended = all.len() - ENTER_RED_ZONE.len() - 1;
            assert_eq!(all[begun..ended], *expected, "{instruction:x?}");
            assert_eq!(
                all[ended] & 7,
                all[LEAVE_RED_ZONE.len()] & 7,
                "the same register"
            );
        }
    }

    #[test]
    fn a_value_that_is_pushed_changes_places_with_a_register() {
        // push %rsi; mov entry(%rip), %rsi; lea 8(%rsi), %rsi; xchg %rsi, (%rsp)
        let expected = [
            &[0x56, 0x48, 0x8b, 0x35, 0xf8, 0x0f, 0, 0][..],
            &[0x48, 0x8d, 0xb6, 8, 0, 0, 0],
            &[0x48, 0x87, 0x34, 0x24],
        ];
        assert_eq!(detour(&[0x68, 0, 0, 0, 0], 8).unwrap(), expected.concat());
    }

    #[test]
    fn what_needs_the_stack_pointer_or_half_a_register_is_left_alone() {
        let table: [&[u8]; 5] = [
            // mov $x, %esp; cmp $x, %rsp
            &[0xbc, 0, 0, 0, 0],
            &[0x48, 0x81, 0xfc, 0, 0, 0, 0],
            // movl $x, (%rax); cmp $x, %edx; imul $x, %rax, %rax
            &[0xc7, 0x00, 0, 0, 0, 0],
            &[0x81, 0xfa, 0, 0, 0, 0],
            &[0x48, 0x69, 0xc0, 0, 0, 0, 0],
        ];
        for instruction in table {
            assert_eq!(detour(instruction, 0), None, "{instruction:x?}");
        }
    }
}
