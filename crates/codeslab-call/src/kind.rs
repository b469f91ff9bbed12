//! The types that a signature can name, those of `node:ffi` with its alternative spellings, and how values become words.
//!
//! A word is the 64 bits that an argument register or a stack slot holds. Integers are extended by their sign, which is
//! more than any convention asks for; narrow results are cut to their width, because callees leave the upper bits undefined.
//! Nothing is coerced: a number that a type does not have is refused. Bindings read their language's values, and leave to
//! this file which numbers fit and what the words of a result mean.
#![allow(unsafe_code)] // One conversion without saturation, on the way of every call.

use std::ffi::{c_char, c_long};

/// How a value travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// In a general-purpose register.
    Integer,
    /// In a floating-point register.
    Float,
}

/// The type of an argument or result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// No value; only a result can be that.
    Void,
    /// `int8_t`
    Int8,
    /// `uint8_t`, `bool`
    Uint8,
    /// `int16_t`
    Int16,
    /// `uint16_t`
    Uint16,
    /// `int32_t`
    Int32,
    /// `uint32_t`
    Uint32,
    /// `int64_t`
    Int64,
    /// `uint64_t`, `size_t`
    Uint64,
    /// `float`
    Float32,
    /// `double`
    Float64,
    /// Any address.
    Pointer,
    /// A structure by value, of which [`crate::Signature`] knows more.
    Structure,
}

/// Why a value is no argument of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// It is of another type.
    Type,
    /// It is of the right type but not one of the values that the parameter can hold.
    Range,
}

/// What a function returned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// Nothing.
    Void,
    /// A signed integer of at most 32 bits.
    Int32(i32),
    /// An unsigned integer of at most 32 bits.
    Uint32(u32),
    /// A signed integer of 64 bits.
    Int64(i64),
    /// An unsigned integer of 64 bits, or an address.
    Uint64(u64),
    /// A float of either width.
    Float(f64),
}

/// `long` has the width that C gives it on this machine.
const LONG: Kind = if size_of::<c_long>() == 8 {
    Kind::Int64
} else {
    Kind::Int32
};

/// See [`LONG`].
const UNSIGNED_LONG: Kind = if size_of::<c_long>() == 8 {
    Kind::Uint64
} else {
    Kind::Uint32
};

/// `char` has the signedness that C gives it on this machine.
const CHAR: Kind = if c_char::MIN == 0 {
    Kind::Uint8
} else {
    Kind::Int8
};

/// Every type name.
const NAMES: [(&str, Kind); 44] = [
    ("void", Kind::Void),
    ("char", CHAR),
    ("bool", Kind::Uint8),
    ("int8", Kind::Int8),
    ("i8", Kind::Int8),
    ("uint8", Kind::Uint8),
    ("u8", Kind::Uint8),
    ("int16", Kind::Int16),
    ("i16", Kind::Int16),
    ("uint16", Kind::Uint16),
    ("u16", Kind::Uint16),
    ("int32", Kind::Int32),
    ("i32", Kind::Int32),
    ("uint32", Kind::Uint32),
    ("u32", Kind::Uint32),
    ("int64", Kind::Int64),
    ("i64", Kind::Int64),
    ("uint64", Kind::Uint64),
    ("u64", Kind::Uint64),
    ("float32", Kind::Float32),
    ("f32", Kind::Float32),
    ("float", Kind::Float32),
    ("float64", Kind::Float64),
    ("f64", Kind::Float64),
    ("double", Kind::Float64),
    ("short", Kind::Int16),
    ("ushort", Kind::Uint16),
    ("int", Kind::Int32),
    ("uint", Kind::Uint32),
    ("long", LONG),
    ("ulong", UNSIGNED_LONG),
    ("longlong", Kind::Int64),
    ("ulonglong", Kind::Uint64),
    ("size_t", Kind::Uint64),
    ("ssize_t", Kind::Int64),
    ("intptr_t", Kind::Int64),
    ("uintptr_t", Kind::Uint64),
    ("pointer", Kind::Pointer),
    ("ptr", Kind::Pointer),
    ("string", Kind::Pointer),
    ("str", Kind::Pointer),
    ("buffer", Kind::Pointer),
    ("arraybuffer", Kind::Pointer),
    ("function", Kind::Pointer),
];

/// What people write in the place of type names, without spaces and in small letters.
const MEANT: [(&str, &str); 22] = [
    ("integer", "int32"),
    ("signed", "int32"),
    ("unsigned", "uint32"),
    ("unsignedint", "uint32"),
    ("unsignedchar", "uint8"),
    ("signedchar", "int8"),
    ("byte", "uint8"),
    ("unsignedshort", "uint16"),
    ("unsignedlong", "ulong"),
    ("longint", "long"),
    ("unsignedlongint", "ulong"),
    ("unsignedlonglong", "ulonglong"),
    ("number", "double"),
    ("bigint", "int64"),
    ("boolean", "bool"),
    ("_bool", "bool"),
    ("usize", "size_t"),
    ("isize", "ssize_t"),
    ("undefined", "void"),
    ("null", "void"),
    ("object", "pointer"),
    ("callback", "function"),
];

