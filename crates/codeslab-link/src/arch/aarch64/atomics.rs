//! Atomic operations that GCC and Clang have in a library of their own (libgcc, compiler-rt) for code that is to run on every processor:
//! `-moutline-atomics`, which is the default on Linux. No shared library offers them.
//!
//! A name says operation, bytes and order: `__aarch64_ldadd4_acq_rel`. Operands come in the first argument registers, the address in the
//! next, and what was there before is returned. libgcc's choose between instructions of the first version of the architecture and those
//! of Armv8.1; these use the former, which every processor has: a library that is given comes first, so who wants the latter gives libgcc.
//!
//! Source: "`AArch64` Options" in the GCC manual (<https://gcc.gnu.org/onlinedocs/gcc/AArch64-Options.html>); Arm ARM, §B2.9 "Synchronization and
//! semaphores", and chapter C6 for the encodings.

use super::instructions::{BTI_C, code};
use crate::arch::machine::Builtin;
use codeslab::Protection::ReadExecute;

/// What is kept in order with an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Relaxed,
    Acquire,
    Release,
    Both,
    /// Both, and a barrier behind it, for the older built-in functions of GCC.
    Full,
}

/// What becomes of the value in memory and the operand.
#[derive(Clone, Copy)]
enum Operation {
    Swap,
    Add,
    Clear,
    Flip,
    Set,
}

const RET: u32 = 0xd65f_03c0;
const BARRIER: u32 = 0xd503_3bbf;
/// The upper bit of many instructions: their registers have 64 bits.
const WIDE: u32 = 1 << 31;

/// `ldxr` to the register 0 from the address in another, or `ldaxr`.
const fn load(log2: u32, order: Order, address: u32) -> u32 {
    let acquires = matches!(order, Order::Acquire | Order::Both) as u32;
    log2 << 30 | 0x085f_7c00 | acquires << 15 | address << 5
}

/// `stxr` of a register to the address in another, or `stlxr`; the register `status` is not 0 if another processor came first.
const fn store(log2: u32, order: Order, status: u32, value: u32, address: u32) -> u32 {
    let releases = matches!(order, Order::Release | Order::Both | Order::Full) as u32;
    log2 << 30 | 0x0800_7c00 | status << 16 | releases << 15 | address << 5 | value
}

/// `cbnz` of 32 bits of a register, so many instructions back.
const fn again_unless_zero(register: u32, back: u32) -> u32 {
    0x3500_0000 | (0x8_0000 - back) << 5 | register
}

/// `b.ne`, so many instructions ahead.
const fn unless_equal(ahead: u32) -> u32 {
    0x5400_0001 | ahead << 5
}

fn finished(mut instructions: Vec<u32>, order: Order) -> Vec<u8> {
    if order == Order::Full {
        instructions.push(BARRIER);
    }
    instructions.push(RET);
    code(&instructions)
}

/// `old = *x1; *x1 = old op x0; return old`
fn fetch_and(operation: Operation, log2: u32, order: Order) -> Vec<u8> {
    let wide = if log2 == 3 { WIDE } else { 0 };
    // mov w16, w0
    let mut instructions = vec![BTI_C, 0x2a00_03f0 | wide];
    instructions.push(load(log2, order, 1));
    // op w17, w0, w16
    let combine = match operation {
        Operation::Swap => None,
        Operation::Add => Some(0x0b10_0011),
        Operation::Clear => Some(0x0a30_0011),
        Operation::Flip => Some(0x4a10_0011),
        Operation::Set => Some(0x2a10_0011),
    };
    match combine {
        None => instructions.extend([store(log2, order, 17, 16, 1), again_unless_zero(17, 2)]),
        Some(combine) => instructions.extend([
            combine | wide,
            store(log2, order, 15, 17, 1),
            again_unless_zero(15, 3),
        ]),
    }
    finished(instructions, order)
}

/// `old = *x2; if (old == x0) *x2 = x1; return old`
fn compare_and_swap(log2: u32, order: Order) -> Vec<u8> {
    let wide = if log2 == 3 { WIDE } else { 0 };
    // uxtb, uxth or mov, to w16 from w0
    let keep = match log2 {
        0 => 0x5300_1c10,
        1 => 0x5300_3c10,
        _ => 0x2a00_03f0 | wide,
    };
    let instructions = vec![
        BTI_C,
        keep,
        load(log2, order, 2),
        // cmp w0, w16
        0x6b10_001f | wide,
        unless_equal(3),
        store(log2, order, 17, 1, 2),
        again_unless_zero(17, 4),
    ];
    finished(instructions, order)
}

