//! AAPCS64: Linux and the BSDs on 64-bit Arm; and, with other rules for the stack (`apple.rs`), Apple's systems.
//!
//! Integers and pointers go to x0 to x7, floats to v0 to v7, each class in order; what is left goes to the stack, eight bytes
//! each. Results come back in x0 or v0. Variadic arguments go to the same places as named ones. (Windows passes variadic floats in integer
//! registers; that is a convention of its own.)
//!
//! A structure of one to four floats of one type and nothing else goes to as many floating-point registers, one for each. Of the others, one
//! of at most 16 bytes goes to one or two integer registers, and the address of a copy goes there for a larger one. What does not find
//! as many registers as it takes is copied to the stack, and no later argument gets those that are left of that class.
//! Results come back by the same rules in v0 to v3 or x0 and x1; a larger one in memory whose address the caller passes in x8.
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, §6.8 and §6.9.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use crate::structure::Piece;
use std::arch::naked_asm;

super::load_all::convention!(8 integer registers: 0 1 2 3 4 5 6 7; 1 others; calls fixed; shared words);

/// What is larger, and not floats alone, is in memory.
const MOST_IN_REGISTERS: usize = 16;

/// The first word of [`Results`] that is a float.
const FIRST_FLOAT_RESULT: u8 = 2;

/// Those of this system.
const OWN: Rules = if cfg!(target_vendor = "apple") {
    super::apple::RULES
} else {
    Rules {
        packs: false,
        varies_on_stack: false,
    }
};

fn rules(system: System) -> Rules {
    match system {
        System::Own => OWN,
        System::Apple => super::apple::RULES,
    }
}

fn pass(host: &mut Host, structure: &Structure) -> Option<Passed> {
    let (class, unit) = match structure.width_of_floats() {
        Some(width) => (Class::Float, width),
        None if structure.size() <= MOST_IN_REGISTERS => (Class::Integer, 8),
        None => {
            let place = host.next(Kind::Pointer);
            return place.map(|place| Passed::Address(place.word));
        }
    };
    let count = structure.size().div_ceil(unit);
    let fits = match class {
        Class::Integer => host.are_left(count, 0),
        Class::Float => host.are_left(0, count),
    };
    let pieces = if fits {
        Piece::each_of(structure, unit, |_| host.register(class))
    } else {
        host.use_up(class);
        let first = host.on_stack_next(count * unit, unit)?;
        Piece::each_of(structure, unit, |index| {
            Some(Host::place_on_stack(first + index * unit))
        })
    };
    pieces.map(Passed::Pieces)
}

fn give_back(_host: &mut Host, structure: &Structure) -> Option<Returned> {
    let pieces = match structure.width_of_floats() {
        Some(width) => Piece::each_of(structure, width, |index| {
            Some(Place::whole(FIRST_FLOAT_RESULT + index as u8))
        }),
        None if structure.size() <= MOST_IN_REGISTERS => {
            Piece::each(structure, |index| Some(Place::whole(index as u8)))
        }
        None => return Some(Returned::Memory(Host::FIRST_OTHER)),
    };
    pieces.map(Returned::Pieces)
}

/// Calls `target` and returns the registers for results.
///
/// # Safety
/// - `target` is the entry of code that follows this convention, and may be executed by this thread until it returns.
/// - The code takes what `words` hold, where this convention has it, and no more than `stack` words on the stack.
/// - Given these arguments, what the code does is sound. Where it unwinds, the caller's frames may be unwound.
unsafe fn call_all(
    target: *const (),
    words: &<Host as Convention>::Large,
    stack: u8,
    _shape: Shape,
) -> Results {
    let mut results = Results::default();
    // The stack pointer is a multiple of 16, always; there is room for one word more, since the most is even.
    let words_on_stack = u64::from(stack).next_multiple_of(2);
    // SAFETY: the code is the caller's promise, and what it does with its arguments; they lie where it has them, because `words` are in
    // this order. As many stack words as it takes, rounded up to two, lie at the end of `words`; there is room for all results.
    unsafe { call_with_words(target, words.as_ptr(), words_on_stack, &raw mut results) };
    results
}

const _: () = assert!(
    LARGE_STACK_WORDS.is_multiple_of(2),
    "they are copied in pairs"
);

/// A function beside the one below in its object file. LLVM writes to `.eh_frame`, where unwinders look, if an ordinary function of
/// the file has to be found there; a naked one does not count.
#[used]
static BESIDE: extern "C-unwind" fn() = beside;

extern "C-unwind" fn beside() {}

/// Loads all registers that pass anything, x8 among them, which no compiler loads with what it is told; so this is a call in assembly.
///
/// # Safety
/// - `target`: as [`call_all`].
/// - `words` are eight integers, eight floats, the word for x8, and so many words for the stack, an even number, of which the code takes as
///   many at most.
/// - `results` may be written.
#[unsafe(naked)]
unsafe extern "C-unwind" fn call_with_words(
    target: *const (),
    words: *const u64,
    stack: u64,
    results: *mut Results,
) {
    naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        "str x19, [sp, #16]",
        ".cfi_offset x19, -16",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "mov x19, x3",
        "mov x16, x0",
        "mov x9, x1",
        "sub sp, sp, x2, lsl #3",
        "add x10, x9, #{first_stack}",
        "mov x11, sp",
        "cbz x2, 2f",
        "1:",
        "ldp x12, x13, [x10], #16",
        "stp x12, x13, [x11], #16",
        "subs x2, x2, #2",
        "b.ne 1b",
        "2:",
        "ldp d0, d1, [x9, #64]",
        "ldp d2, d3, [x9, #80]",
        "ldp d4, d5, [x9, #96]",
        "ldp d6, d7, [x9, #112]",
        "ldr x8, [x9, #128]",
        "ldp x0, x1, [x9]",
        "ldp x2, x3, [x9, #16]",
        "ldp x4, x5, [x9, #32]",
        "ldp x6, x7, [x9, #48]",
        "blr x16",
        "stp x0, x1, [x19]",
        "stp d0, d1, [x19, #16]",
        "stp d2, d3, [x19, #32]",
        "mov sp, x29",
        ".cfi_def_cfa_register sp",
        "ldr x19, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x19",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        first_stack = const FIRST_STACK * 8,
    )
}