impl Kind {
    /// The type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }

    /// One of its names; of a structure, what C calls all of them.
    pub(crate) fn name(self) -> &'static str {
        let mut names = NAMES.iter().rev();
        names
            .find(|(_, kind)| *kind == self)
            .map_or("struct", |(name, _)| *name)
    }

    /// The name of the type that may have been meant by what is none: C's spellings, JavaScript's types, another case.
    #[must_use]
    pub fn meant_by(name: &str) -> Option<&'static str> {
        let words: Vec<&str> = name
            .split_whitespace()
            .filter(|word| *word != "const")
            .collect();
        let plain = words.concat().to_ascii_lowercase();
        if let Some(target) = plain.strip_suffix('*').or_else(|| plain.strip_suffix("[]")) {
            return Some(if target == "char" {
                "char *"
            } else {
                "pointer"
            });
        }
        let meant = MEANT
            .iter()
            .find(|(other, _)| *other == plain)
            .map(|(_, known)| *known);
        meant.or_else(|| {
            let bare = plain.strip_suffix("_t").unwrap_or(&plain);
            NAMES
                .iter()
                .find(|(known, _)| *known == bare)
                .map(|(known, _)| *known)
        })
    }

    /// How an argument of it travels; `None` for void.
    #[must_use]
    #[inline]
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::Void => None,
            Self::Float32 | Self::Float64 => Some(Class::Float),
            _ => Some(Class::Integer),
        }
    }

    /// How many bytes a value of it has; none of void, and of a structure [`crate::Structure::size`].
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Void | Self::Structure => 0,
            Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 | Self::Pointer => 8,
        }
    }

    /// Whether C passes a wider type in its place where a function takes arguments that vary.
    #[must_use]
    pub const fn is_narrower_than_variadic(self) -> bool {
        matches!(
            self,
            Self::Int8 | Self::Uint8 | Self::Int16 | Self::Uint16 | Self::Float32
        )
    }

    /// The least and the greatest value of an integer that JavaScript writes as a number: all of them up to 32 bits, the
    /// safe ones beyond.
    const fn number_range(self) -> (f64, f64) {
        const SAFE: f64 = 9_007_199_254_740_991.0;
        match self {
            Self::Int8 => (-128.0, 127.0),
            Self::Uint8 => (0.0, 255.0),
            Self::Int16 => (-32_768.0, 32_767.0),
            Self::Uint16 => (0.0, 65_535.0),
            Self::Int32 => (-2_147_483_648.0, 2_147_483_647.0),
            Self::Uint32 => (0.0, 4_294_967_295.0),
            Self::Int64 => (-SAFE, SAFE),
            _ => (0.0, SAFE),
        }
    }

    /// The word of an argument of an integer type that is given as a float.
    ///
    /// # Errors
    /// [`Reject::Range`] unless it is a whole number that the type has and that a float holds exactly.
    #[inline]
    pub fn integer_word(self, number: f64) -> Result<u64, Reject> {
        let (least, greatest) = self.number_range();
        if !(least <= number && number <= greatest) {
            return Err(Reject::Range);
        }
        // SAFETY: the number is finite and fits: it lies in a range that is within ±2⁵³, and NaN lies in none.
        let whole = unsafe { number.to_int_unchecked::<i64>() };
        #[expect(
            clippy::float_cmp,
            clippy::cast_precision_loss,
            reason = "a number is whole if it survives the way there and back exactly; unlike trunc, that is two instructions"
        )]
        let is_whole = whole as f64 == number;
        is_whole
            .then_some(whole.cast_unsigned())
            .ok_or(Reject::Range)
    }

    /// The word of a `float` argument: in the low half of its register. Infinity and NaN are floats, and precision may be lost.
    ///
    /// # Errors
    /// [`Reject::Range`] for a finite number that would become infinite.
    #[inline]
    pub fn float_word(number: f64) -> Result<u64, Reject> {
        let single = number as f32;
        let fits = single.is_finite() || !number.is_finite();
        fits.then_some(single.to_bits().into()).ok_or(Reject::Range)
    }

    /// What the word of a result of this type means.
    #[must_use]
    #[inline]
    pub fn value(self, word: u64) -> Value {
        match self {
            Self::Void | Self::Structure => Value::Void,
            Self::Int8 => Value::Int32((word as u8).cast_signed().into()),
            Self::Uint8 => Value::Uint32((word as u8).into()),
            Self::Int16 => Value::Int32((word as u16).cast_signed().into()),
            Self::Uint16 => Value::Uint32((word as u16).into()),
            Self::Int32 => Value::Int32((word as u32).cast_signed()),
            Self::Uint32 => Value::Uint32(word as u32),
            Self::Int64 => Value::Int64(word.cast_signed()),
            Self::Uint64 | Self::Pointer => Value::Uint64(word),
            Self::Float32 => Value::Float(f32::from_bits(word as u32).into()),
            Self::Float64 => Value::Float(f64::from_bits(word)),
        }
    }

    /// What an argument of it has to be, for messages.
    #[must_use]
    pub const fn expectation(self) -> &'static str {
        match self {
            Self::Void => "absent",
            Self::Int8 => "an integer from -128 to 127",
            Self::Uint8 => "an integer from 0 to 255",
            Self::Int16 => "an integer from -32768 to 32767",
            Self::Uint16 => "an integer from 0 to 65535",
            Self::Int32 => "an integer from -2147483648 to 2147483647",
            Self::Uint32 => "an integer from 0 to 4294967295",
            Self::Int64 => "a bigint from -2n**63n to 2n**63n - 1n, or a safe integer",
            Self::Uint64 => {
                "a bigint from 0n to 2n**64n - 1n, or a safe integer that is not negative"
            }
            Self::Float32 => "a number that a 32-bit float can hold",
            Self::Float64 => "a number",
            Self::Structure => "the bytes of a structure",
            Self::Pointer => {
                "a bigint from 0n to 2n**64n - 1n, an ArrayBuffer or a view of one, a string without NUL, a function with a pointer, or null"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_name_is_listed_once() {
        for (index, (name, kind)) in NAMES.iter().enumerate() {
            let first = NAMES.iter().position(|(other, _)| other == name);
            assert_eq!(first, Some(index), "{name}");
            assert_eq!(Kind::from_name(name), Some(*kind));
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(Kind::from_name("int33"), None);
    }

    #[test]
    fn what_people_write_in_the_place_of_a_type_names_the_one_that_they_mean() {
        for (written, meant) in [
            ("char*", Some("char *")),
            ("const char *", Some("char *")),
            ("char []", Some("char *")),
            ("void*", Some("pointer")),
            ("struct point *", Some("pointer")),
            ("unsigned long long", Some("ulonglong")),
            ("uint32_t", Some("uint32")),
            ("Int32", Some("int32")),
            ("number", Some("double")),
            ("int33", None),
        ] {
            assert_eq!(Kind::meant_by(written), meant, "{written}");
            let is_type = |name: &str| name == "char *" || Kind::from_name(name).is_some();
            assert!(meant.is_none_or(is_type), "{written}");
        }
    }

    #[test]
    fn integers_are_extended_by_their_sign_and_never_wrapped() {
        let table = [
            (-1.0, Kind::Int32, Ok(u64::MAX)),
            (-128.0, Kind::Int8, Ok(0xffff_ffff_ffff_ff80)),
            (128.0, Kind::Int8, Err(Reject::Range)),
            (255.0, Kind::Uint8, Ok(255)),
            (-0.0, Kind::Uint8, Ok(0)),
            (0.5, Kind::Int16, Err(Reject::Range)),
            (f64::NAN, Kind::Int32, Err(Reject::Range)),
            (f64::INFINITY, Kind::Uint32, Err(Reject::Range)),
            (4_294_967_295.0, Kind::Uint32, Ok(0xffff_ffff)),
            (-1.0, Kind::Uint64, Err(Reject::Range)),
            (9_007_199_254_740_992.0, Kind::Int64, Err(Reject::Range)),
        ];
        for (number, kind, word) in table {
            assert_eq!(kind.integer_word(number), word, "{number} as {kind:?}");
        }
    }

    #[test]
    fn a_float_may_be_rounded_and_infinite_but_must_not_overflow() {
        assert_eq!(Kind::float_word(0.1), Ok(u64::from(0.1_f32.to_bits())));
        assert_eq!(
            Kind::float_word(f64::INFINITY),
            Ok(u64::from(f32::INFINITY.to_bits()))
        );
        assert_eq!(Kind::float_word(1e300), Err(Reject::Range));
        assert!(Kind::float_word(f64::NAN).is_ok());
    }

    #[test]
    fn a_narrow_result_is_cut_to_its_width_whatever_is_above_it() {
        let word = 0xdead_beef_ffff_fff0_u64;
        let table = [
            (Kind::Void, Value::Void),
            (Kind::Int8, Value::Int32(-16)),
            (Kind::Uint8, Value::Uint32(0xf0)),
            (Kind::Int16, Value::Int32(-16)),
            (Kind::Uint16, Value::Uint32(0xfff0)),
            (Kind::Int32, Value::Int32(-16)),
            (Kind::Uint32, Value::Uint32(0xffff_fff0)),
            (Kind::Int64, Value::Int64(word.cast_signed())),
            (Kind::Uint64, Value::Uint64(word)),
            (Kind::Pointer, Value::Uint64(word)),
        ];
        for (kind, value) in table {
            assert_eq!(kind.value(word), value, "{kind:?}");
        }
        let half = u64::from(0.5_f32.to_bits()) | 0xdead_beef << 32;
        assert_eq!(Kind::Float32.value(half), Value::Float(0.5));
        assert_eq!(Kind::Float64.value(0.5_f64.to_bits()), Value::Float(0.5));
    }
}
