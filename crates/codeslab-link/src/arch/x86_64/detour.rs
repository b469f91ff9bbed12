//! Detours: instructions that use data by its distance, rewritten to come by it through a GOT entry because it turned out to be too far.
//!
//! An instruction with an operand at a distance from itself has at least six bytes, room for a jump to where it is done in another way:
//!
//! ```text
//! mov optind(%rip), %eax    becomes    jmp detour; nop
//! detour: lea -128(%rsp), %rsp         leaf functions keep what they like below the stack pointer, but not farther
//!         push %rsi                    a register that the instruction does not use
//!         mov entry(%rip), %rsi
//!         mov (%rsi), %eax             the same instruction with another operand; no flag has changed
//!         pop %rsi
//!         lea 128(%rsp), %rsp
//!         jmp back
//! ```
//!
//! Code that is not position-independent has addresses of 32 bits in the place of distances (`mov optind, %eax`), which takes a byte more. The same
//! is done for those where the data lies too high.
//!
//! Such code also takes addresses as values (`mov $environ, %edi`), which `value` sees to.
//!
//! Nothing jumps into the middle of an instruction, so the rest of the code does not notice. Where instructions begin is found by decoding
//! from the start of a function. A detour calls nothing and throws nothing, so it needs no unwind information but for signal handlers and
//! profilers that unwind from within it; they see a caller missing.
//!
//! Source: Intel SDM volume 2, chapter 2 "Instruction Format"; psABI for AMD64, §3.2.2 on the red zone.

mod frame;
mod value;

use crate::arch::machine::{Detour, Instruction, OperandForm};
use crate::arch::row::Misfit;
use frame::{begun, displacement, ended};
use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind, Register};

/// Bytes of a detour, with the longest instruction.
pub(super) const SIZE: u64 = frame::SIZE;

/// Registers that a detour may use, by their numbers.
const SCRATCH: [(Register, u8); 3] = [(Register::RSI, 6), (Register::RDI, 7), (Register::RBX, 3)];

/// The instructions whose operands are the fields at these offsets; `None` for those that cannot take a detour. Both lists ascend.
pub(super) fn find(code: &[u8], starts: &[usize], fields: &[usize]) -> Vec<Option<Instruction>> {
    let mut starts = starts.iter().copied().peekable();
    let mut at = 0;
    let find = |&field: &usize| {
        while let Some(start) = starts.next_if(|start| *start <= field) {
            at = at.max(start);
        }
        let (found, next) = instruction_at(code, at, field);
        at = next;
        found
    };
    fields.iter().map(find).collect()
}

/// Decodes from `at` to the instruction around `field`, and says where that begins.
fn instruction_at(code: &[u8], at: usize, field: usize) -> (Option<Instruction>, usize) {
    let mut decoder = Decoder::new(64, &code[at.min(code.len())..], DecoderOptions::NONE);
    let mut start = at;
    while decoder.can_decode() {
        let decoded = decoder.decode();
        let end = at + decoder.position();
        if end > field {
            let offsets = decoder.get_constant_offsets(&decoded);
            let is_at = |size, offset: usize| size == 4 && start + offset == field;
            let operand = if is_at(offsets.immediate_size(), offsets.immediate_offset()) {
                value::takes(&code[start..end]).then_some(OperandForm::Value)
            } else {
                let is_field = is_at(offsets.displacement_size(), offsets.displacement_offset());
                operand_form(&decoded).filter(|_| is_field)
            };
            let found = operand.and_then(|operand| {
                let is_push = operand == OperandForm::Value && value::is_push(&code[start..end]);
                let pushed = is_push.then_some(SCRATCH[0].1);
                let scratch = pushed.or_else(|| scratch_of(&decoded))?;
                Some(Instruction {
                    start,
                    end,
                    scratch,
                    operand,
                })
            });
            return (found, start);
        }
        start = end;
    }
    (None, start)
}

