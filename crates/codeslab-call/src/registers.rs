//! Which register or stack word each argument goes to, in conventions that count integers and floats apart.
//!
//! Arguments are classified one by one. Integers and pointers take the next integer register, floats the next
//! floating-point register; once a class has run out of registers its arguments go to the stack in order, eight bytes each.
//! A convention says how many registers of each it has. Where registers are counted by position, as on Windows, a
//! convention brings an assignment of its own.
#![allow(
    dead_code,
    reason = "some conventions count registers by position, or there is none"
)]

use crate::kind::Class;

/// Gives each argument its word: integer registers come first, then floating-point registers, then those that are for no argument, then the
/// stack.
#[derive(Clone, Debug)]
pub(crate) struct Registers<const INTEGERS: u8, const FLOATS: u8, const OTHERS: u8, const STACK: u8>
{
    // Invariant: at most `INTEGERS`, `FLOATS` and `limit`.
    integers: u8,
    floats: u8,
    stack: u8,
    /// The most words on the stack.
    limit: u8,
}

impl<const INTEGERS: u8, const FLOATS: u8, const OTHERS: u8, const STACK: u8> Default
    for Registers<INTEGERS, FLOATS, OTHERS, STACK>
{
    fn default() -> Self {
        Self::with_stack(STACK)
    }
}

impl<const INTEGERS: u8, const FLOATS: u8, const OTHERS: u8, const STACK: u8>
    Registers<INTEGERS, FLOATS, OTHERS, STACK>
{
    /// The word of the first that is for no argument.
    pub(crate) const FIRST_OTHER: u8 = INTEGERS + FLOATS;

    /// The word of the first on the stack.
    const FIRST_STACK: u8 = Self::FIRST_OTHER + OTHERS;

    /// The word of the next argument; `None` when its registers and the stack words are used up.
    pub(crate) fn next(&mut self, class: Class) -> Option<u8> {
        let (used, registers, first) = match class {
            Class::Integer => (&mut self.integers, INTEGERS, 0),
            Class::Float => (&mut self.floats, FLOATS, INTEGERS),
        };
        if *used < registers {
            return Some(first + take(used));
        }
        (self.stack < self.limit).then(|| Self::FIRST_STACK + take(&mut self.stack))
    }

    /// With room for so many words on the stack.
    pub(crate) fn with_stack(limit: u8) -> Self {
        Self {
            integers: 0,
            floats: 0,
            stack: 0,
            limit,
        }
    }

    /// Whether so many registers of each class are left.
    pub(crate) fn are_left(&self, integers: usize, floats: usize) -> bool {
        let left = |used: u8, all: u8| usize::from(all - used);
        integers <= left(self.integers, INTEGERS) && floats <= left(self.floats, FLOATS)
    }

    /// Leaves the registers of a class that are left to nobody.
    pub(crate) fn use_up(&mut self, class: Class) {
        match class {
            Class::Integer => self.integers = INTEGERS,
            Class::Float => self.floats = FLOATS,
        }
    }

    /// The first of so many words on the stack; `None` if there are not as many.
    pub(crate) fn on_stack_next(&mut self, count: usize) -> Option<u8> {
        let end = usize::from(self.stack) + count;
        (end <= usize::from(self.limit)).then(|| {
            let first = Self::FIRST_STACK + self.stack;
            self.stack = end as u8;
            first
        })
    }

    /// How many words of the stack are in use so far.
    #[inline]
    pub(crate) fn on_stack(&self) -> u8 {
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
        let mut registers = Registers::<2, 1, 0, 2>::default();
        let classes = [
            (Class::Integer, Some(0)),
            (Class::Float, Some(2)),
            (Class::Float, Some(3)),
            (Class::Integer, Some(1)),
            (Class::Integer, Some(4)),
            (Class::Float, None),
        ];
        for (class, word) in classes {
            assert_eq!(registers.next(class), word);
        }
        assert_eq!(registers.on_stack(), 2);
    }

    #[test]
    fn registers_that_are_used_up_are_not_given_and_the_stack_begins_behind_all() {
        let mut registers = Registers::<2, 2, 1, 2>::default();
        registers.use_up(Class::Float);
        assert!(registers.are_left(2, 0) && !registers.are_left(0, 1));
        assert_eq!(registers.next(Class::Float), Some(5));
        assert_eq!(registers.next(Class::Integer), Some(0));
    }
}
