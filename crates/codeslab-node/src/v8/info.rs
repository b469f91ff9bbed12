//! What V8 is told of a C function: `CFunctionInfo` and `CTypeInfo`, in the layout of its version.
//!
//! V8 keeps pointers to them for as long as code may be optimized, so they are never freed; each list of types has one for the whole
//! process, and there is a limit to how many lists there are.

use super::Layout;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A type that V8 converts: a member of `CTypeInfo::Type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Type {
    Void = 0,
    Int32 = 3,
    Uint32 = 4,
    Int64 = 5,
    Uint64 = 6,
    Float32 = 7,
    Float64 = 8,
    /// Any value: the receiver.
    Value = 10,
}

/// `CFunctionInfo::Int64Representation::kBigInt`
const BIGINT: u8 = 1;

/// The most lists of types.
const MOST: usize = 1 << 16;

static ALL: LazyLock<Mutex<HashMap<Vec<Type>, usize>>> = LazyLock::new(Mutex::default);

/// The address of a `CFunctionInfo`; `None` when there are too many. The receiver is added.
pub(super) fn make(layout: Layout, result: Type, arguments: &[Type]) -> Option<usize> {
    let types: Vec<Type> = [result, Type::Value]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(info) = all.get(&types) {
        return Some(*info);
    }
    (all.len() < MOST).then_some(())?;
    let words = encode(layout, &types);
    let info = words.as_ptr().expose_provenance();
    Box::leak(words);
    all.insert(types, info);
    Some(info)
}

/// The bytes of the structure, and behind it those that it points to.
fn encode(layout: Layout, types: &[Type]) -> Box<[u64]> {
    const POINTER: usize = size_of::<u64>();
    let (result, arguments) = types
        .split_first()
        .map_or((Type::Void, types), |(r, a)| (*r, a));
    let representation = layout.type_bytes;
    let count = (representation + usize::from(layout.has_bigints)).next_multiple_of(4);
    let pointer = (count + 4).next_multiple_of(POINTER);
    let first = pointer + POINTER;
    let end = first + arguments.len() * layout.type_bytes;
    let mut words = vec![0_u64; end.div_ceil(POINTER)].into_boxed_slice();
    let start = words.as_ptr().expose_provenance();
    let mut bytes = vec![0_u8; words.len() * POINTER];
    bytes[0] = result as u8;
    if layout.has_bigints {
        bytes[representation] = BIGINT;
    }
    bytes[count..count + 4].copy_from_slice(&(arguments.len() as u32).to_le_bytes());
    bytes[pointer..first].copy_from_slice(&((start + first) as u64).to_le_bytes());
    for (index, argument) in arguments.iter().enumerate() {
        bytes[first + index * layout.type_bytes] = *argument as u8;
    }
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(POINTER)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::LAYOUTS;
    use super::*;

    #[test]
    fn each_version_has_its_fields_where_its_header_says() {
        let types = [Type::Float64, Type::Value, Type::Int32];
        let bytes = |layout| {
            let words = encode(layout, &types);
            let start = words.as_ptr() as u64;
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            (bytes, start)
        };
        let (old, start) = bytes(LAYOUTS[0]);
        assert_eq!(old[..8], [8, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(old[8..16], (start + 16).to_le_bytes());
        assert_eq!(old[16..22], [10, 0, 0, 3, 0, 0]);
        let (middle, _) = bytes(LAYOUTS[2]);
        assert_eq!(middle[..8], [8, 0, 0, 1, 2, 0, 0, 0]);
        let (new, start) = bytes(LAYOUTS[3]);
        assert_eq!(new[..8], [8, 0, 1, 0, 2, 0, 0, 0]);
        assert_eq!(new[8..16], (start + 16).to_le_bytes());
        assert_eq!(new[16..20], [10, 0, 3, 0]);
    }
}
