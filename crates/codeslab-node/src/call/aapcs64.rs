//! AAPCS64: Linux and the BSDs on 64-bit Arm. (Apple packs small stack arguments and passes variadic ones differently; that
//! is a convention of its own.)
//!
//! Integers and pointers go to x0 to x7, floats to v0 to v7, results come back in x0 or v0.
//!
//! <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, §6.8.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

super::registers::convention!(8 integer registers: 0 1 2 3 4 5 6 7);