/// The same with two registers for each value, and the address in x4.
fn compare_and_swap_pair(order: Order) -> Vec<u8> {
    let acquires = u32::from(matches!(order, Order::Acquire | Order::Both));
    let releases = u32::from(matches!(order, Order::Release | Order::Both | Order::Full));
    let instructions = vec![
        BTI_C,
        // mov x16, x0; mov x17, x1
        0xaa00_03f0,
        0xaa01_03f1,
        // ldxp x0, x1, [x4]
        0xc87f_0480 | acquires << 15,
        // cmp x0, x16; ccmp x1, x17, #0, eq
        0xeb10_001f,
        0xfa51_0020,
        unless_equal(3),
        // stxp w15, x2, x3, [x4]
        0xc82f_0c82 | releases << 15,
        again_unless_zero(15, 5),
    ];
    finished(instructions, order)
}

/// An entry for each order.
macro_rules! in_each_order {
    ($name:expr, $content:expr) => {
        [
            entry(concat!($name, "_relax"), || ($content)(Order::Relaxed)),
            entry(concat!($name, "_acq"), || ($content)(Order::Acquire)),
            entry(concat!($name, "_rel"), || ($content)(Order::Release)),
            entry(concat!($name, "_acq_rel"), || ($content)(Order::Both)),
            entry(concat!($name, "_sync"), || ($content)(Order::Full)),
        ]
    };
}

/// Entries for each size and order of an operation.
macro_rules! in_each_size {
    ($name:literal, $content:expr) => {
        [
            in_each_order!(concat!($name, "1"), |order| ($content)(0, order)),
            in_each_order!(concat!($name, "2"), |order| ($content)(1, order)),
            in_each_order!(concat!($name, "4"), |order| ($content)(2, order)),
            in_each_order!(concat!($name, "8"), |order| ($content)(3, order)),
        ]
    };
}

const fn entry(name: &'static str, content: fn() -> Vec<u8>) -> Builtin {
    Builtin {
        name,
        protection: ReadExecute,
        align: 16,
        content,
    }
}

use Operation::{Add, Clear, Flip, Set, Swap};

#[rustfmt::skip] // A table is read by columns.
static BY_SIZE: [[[Builtin; 5]; 4]; 6] = [
    in_each_size!("__aarch64_cas",   compare_and_swap),
    in_each_size!("__aarch64_swp",   |log2, order| fetch_and(Swap, log2, order)),
    in_each_size!("__aarch64_ldadd", |log2, order| fetch_and(Add, log2, order)),
    in_each_size!("__aarch64_ldclr", |log2, order| fetch_and(Clear, log2, order)),
    in_each_size!("__aarch64_ldeor", |log2, order| fetch_and(Flip, log2, order)),
    in_each_size!("__aarch64_ldset", |log2, order| fetch_and(Set, log2, order)),
];

static PAIRS: [Builtin; 5] = in_each_order!("__aarch64_cas16", compare_and_swap_pair);

/// All of them.
pub(super) static ALL: [&[Builtin]; 2] = [BY_SIZE.as_flattened().as_flattened(), &PAIRS];

#[cfg(test)]
mod tests {
    use super::*;

    /// The instructions are those that GNU's assembler writes.
    #[test]
    fn operations_are_loops_of_exclusive_loads_and_stores() {
        let words = |bytes: Vec<u8>| {
            let (words, rest) = bytes.as_chunks::<4>();
            assert!(rest.is_empty());
            words
                .iter()
                .map(|word| u32::from_le_bytes(*word))
                .collect::<Vec<_>>()
        };
        // bti c; mov w16, w0; ldaxr w0, [x1]; add w17, w0, w16; stlxr w15, w17, [x1]; cbnz w15, -12; ret
        let add = [
            BTI_C,
            0x2a00_03f0,
            0x885f_fc20,
            0x0b10_0011,
            0x880f_fc31,
            0x35ff_ffaf,
            RET,
        ];
        assert_eq!(words(fetch_and(Add, 2, Order::Both)), add);
        // bti c; uxtb w16, w0; ldxrb w0, [x2]; cmp w0, w16; b.ne +12; stlxrb w17, w1, [x2]; cbnz w17, -16; dmb ish; ret
        let swap = [
            BTI_C,
            0x5300_1c10,
            0x085f_7c40,
            0x6b10_001f,
            0x5400_0061,
            0x0811_fc41,
            0x35ff_ff91,
            BARRIER,
            RET,
        ];
        assert_eq!(words(compare_and_swap(0, Order::Full)), swap);
    }

    #[test]
    fn every_operation_size_and_order_has_a_name_of_its_own() {
        let mut names: Vec<&str> = ALL.into_iter().flatten().map(|one| one.name).collect();
        assert_eq!(names.len(), 125);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 125);
        for name in [
            "__aarch64_ldadd4_acq_rel",
            "__aarch64_cas16_sync",
            "__aarch64_swp1_relax",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