/// How an instruction says where its operand is, if that is all that it says: with no register that counts, and no segment.
fn operand_form(decoded: &iced_x86::Instruction) -> Option<OperandForm> {
    if decoded.is_ip_rel_memory_operand() {
        return Some(OperandForm::Distance);
    }
    let is_address = decoded.op_kinds().any(|kind| kind == OpKind::Memory)
        && decoded.memory_base() == Register::None
        && decoded.memory_index() == Register::None
        && decoded.segment_prefix() == Register::None;
    is_address.then_some(OperandForm::Address)
}

/// The number of a register that an instruction does not use, if it can be done elsewhere at all.
fn scratch_of(decoded: &iced_x86::Instruction) -> Option<u8> {
    let goes_on = decoded.flow_control() == FlowControl::Next;
    if decoded.is_invalid() || !goes_on || decoded.is_stack_instruction() {
        return None;
    }
    let registers = (0..decoded.op_count())
        .filter(|operand| decoded.op_kind(*operand) == OpKind::Register)
        .map(|operand| decoded.op_register(operand).full_register());
    let mut registers: Vec<Register> = registers.collect();
    if registers.contains(&Register::RSP) {
        return None;
    }
    let of_memory = [decoded.memory_base(), decoded.memory_index()];
    registers.extend(of_memory.map(Register::full_register));
    let mut free = SCRATCH
        .iter()
        .filter(|(register, _)| !registers.contains(register));
    free.next().map(|(_, number)| *number)
}

/// The detour of an instruction whose operand is what its field leads to.
fn code(instruction: &[u8], places: &Detour) -> Result<Vec<u8>, Misfit> {
    let Detour {
        field,
        scratch,
        addend,
        operand,
        ..
    } = *places;
    let mut moved = instruction.to_vec();
    // Where the operand is, counted from the symbol: distances count from the end of the instruction.
    let offset = match operand {
        OperandForm::Distance => i128::from(addend) + (moved.len() - field) as i128,
        OperandForm::Address | OperandForm::Value => addend.into(),
    };
    moved[field..field + 4].copy_from_slice(&displacement(offset)?);
    let modrm_at = if operand == OperandForm::Distance {
        field - 1
    } else {
        // The byte between says that no register counts, and is not there where one does.
        moved.remove(field - 1);
        field - 2
    };
    let modrm = &mut moved[modrm_at];
    *modrm = *modrm & 0x38 | 0x80 | scratch;
    let mut code = begun(places)?;
    code.extend(&moved);
    ended(&mut code, places, instruction.len())?;
    Ok(code)
}

