//! System V AMD64: Linux, macOS and the BSDs on x86-64.
//!
//! Integers and pointers go to rdi, rsi, rdx, rcx, r8, r9, floats to xmm0 to xmm7, each class in order; what is left goes to
//! the stack, eight bytes each. Results come back in rax or xmm0. A variadic callee also reads al, an upper bound of the
//! vector registers in use, which a variadic call sets; otherwise its arguments are where those of any callee are.
//!
//! A structure of at most 16 bytes is classified word by word: one that holds nothing but floats goes to the next floating-point register,
//! any other to the next integer register, if there are registers for all of it. Otherwise, and if it is larger, it is copied to the stack.
//! As a result it comes back in rax, rdx, xmm0, xmm1 by the same classes; a larger one in memory whose address the caller passes
//! as the first integer, and which rax holds then.
//!
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>, §3.2.3.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use crate::structure::Piece;

super::load_all::convention!(6 integer registers: 0 1 2 3 4 5; 0 others; calls variadic; own words);

/// What is larger is in memory.
const MOST_IN_REGISTERS: usize = 16;

/// Apple's systems have the same on this processor.
fn rules(_system: System) -> Rules {
    Rules::default()
}

/// The classes of the words of a structure; `None` for one that is in memory.
fn classes(structure: &Structure) -> Option<Vec<Class>> {
    let words = 0..structure.words();
    let classes = words.map(|index| structure.class_of_word(index));
    (structure.size() <= MOST_IN_REGISTERS).then(|| classes.collect())
}

fn pass(host: &mut Host, structure: &Structure) -> Option<Passed> {
    let classes = classes(structure).filter(|classes| {
        let floats = classes
            .iter()
            .filter(|class| **class == Class::Float)
            .count();
        host.are_left(classes.len() - floats, floats)
    });
    let pieces = if let Some(classes) = classes {
        Piece::each(structure, |index| host.register(classes[index]))
    } else {
        let first = host.on_stack_next(structure.size(), 8)?;
        Piece::each(structure, |index| {
            Some(Host::place_on_stack(first + index * 8))
        })
    };
    pieces.map(Passed::Pieces)
}

fn give_back(host: &mut Host, structure: &Structure) -> Option<Returned> {
    let Some(classes) = classes(structure) else {
        let register = host.register(Class::Integer);
        return register.map(|place| Returned::Memory(place.word));
    };
    let (mut integers, mut floats) = (0..2, 2..4);
    let pieces = Piece::each(structure, |index| {
        let word = match classes[index] {
            Class::Integer => integers.next(),
            Class::Float => floats.next(),
        };
        word.map(Place::whole)
    });
    pieces.map(Returned::Pieces)
}

/// What a call leaves in two registers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Pair<A, B>(A, B);

/// Calls with the fewest stack words that suffice, of those that structures may take.
macro_rules! call_large {
    ($target:ident, $words:ident, $stack:expr, $result:ty) => {{
        use super::load_all::call;
        match $stack {
            0 => call!($target, $words, $result, variadic, [0 1 2 3 4 5], []),
            1..=8 => call!($target, $words, $result, variadic, [0 1 2 3 4 5], [0 1 2 3 4 5 6 7]),
            9..=24 => call!($target, $words, $result, variadic, [0 1 2 3 4 5], [
                0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
            ]),
            _ => call!($target, $words, $result, variadic, [0 1 2 3 4 5], [
                0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
                24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
                48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
            ]),
        }
    }};
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
    shape: Shape,
) -> Results {
    match shape {
        Shape::Integers => {
            let Pair(one, two) = call_large!(target, words, stack, Pair<u64, u64>);
            [one, two, 0, 0, 0, 0]
        }
        Shape::Floats => {
            let Pair(one, two) = call_large!(target, words, stack, Pair<f64, f64>);
            [0, 0, one.to_bits(), two.to_bits(), 0, 0]
        }
        Shape::IntegerFloat => {
            let Pair(one, two) = call_large!(target, words, stack, Pair<u64, f64>);
            [one, 0, two.to_bits(), 0, 0, 0]
        }
        Shape::FloatInteger => {
            let Pair(one, two) = call_large!(target, words, stack, Pair<f64, u64>);
            [two, 0, one.to_bits(), 0, 0, 0]
        }
    }
}
