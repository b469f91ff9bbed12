//! The types that a signature can name: those of `node:ffi`, with its alternative spellings.

use std::ffi::c_char;

/// How a value travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// In a general-purpose register.
    Integer,
    /// In a floating-point register.
    Float,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Void,
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float32,
    Float64,
    Pointer,
}

/// `char` has the signedness that C gives it on this machine.
const CHAR: Kind = if c_char::MIN == 0 {
    Kind::Uint8
} else {
    Kind::Int8
};

/// Every type name.
pub(crate) const NAMES: [(&str, Kind); 32] = [
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
    ("pointer", Kind::Pointer),
    ("ptr", Kind::Pointer),
    ("string", Kind::Pointer),
    ("str", Kind::Pointer),
    ("buffer", Kind::Pointer),
    ("arraybuffer", Kind::Pointer),
    ("function", Kind::Pointer),
];

impl Kind {
    /// The type of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }

    /// How an argument of it travels; `None` for void.
    pub(crate) const fn class(self) -> Option<Class> {
        match self {
            Self::Void => None,
            Self::Float32 | Self::Float64 => Some(Class::Float),
            _ => Some(Class::Integer),
        }
    }

    /// The least and the greatest value of an integer that JavaScript writes as a number: all of them up to 32 bits, the
    /// safe ones beyond.
    pub(crate) const fn number_range(self) -> (f64, f64) {
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

    /// What an argument of it has to be, for messages.
    pub(crate) const fn expectation(self) -> &'static str {
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
        }
        assert_eq!(Kind::from_name("int33"), None);
    }
}
