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

super::load_all::convention!(6 integer registers: 0 1 2 3 4 5);

const HAS_STRUCTURES: bool = true;

/// What is larger is in memory.
const MOST_IN_REGISTERS: usize = 16;

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
        Piece::each(structure, |index| host.next(classes[index]))
    } else {
        let first = host.on_stack_next(structure.words())?;
        Piece::each(structure, |index| Some(first + index as u8))
    };
    pieces.map(Passed::Pieces)
}

fn give_back(host: &mut Host, structure: &Structure) -> Option<Returned> {
    let Some(classes) = classes(structure) else {
        return host.next(Class::Integer).map(Returned::Memory);
    };
    let (mut integers, mut floats) = (0..2, 2..4);
    let pieces = Piece::each(structure, |index| match classes[index] {
        Class::Integer => integers.next(),
        Class::Float => floats.next(),
    });
    pieces.map(Returned::Pieces)
}
