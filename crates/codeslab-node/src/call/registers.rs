//! Where arguments go in conventions that have separate registers for integers and for floats, both taken in order.

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
