//! System V AMD64: Linux, macOS and the BSDs on x86-64.
//!
//! Arguments are classified one by one. Integers and pointers take the next of rdi, rsi, rdx, rcx, r8, r9; floats take the
//! next of xmm0 to xmm7; once a class has run out of registers its arguments go to the stack in order, eight bytes each.
//! Results come back in rax or xmm0. A variadic callee also reads al, an upper bound of the vector registers in use: the
//! casts below are variadic, so that al is set to 8 and `printf` can be called like anything else.
//!
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>, §3.2.3.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

use super::registers::Registers;

const INTEGER_REGISTERS: u8 = 6;
const FLOAT_REGISTERS: u8 = 8;
const FIRST_FLOAT: usize = INTEGER_REGISTERS as usize;
const FIRST_STACK: usize = FIRST_FLOAT + FLOAT_REGISTERS as usize;

/// The most words that a call can pass on the stack.
pub(crate) const STACK_WORDS: u8 = 16;

/// Everything that a call can pass: integer registers, floating-point registers, stack words.
pub(crate) type Words = [u64; FIRST_STACK + STACK_WORDS as usize];

/// Gives each argument its place in [`Words`].
pub(crate) type Assignment = Registers<INTEGER_REGISTERS, FLOAT_REGISTERS, STACK_WORDS>;

macro_rules! call {
    ($target:ident, $words:ident, $result:ty; $($stack:literal)*) => {{
        // SAFETY: both are plain addresses of the same size. Calling the result is the obligation of our caller.
        let function = unsafe {
            std::mem::transmute::<
                *const (),
                unsafe extern "C" fn(u64, u64, u64, u64, u64, u64, ...) -> $result,
            >($target)
        };
        let float = |index: usize| f64::from_bits($words[FIRST_FLOAT + index]);
        // SAFETY: the caller vouches for the target and that it takes no more than what is loaded here.
        unsafe {
            function(
                $words[0], $words[1], $words[2], $words[3], $words[4], $words[5],
                float(0), float(1), float(2), float(3), float(4), float(5), float(6), float(7),
                $($words[FIRST_STACK + $stack],)*
            )
        }
    }};
}

/// Calls with the fewest stack words that suffice. Passing more is harmless; loading none is what makes common calls quick.
macro_rules! call_by_stack_words {
    ($target:ident, $words:ident, $stack:ident, $result:ty) => {
        match $stack {
            0 => call!($target, $words, $result;),
            1..=2 => call!($target, $words, $result; 0 1),
            3..=4 => call!($target, $words, $result; 0 1 2 3),
            5..=8 => call!($target, $words, $result; 0 1 2 3 4 5 6 7),
            _ => call!($target, $words, $result; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15),
        }
    };
}

/// Calls `target` and returns what it leaves in rax.
///
/// # Safety
/// - `target` is the address of code that follows this convention and may be called now.
/// - `words` and `stack` come from an [`Assignment`] of the arguments that it takes.
/// - What it does with them is sound.
pub(crate) unsafe fn call_integer(target: *const (), words: &Words, stack: u8) -> u64 {
    call_by_stack_words!(target, words, stack, u64)
}

/// Calls `target` and returns what it leaves in xmm0.
///
/// # Safety
/// As for [`call_integer`].
pub(crate) unsafe fn call_float(target: *const (), words: &Words, stack: u8) -> f64 {
    call_by_stack_words!(target, words, stack, f64)
}

#[cfg(test)]
mod tests {
    use super::super::kind::Class;
    use super::*;

    #[expect(
        clippy::many_single_char_names,
        reason = "what counts is which comes where"
    )]
    extern "C" fn weigh(
        a: i32,
        b: f64,
        c: u8,
        d: f32,
        e: i64,
        f: u64,
        g: i16,
        h: f64,
        i: u32,
        j: i32,
        k: f64,
    ) -> i64 {
        let integers = i64::from(a) + 2 * i64::from(c) + 3 * e + 4 * f.cast_signed();
        let more = 5 * i64::from(g) + 6 * i64::from(i) + 7 * i64::from(j);
        integers + more + (8.0 * b + 9.0 * f64::from(d) + 10.0 * h + 11.0 * k) as i64
    }

    extern "C" fn halve(value: f64) -> f64 {
        value / 2.0
    }

    fn words(arguments: &[(Class, u64)]) -> (Words, u8) {
        let mut assignment = Assignment::begin().unwrap();
        let mut words: Words = [0; _];
        for &(class, word) in arguments {
            words[usize::from(assignment.place(class).unwrap())] = word;
        }
        (words, assignment.stack_words())
    }

    #[test]
    fn registers_and_stack_arrive_in_the_order_of_the_convention() {
        let integer = |value: i64| (Class::Integer, value.cast_unsigned());
        let float = |value: f64| (Class::Float, value.to_bits());
        let single = (Class::Float, u64::from(1.5_f32.to_bits()));
        let (words, stack) = words(&[
            integer(-1),
            float(0.5),
            integer(200),
            single,
            integer(-3),
            integer(4),
            integer(-5),
            float(6.0),
            integer(7),
            integer(-8),
            float(9.0),
        ]);
        assert_eq!(stack, 1, "seven integers have six registers");
        // SAFETY: `weigh` follows this convention and takes these arguments.
        let result = unsafe { call_integer(weigh as *const (), &words, stack) };
        let expected = weigh(-1, 0.5, 200, 1.5, -3, 4, -5, 6.0, 7, -8, 9.0);
        assert_eq!(result.cast_signed(), expected);
    }

    #[test]
    fn a_float_returns_in_its_own_register() {
        let (words, stack) = words(&[(Class::Float, 5.0_f64.to_bits())]);
        // SAFETY: `halve` follows this convention and takes this argument.
        let result = unsafe { call_float(halve as *const (), &words, stack) };
        assert_eq!(result.to_bits(), 2.5_f64.to_bits());
    }
}
