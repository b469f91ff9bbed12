//! Which register or bytes on the stack each argument goes to, in conventions that count integers and floats apart.
//!
//! Arguments are classified one by one. Integers and pointers take the next integer register, floats the next
//! floating-point register; once a class has run out of registers its arguments go to the stack in order, eight bytes each or, by the
//! [`Rules`] of some, as many as they have. A convention says how many registers of each it has. Where registers are counted by position, as
//! on Windows, a convention brings an assignment of its own.
#![allow(
    dead_code,
    reason = "some conventions count registers by position, or there is none"
)]

use crate::kind::{Class, Kind};
use crate::structure::Place;

/// What conventions differ in that have the same registers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Rules {
    /// On the stack, arguments lie at multiples of their own size, and take no more; otherwise at multiples of eight bytes.
    pub(crate) packs: bool,
    /// Arguments that vary are on the stack, whatever registers are left, at multiples of eight bytes.
    pub(crate) varies_on_stack: bool,
}

/// Gives each argument its place: integer registers come first, then floating-point registers, then those that are for no argument, then the
/// stack.
#[derive(Clone, Debug)]
pub(crate) struct Registers<const INTEGERS: u8, const FLOATS: u8, const OTHERS: u8, const STACK: u8>
{
    // Invariant: at most `INTEGERS` and `FLOATS`.
    integers: u8,
    floats: u8,
    /// Bytes on the stack.
    // Invariant: at most `limit` words.
    stack: u16,
    /// The most words on the stack.
    limit: u8,
    rules: Rules,
    /// Whether arguments vary from here on.
    varies: bool,
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

    /// With room for so many words on the stack.
    pub(crate) fn with_stack(limit: u8) -> Self {
        Self {
            integers: 0,
            floats: 0,
            stack: 0,
            limit,
            rules: Rules::default(),
            varies: false,
        }
    }

    /// The same by other rules.
    #[must_use]
    pub(crate) fn by(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// Says that arguments vary from here on.
    pub(crate) fn vary(&mut self) {
        self.varies = true;
    }

    /// The place of the next argument; `None` when its registers and the stack are used up.
    pub(crate) fn next(&mut self, kind: Kind) -> Option<Place> {
        if let Some(register) = self.register(kind.class()?) {
            return Some(register);
        }
        let bytes = if self.are_packed() {
            kind.bytes() as usize
        } else {
            8
        };
        let start = self.on_stack_next(bytes, bytes)?;
        Some(Self::place_on_stack(start).first(bytes))
    }

    /// The next register of a class; `None` when they are used up.
    pub(crate) fn register(&mut self, class: Class) -> Option<Place> {
        if !self.have_registers() {
            return None;
        }
        let (used, registers, first) = match class {
            Class::Integer => (&mut self.integers, INTEGERS, 0),
            Class::Float => (&mut self.floats, FLOATS, INTEGERS),
        };
        let is_left = *used < registers;
        is_left.then(|| {
            *used += 1;
            Place::whole(first + *used - 1)
        })
    }

    /// Whether so many registers of each class are left.
    pub(crate) fn are_left(&self, integers: usize, floats: usize) -> bool {
        let left = |used: u8, all: u8| usize::from(all - used);
        let are_left =
            integers <= left(self.integers, INTEGERS) && floats <= left(self.floats, FLOATS);
        are_left && self.have_registers()
    }

    /// Whether the next arguments may be in registers.
    fn have_registers(&self) -> bool {
        !(self.varies && self.rules.varies_on_stack)
    }

    /// Whether the next arguments on the stack take no more than they have.
    fn are_packed(&self) -> bool {
        self.rules.packs && !self.varies
    }

    /// Leaves the registers of a class that are left to nobody.
    pub(crate) fn use_up(&mut self, class: Class) {
        match class {
            Class::Integer => self.integers = INTEGERS,
            Class::Float => self.floats = FLOATS,
        }
    }

    /// Where so many bytes begin on the stack, of which each part has as many as `unit`; `None` if there is no room.
    pub(crate) fn on_stack_next(&mut self, bytes: usize, unit: usize) -> Option<usize> {
        let align = if self.are_packed() { unit } else { 8 };
        let start = usize::from(self.stack).next_multiple_of(align);
        let end = start + bytes;
        (end <= usize::from(self.limit) * 8).then(|| {
            self.stack = end as u16;
            start
        })
    }

    /// What lies there on the stack, up to the end of a word.
    pub(crate) fn place_on_stack(bytes: usize) -> Place {
        Place::behind(Self::FIRST_STACK, bytes)
    }

    /// How many words of the stack are in use so far.
    #[inline]
    pub(crate) fn on_stack(&self) -> u8 {
        self.stack.div_ceil(8) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_registers_of_its_own_and_they_share_the_stack() {
        let mut registers = Registers::<2, 1, 0, 2>::default();
        let kinds = [
            (Kind::Int8, Some(0)),
            (Kind::Float32, Some(2)),
            (Kind::Float32, Some(3)),
            (Kind::Uint64, Some(1)),
            (Kind::Uint8, Some(4)),
            (Kind::Float64, None),
        ];
        for (kind, word) in kinds {
            assert_eq!(registers.next(kind), word.map(Place::whole));
        }
        assert_eq!(registers.on_stack(), 2);
    }

    #[test]
    fn registers_that_are_used_up_are_not_given_and_the_stack_begins_behind_all() {
        let mut registers = Registers::<2, 2, 1, 2>::default();
        registers.use_up(Class::Float);
        assert!(registers.are_left(2, 0) && !registers.are_left(0, 1));
        assert_eq!(registers.next(Kind::Float64), Some(Place::whole(5)));
        assert_eq!(registers.next(Kind::Int32), Some(Place::whole(0)));
    }

    #[test]
    fn where_the_stack_is_packed_arguments_take_what_they_have_until_they_vary() {
        let rules = Rules {
            packs: true,
            varies_on_stack: true,
        };
        let mut registers = Registers::<1, 1, 0, 5>::default().by(rules);
        let place = |bytes: usize, width: usize| Some(Place::behind(2, bytes).first(width));
        let kinds = [
            (Kind::Int8, Some(Place::whole(0))),
            (Kind::Int8, place(0, 1)),
            (Kind::Int16, place(2, 2)),
            (Kind::Uint8, place(4, 1)),
            (Kind::Uint64, place(8, 8)),
            (Kind::Uint32, place(16, 4)),
        ];
        for (kind, expected) in kinds {
            assert_eq!(registers.next(kind), expected, "{kind:?}");
        }
        assert_eq!(registers.on_stack(), 3);
        registers.vary();
        assert!(!registers.are_left(0, 1));
        assert_eq!(registers.next(Kind::Float64), place(24, 8));
        assert_eq!(registers.next(Kind::Int32), place(32, 8));
        assert_eq!(registers.next(Kind::Int32), None);
    }
}
