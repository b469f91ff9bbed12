//! AAPCS64: Linux and the BSDs on 64-bit Arm.
//!
//! Integers and pointers go to x0 to x7, floats to v0 to v7, each class in order; what is left goes to the stack, eight bytes
//! each. Results come back in x0 or v0. Variadic arguments go to the same places as named ones, which is what lets every
//! function be called as a variadic one. (Apple packs small stack arguments and passes variadic ones on the stack; that is a
//! convention of its own. So is Windows, which passes variadic floats in integer registers.)
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, §6.8.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

super::load_all::convention!(8 integer registers: 0 1 2 3 4 5 6 7);

// Structures are refused: those of up to four floats of one type travel in as many registers, which is a rule of its own.
const HAS_STRUCTURES: bool = false;

fn pass(_host: &mut Host, _structure: &Structure) -> Option<Passed> {
    None
}

fn give_back(_host: &mut Host, _structure: &Structure) -> Option<Returned> {
    None
}
