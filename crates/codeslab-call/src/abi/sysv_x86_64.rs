//! System V AMD64: Linux, macOS and the BSDs on x86-64.
//!
//! Integers and pointers go to rdi, rsi, rdx, rcx, r8, r9, floats to xmm0 to xmm7, each class in order; what is left goes to
//! the stack, eight bytes each. Results come back in rax or xmm0. A variadic callee also reads al, an upper bound of the
//! vector registers in use, which a variadic call sets; otherwise its arguments are where those of any callee are.
//!
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>, §3.2.3.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

super::load_all::convention!(6 integer registers: 0 1 2 3 4 5);
