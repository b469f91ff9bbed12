//! Structures that are passed and returned by value: how large they are, and which scalars lie where in them.
//!
//! A convention looks at no more than that: nested structures and arrays are flattened by the binding, which knows their fields. Values are
//! bytes, laid out as C lays them out. `abi` says in which places they travel, `signature` moves the bytes there.

use crate::kind::{Class, Kind};

/// A scalar of a structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Its type, which is not void.
    pub kind: Kind,
    /// Bytes from the start of the structure.
    pub offset: u32,
}

/// What a convention has to know of a structure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Structure {
    // Invariant: at least 1, and at most `LARGEST`.
    size: u32,
    // Invariant: all lie inside, in the order of their offsets, and there is one at least.
    leaves: Box<[Leaf]>,
}

/// The most bytes of a structure that is passed or returned.
pub const LARGEST: u32 = 1 << 16;

impl Structure {
    /// A structure of so many bytes. `None` for one without bytes or scalars, for one that is larger than [`LARGEST`], and for scalars that do
    /// not lie in it in the order of their offsets, each at a multiple of its size.
    #[must_use]
    pub fn new(size: u32, leaves: &[Leaf]) -> Option<Self> {
        let is_inside = |leaf: &Leaf| {
            let width = leaf.kind.bytes();
            width > 0
                && leaf.offset.is_multiple_of(width)
                && leaf
                    .offset
                    .checked_add(width)
                    .is_some_and(|end| end <= size)
        };
        let is_sound = (1..=LARGEST).contains(&size)
            && !leaves.is_empty()
            && leaves.iter().all(is_inside)
            && leaves.is_sorted_by_key(|leaf| leaf.offset);
        is_sound.then(|| Self {
            size,
            leaves: leaves.into(),
        })
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// Its scalars.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// How many words of eight bytes it takes.
    #[allow(dead_code, reason = "some conventions pass addresses")]
    pub(crate) fn words(&self) -> usize {
        self.size().div_ceil(8)
    }

    /// How many bytes each of its scalars has, if they are nothing but floats of one type, at most four, one behind the other.
    #[allow(dead_code, reason = "most conventions do not ask")]
    pub(crate) fn width_of_floats(&self) -> Option<usize> {
        let first = self.leaves.first()?.kind;
        let is_alike = self.leaves.iter().all(|leaf| leaf.kind == first);
        let width = first.bytes() as usize;
        let is_dense = self.size() == width * self.leaves.len();
        let is_float = first.class() == Some(Class::Float);
        (is_float && is_alike && is_dense && self.leaves.len() <= 4).then_some(width)
    }

    /// The class of one of its words: that of floats if nothing else lies in it.
    #[allow(dead_code, reason = "some conventions have no classes of words")]
    pub(crate) fn class_of_word(&self, index: usize) -> Class {
        let mut inside = self
            .leaves
            .iter()
            .filter(|leaf| leaf.offset as usize / 8 == index);
        let is_float = |leaf: &Leaf| leaf.kind.class() == Some(Class::Float);
        if inside.all(is_float) {
            Class::Float
        } else {
            Class::Integer
        }
    }
}

/// Where something is among the words of a call: so many bytes of one of them, which hold its low bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) word: u8,
    /// Bytes from the start of the word.
    offset: u8,
    // Invariant: at least 1, and with `offset` at most 8.
    width: u8,
}

impl Place {
    /// A word that nothing shares.
    pub(crate) const fn whole(word: u8) -> Self {
        Self {
            word,
            offset: 0,
            width: 8,
        }
    }

    /// The first bytes of it; all of them if there are no more.
    #[must_use]
    pub(crate) fn first(self, bytes: usize) -> Self {
        let width = bytes.clamp(1, usize::from(self.width)) as u8;
        Self { width, ..self }
    }

    /// What lies so many bytes from the start of the word with this number, up to the end of the word there.
    #[allow(dead_code, reason = "most conventions have words for all")]
    pub(crate) fn behind(word: u8, bytes: usize) -> Self {
        let offset = (bytes % 8) as u8;
        Self {
            word: word + (bytes / 8) as u8,
            offset,
            width: 8 - offset,
        }
    }

    fn shift(self) -> u32 {
        u32::from(self.offset) * 8
    }

    /// Puts in a value, and leaves the other bytes of the word as they are.
    #[inline]
    pub(crate) fn put(self, value: u64, words: &mut [u64]) {
        let mask = u64::MAX >> (64 - u32::from(self.width) * 8) << self.shift();
        let word = &mut words[usize::from(self.word)];
        *word = *word & !mask | value << self.shift() & mask;
    }

    /// The value in a word, with anything above its own bytes.
    #[inline]
    pub(crate) fn value(self, word: u64) -> u64 {
        word >> self.shift()
    }
}

/// Some bytes of a structure, and the place in which they travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// As wide as the piece: at most eight bytes, and fewer are left at the end of a structure.
    pub(crate) place: Place,
    pub(crate) offset: u16,
}

/// How a structure travels as an argument.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(dead_code, reason = "not every convention passes both, and some none")]
pub(crate) enum Passed {
    /// By its bytes.
    Pieces(Box<[Piece]>),
    /// By the address of a copy, in this word.
    Address(u8),
}

/// How a structure comes back.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(dead_code, reason = "where no convention is known, none comes back")]
pub(crate) enum Returned {
    /// In registers: words of [`Results`].
    Pieces(Box<[Piece]>),
    /// In memory whose address is the argument in this word.
    Memory(u8),
}

