//! System V AMD64: Linux, macOS and the BSDs on x86-64.
//!
//! Integers and pointers go to rdi, rsi, rdx, rcx, r8, r9, floats to xmm0 to xmm7, results come back in rax or xmm0. A
//! variadic callee also reads al, an upper bound of the vector registers in use.
//!
//! <https://gitlab.com/x86-psABIs/x86-64-ABI>, §3.2.3.
#![allow(unsafe_code)] // It calls through function pointers, which is what this file is for.

super::registers::convention!(6 integer registers: 0 1 2 3 4 5);

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