/// Writes a detour, and the jump to it in the place of the instruction.
pub(super) fn write(
    detour: &mut [u8],
    instruction: &mut [u8],
    places: &Detour,
) -> Result<(), Misfit> {
    let code = match places.operand {
        OperandForm::Value => value::code(instruction, places)?,
        OperandForm::Distance | OperandForm::Address => code(instruction, places)?,
    };
    detour.fill(0xcc);
    detour[..code.len()].copy_from_slice(&code);
    let jump = i128::from(places.start) - i128::from(places.instruction + 5);
    instruction.fill(0x90);
    instruction[0] = 0xe9;
    instruction[1..5].copy_from_slice(&displacement(jump)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::frame::{ENTER_RED_ZONE, LEAVE_RED_ZONE};
    use super::*;

    fn found(code: &[u8], field: usize) -> Option<(usize, usize, u8)> {
        let found = find(code, &[0], &[field]);
        found[0].map(|one| (one.start, one.end, one.scratch))
    }

    #[test]
    fn an_instruction_is_found_around_its_field_unless_it_cannot_be_done_elsewhere() {
        type Row<'a> = (&'a [u8], usize, Option<(usize, usize, u8)>);
        let table: [Row<'_>; 12] = [
            // mov x(%rip), %rax
            (&[0x48, 0x8b, 0x05, 0, 0, 0, 0], 3, Some((0, 7, 6))),
            // nop; mov x(%rip), %esi
            (&[0x90, 0x8b, 0x35, 0, 0, 0, 0], 3, Some((1, 7, 7))),
            // cmpl $5, x(%rip), whose field is not the last
            (&[0x83, 0x3d, 0, 0, 0, 0, 5], 2, Some((0, 7, 6))),
            // movss x(%rip), %xmm6
            (&[0xf3, 0x0f, 0x10, 0x35, 0, 0, 0, 0], 4, Some((0, 8, 6))),
            // mov x, %eax
            (&[0x8b, 0x04, 0x25, 0, 0, 0, 0], 3, Some((0, 7, 6))),
            // mov %fs:x, %eax
            (&[0x64, 0x8b, 0x04, 0x25, 0, 0, 0, 0], 4, None),
            // mov x(,%rax,4), %eax
            (&[0x8b, 0x04, 0x85, 0, 0, 0, 0], 3, None),
            // call *x(%rip)
            (&[0xff, 0x15, 0, 0, 0, 0], 2, None),
            // push x(%rip)
            (&[0xff, 0x35, 0, 0, 0, 0], 2, None),
            // mov x(%rip), %rsp
            (&[0x48, 0x8b, 0x25, 0, 0, 0, 0], 3, None),
            // mov $x, %eax
            (&[0xb8, 0, 0, 0, 0], 1, Some((0, 5, 6))),
            // It ends within the instruction.
            (&[0x48, 0x8b, 0x05, 0, 0], 3, None),
        ];
        for (code, field, expected) in table {
            assert_eq!(found(code, field), expected, "{code:x?}");
        }
    }

    #[test]
    fn a_detour_does_the_same_with_an_operand_from_its_entry() {
        // cmpl $5, x+8(%rip)
        let mut instruction = [0x83, 0x3d, 0, 0, 0, 0, 5];
        let places = Detour {
            start: 0x2000,
            instruction: 0x1000,
            entry: 0x3000,
            field: 2,
            scratch: 6,
            operand: OperandForm::Distance,
            addend: 8 - 5,
        };
        let mut detour = [0; SIZE as usize];
        assert_eq!(write(&mut detour, &mut instruction, &places), Ok(()));
        // jmp 0x2000; nop; nop
        assert_eq!(instruction, [0xe9, 0xfb, 0x0f, 0, 0, 0x90, 0x90]);
        let expected = [
            &LEAVE_RED_ZONE[..],
            // push %rsi; mov 0x3000(%rip), %rsi
            &[0x56, 0x48, 0x8b, 0x35, 0xf3, 0x0f, 0, 0],
            // cmpl $5, 8(%rsi); pop %rsi
            &[0x83, 0xbe, 8, 0, 0, 0, 5, 0x5e],
            &ENTER_RED_ZONE,
            // jmp 0x1007
            &[0xe9, 0xe5, 0xef, 0xff, 0xff],
        ]
        .concat();
        assert_eq!(detour[..expected.len()], expected);
    }

    #[test]
    fn an_operand_at_an_address_loses_the_byte_that_says_so() {
        // cmpl $5, x+8
        let mut instruction = [0x83, 0x3c, 0x25, 0, 0, 0, 0, 5];
        let places = Detour {
            start: 0x2000,
            instruction: 0x1000,
            entry: 0x3000,
            field: 3,
            scratch: 6,
            operand: OperandForm::Address,
            addend: 8,
        };
        let mut detour = [0; SIZE as usize];
        assert_eq!(write(&mut detour, &mut instruction, &places), Ok(()));
        assert_eq!(instruction, [0xe9, 0xfb, 0x0f, 0, 0, 0x90, 0x90, 0x90]);
        // cmpl $5, 8(%rsi)
        let expected = [0x83, 0xbe, 8, 0, 0, 0, 5, 0x5e];
        assert_eq!(detour[13..21], expected);
    }
}
