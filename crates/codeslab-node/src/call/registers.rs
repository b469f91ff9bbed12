//! Conventions that have separate registers for integers and for floats, both taken in order.
//!
//! Arguments are classified one by one. Integers and pointers take the next integer register, floats the next floating-point
//! register; once a class has run out of registers its arguments go to the stack in order, eight bytes each. What is said of
//! one such convention below holds for all of them; a file for each says how many registers it has.
//!
//! Targets are called as if they were variadic, because such a call puts its arguments into the same places as any other and
//! does besides what a variadic callee relies on, so that `printf` can be called like anything else.

use super::kind::Class;
use crate::error::Error;

/// Gives each argument its word: integer registers come first, then floating-point registers, then the stack.
#[derive(Debug, Default)]
pub(crate) struct Registers<const INTEGERS: u8, const FLOATS: u8, const STACK: u8> {
    integers: u8,
    floats: u8,
    stack: u8,
}

impl<const INTEGERS: u8, const FLOATS: u8, const STACK: u8> Registers<INTEGERS, FLOATS, STACK> {
    /// Before the first argument.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "where no convention is known, this fails"
    )]
    pub(crate) fn begin() -> Result<Self, Error> {
        Ok(Self::default())
    }

    /// The word of the next argument; `None` when its registers and the stack words are used up.
    pub(crate) fn place(&mut self, class: Class) -> Option<u8> {
        let (used, registers, first) = match class {
            Class::Integer => (&mut self.integers, INTEGERS, 0),
            Class::Float => (&mut self.floats, FLOATS, INTEGERS),
        };
        if *used < registers {
            return Some(first + take(used));
        }
        (self.stack < STACK).then(|| INTEGERS + FLOATS + take(&mut self.stack))
    }

    /// How many words of the stack are in use so far.
    pub(crate) fn stack_words(&self) -> u8 {
        self.stack
    }
}

fn take(used: &mut u8) -> u8 {
    *used += 1;
    *used - 1
}

/// The floating-point registers that pass arguments, in every convention here.
pub(crate) const FLOAT_REGISTERS: u8 = 8;

/// The most words that a call passes on the stack. More would be a longer macro invocation, no more.
pub(crate) const STACK_WORDS: u8 = 16;

/// Defines a convention, given its integer registers: their number, and the words that they are loaded from.
macro_rules! convention {
    ($integers:literal integer registers: $($integer:literal)*) => {
        use super::registers::{FLOAT_REGISTERS, Registers, call_by_stack_words};

        const FIRST_FLOAT: usize = $integers;
        const FIRST_STACK: usize = FIRST_FLOAT + FLOAT_REGISTERS as usize;

        pub(crate) use super::registers::STACK_WORDS;

        /// Everything that a call can pass: integer registers, floating-point registers, stack words.
        pub(crate) type Words = [u64; FIRST_STACK + STACK_WORDS as usize];

        /// Gives each argument its place in [`Words`].
        pub(crate) type Assignment = Registers<$integers, FLOAT_REGISTERS, STACK_WORDS>;

        /// Calls `target` and returns what it leaves in the first integer register for results.
        ///
        /// # Safety
        /// - `target` is the address of code that follows this convention and may be called now.
        /// - `words` and `stack` come from an [`Assignment`] of the arguments that it takes.
        /// - What it does with them is sound.
        pub(crate) unsafe fn call_integer(target: *const (), words: &Words, stack: u8) -> u64 {
            call_by_stack_words!(target, words, stack, u64, [$($integer)*])
        }

        /// Calls `target` and returns what it leaves in the first floating-point register.
        ///
        /// # Safety
        /// As for [`call_integer`].
        pub(crate) unsafe fn call_float(target: *const (), words: &Words, stack: u8) -> f64 {
            call_by_stack_words!(target, words, stack, f64, [$($integer)*])
        }
    };
}

/// Calls with the fewest stack words that suffice. Passing more is harmless; loading none is what makes common calls quick.
macro_rules! call_by_stack_words {
    ($target:ident, $words:ident, $stack:ident, $result:ty, $integers:tt) => {{
        use super::registers::call;
        match $stack {
            0 => call!($target, $words, $result, $integers, []),
            1..=2 => call!($target, $words, $result, $integers, [0 1]),
            3..=4 => call!($target, $words, $result, $integers, [0 1 2 3]),
            5..=8 => call!($target, $words, $result, $integers, [0 1 2 3 4 5 6 7]),
            _ => call!($target, $words, $result, $integers, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]),
        }
    }};
}

macro_rules! call {
    ($target:ident, $words:ident, $result:ty, [$($integer:literal)*], [$($stack:literal)*]) => {{
        // SAFETY: both are plain addresses of the same size. Calling the result is the obligation of our caller.
        let function = unsafe {
            std::mem::transmute::<*const (), unsafe extern "C" fn(u64, ...) -> $result>($target)
        };
        let float = |index: usize| f64::from_bits($words[FIRST_FLOAT + index]);
        // SAFETY: the caller vouches for the target and that it takes no more than what is loaded here.
        unsafe {
            function(
                $($words[$integer],)*
                float(0), float(1), float(2), float(3), float(4), float(5), float(6), float(7),
                $($words[FIRST_STACK + $stack],)*
            )
        }
    }};
}

pub(super) use {call, call_by_stack_words, convention};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_registers_of_its_own_and_they_share_the_stack() {
        let mut registers = Registers::<2, 1, 2>::begin().unwrap();
        let classes = [
            (Class::Integer, Some(0)),
            (Class::Float, Some(2)),
            (Class::Float, Some(3)),
            (Class::Integer, Some(1)),
            (Class::Integer, Some(4)),
            (Class::Float, None),
        ];
        for (class, word) in classes {
            assert_eq!(registers.place(class), word);
        }
        assert_eq!(registers.stack_words(), 2);
    }
}