/// The registers that a call leaves results in: two for integers, then those for floats, of which most conventions have two.
pub type Results = [u64; 6];

/// Which registers of [`Results`] are read, of those that every convention has. The others hold nothing, or nobody reads them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Integers,
    Floats,
    IntegerFloat,
    FloatInteger,
}

impl Piece {
    /// So many pieces of eight bytes or what is left, in the places that `place` says.
    #[allow(dead_code, reason = "where no convention is known, none travels")]
    pub(crate) fn each(
        structure: &Structure,
        place: impl FnMut(usize) -> Option<Place>,
    ) -> Option<Box<[Self]>> {
        Self::each_of(structure, 8, place)
    }

    /// The same for pieces of so many bytes, eight at most.
    #[allow(dead_code, reason = "where no convention is known, none travels")]
    pub(crate) fn each_of(
        structure: &Structure,
        bytes: usize,
        mut place: impl FnMut(usize) -> Option<Place>,
    ) -> Option<Box<[Self]>> {
        let piece = |index: usize| {
            let left = structure.size() - index * bytes;
            Some(Self {
                place: place(index)?.first(left.min(bytes)),
                offset: u16::try_from(index * bytes).ok()?,
            })
        };
        (0..structure.size().div_ceil(bytes)).map(piece).collect()
    }

    /// Its bytes, as a value.
    pub(crate) fn read(self, bytes: &[u8]) -> u64 {
        let mut value = [0; 8];
        let width = usize::from(self.place.width);
        let start = usize::from(self.offset);
        if let Some(bytes) = bytes.get(start..start + width) {
            value[..width].copy_from_slice(bytes);
        }
        u64::from_le_bytes(value)
    }

    /// Writes its bytes, from the word in which it travels.
    pub(crate) fn write(self, word: u64, bytes: &mut [u8]) {
        let width = usize::from(self.place.width);
        let start = usize::from(self.offset);
        let value = self.place.value(word);
        if let Some(bytes) = bytes.get_mut(start..start + width) {
            bytes.copy_from_slice(&value.to_le_bytes()[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(kind: Kind, offset: u32) -> Leaf {
        Leaf { kind, offset }
    }

    #[test]
    fn a_structure_that_contradicts_itself_is_none() {
        let int = leaf(Kind::Int32, 0);
        assert!(Structure::new(4, &[int]).is_some());
        for (size, leaves) in [
            (0, vec![int]),
            (LARGEST + 4, vec![int]),
            (4, vec![]),
            (3, vec![int]),
            (8, vec![leaf(Kind::Int32, 2)]),
            (8, vec![leaf(Kind::Int32, 4), int]),
            (8, vec![leaf(Kind::Void, 0)]),
            (8, vec![leaf(Kind::Int32, u32::MAX - 3)]),
        ] {
            assert_eq!(Structure::new(size, &leaves), None, "{size} {leaves:?}");
        }
    }

    #[test]
    fn a_word_is_a_float_if_nothing_but_floats_lies_in_it() {
        let leaves = [
            leaf(Kind::Float32, 0),
            leaf(Kind::Int32, 4),
            leaf(Kind::Float32, 8),
            leaf(Kind::Float32, 12),
        ];
        let mixed = Structure::new(16, &leaves).unwrap();
        let classes = [0, 1].map(|word| mixed.class_of_word(word));
        assert_eq!(classes, [Class::Integer, Class::Float]);
    }

    #[test]
    fn up_to_four_floats_of_one_type_without_gaps_are_alike() {
        let floats = |kind: Kind, count: u32| -> Vec<_> {
            (0..count)
                .map(|index| leaf(kind, index * kind.bytes()))
                .collect()
        };
        for (size, leaves, width) in [
            (4, floats(Kind::Float32, 1), Some(4)),
            (16, floats(Kind::Float32, 4), Some(4)),
            (32, floats(Kind::Float64, 4), Some(8)),
            (20, floats(Kind::Float32, 5), None),
            (16, floats(Kind::Float32, 3), None),
            (8, floats(Kind::Int32, 2), None),
            (
                16,
                vec![leaf(Kind::Float32, 0), leaf(Kind::Float64, 8)],
                None,
            ),
            (8, vec![leaf(Kind::Float32, 0), leaf(Kind::Int32, 4)], None),
        ] {
            let structure = Structure::new(size, &leaves).unwrap();
            assert_eq!(structure.width_of_floats(), width, "{leaves:?}");
        }
    }

    #[test]
    fn bytes_travel_in_pieces_there_and_back() {
        let bytes: Vec<u8> = (1..=11).collect();
        let structure = Structure::new(11, &[leaf(Kind::Int8, 0)]).unwrap();
        for (unit, first) in [(8, 0), (8, 8), (4, 4), (4, 12)] {
            let place = |index: usize| Some(Place::behind(1, first + index * unit));
            let pieces = Piece::each_of(&structure, unit, place).unwrap();
            let mut words = [u64::MAX; 5];
            for piece in &pieces {
                piece.place.put(piece.read(&bytes), &mut words);
            }
            let all: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(all[8 + first..][..11], bytes);
            let others = [&all[..8 + first], &all[8 + first + 11..]].concat();
            assert!(others.iter().all(|byte| *byte == 0xff), "{words:x?}");
            let mut back = vec![0; 11];
            for piece in &pieces {
                piece.write(words[usize::from(piece.place.word)], &mut back);
            }
            assert_eq!(back, bytes);
        }
    }
}
