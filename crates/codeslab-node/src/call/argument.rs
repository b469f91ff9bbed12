//! Turns JavaScript values into words, and result words into JavaScript values.
//!
//! Nothing is coerced: what does not fit is refused.
#![allow(unsafe_code)] // One conversion without saturation, on the hot path.

use super::kind::Kind;
use crate::node_api::{Scope, Value};
use napi::sys::ValueType;

/// Why a value is no argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reject {
    /// It is of another type.
    Type,
    /// It is of the right type but not one of the values that the parameter can hold.
    Range,
}

/// Strings that were copied for the duration of one call.
pub(crate) type Strings = Vec<Vec<u8>>;

/// The word that `value` becomes. It may be the address of bytes that `value` or `strings` owns.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "it is most of a call, and small but for what is not inlined"
)]
pub(crate) fn read<'a>(
    scope: Scope<'a>,
    value: Value<'a>,
    kind: Kind,
    strings: &mut Strings,
) -> Result<u64, Reject> {
    match kind {
        Kind::Float64 => number(scope, value).map(f64::to_bits),
        Kind::Float32 => number(scope, value).and_then(single),
        Kind::Int64 => signed(scope, value),
        Kind::Uint64 => unsigned(scope, value),
        Kind::Pointer => pointer(scope, value, strings),
        _ => number(scope, value).and_then(|number| integer(number, kind)),
    }
}

/// The JavaScript value of a result word; `None` if Node refused to make one.
///
/// Callees leave the upper bits of narrow results undefined, so each is cut to its width.
#[inline]
pub(crate) fn write(scope: Scope<'_>, word: u64, kind: Kind) -> Option<Value<'_>> {
    match kind {
        Kind::Void => scope.undefined(),
        Kind::Int8 => scope.make_i32(i32::from((word as u8).cast_signed())),
        Kind::Uint8 => scope.make_u32(u32::from(word as u8)),
        Kind::Int16 => scope.make_i32(i32::from((word as u16).cast_signed())),
        Kind::Uint16 => scope.make_u32(u32::from(word as u16)),
        Kind::Int32 => scope.make_i32((word as u32).cast_signed()),
        Kind::Uint32 => scope.make_u32(word as u32),
        Kind::Int64 => scope.make_i64(word.cast_signed()),
        Kind::Uint64 | Kind::Pointer => scope.make_u64(word),
        Kind::Float32 => scope.make_f64(f32::from_bits(word as u32).into()),
        Kind::Float64 => scope.make_f64(f64::from_bits(word)),
    }
}

#[inline]
fn number<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<f64, Reject> {
    scope.number(value).ok_or(Reject::Type)
}

/// Extended to 64 bits by its sign, which is more than any convention asks for.
#[inline]
fn integer(number: f64, kind: Kind) -> Result<u64, Reject> {
    let (least, greatest) = kind.number_range();
    if !(least <= number && number <= greatest) {
        return Err(Reject::Range);
    }
    // SAFETY: every range lies within ±2⁵³, and NaN is in none.
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

/// A float in the low half of its register. Infinity and NaN are floats; a number that overflows to infinity is not.
#[inline]
fn single(number: f64) -> Result<u64, Reject> {
    let single = number as f32;
    let fits = single.is_finite() || !number.is_finite();
    fits.then_some(single.to_bits().into()).ok_or(Reject::Range)
}

#[inline(never)]
fn signed<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    match scope.signed_bigint(value) {
        Some((word, true)) => Ok(word.cast_unsigned()),
        Some((_, false)) => Err(Reject::Range),
        None => number(scope, value).and_then(|number| integer(number, Kind::Int64)),
    }
}

#[inline(never)]
fn unsigned<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    match scope.unsigned_bigint(value) {
        Some((word, true)) => Ok(word),
        Some((_, false)) => Err(Reject::Range),
        None => number(scope, value).and_then(|number| integer(number, Kind::Uint64)),
    }
}

#[inline(never)]
fn pointer<'a>(scope: Scope<'a>, value: Value<'a>, strings: &mut Strings) -> Result<u64, Reject> {
    match scope.type_of(value) {
        ValueType::napi_bigint => bigint_address(scope, value),
        ValueType::napi_null | ValueType::napi_undefined => Ok(0),
        ValueType::napi_object => scope
            .bytes(value)
            .map(|bytes| bytes.addr() as u64)
            .ok_or(Reject::Type),
        ValueType::napi_string => string(scope, value, strings),
        ValueType::napi_function => function(scope, value),
        _ => Err(Reject::Type),
    }
}

fn bigint_address<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    match scope.unsigned_bigint(value) {
        Some((word, true)) => Ok(word),
        Some((_, false)) => Err(Reject::Range),
        None => Err(Reject::Type),
    }
}

/// A NUL inside of a string would end it early for the callee, which would be a silent change.
fn string<'a>(scope: Scope<'a>, value: Value<'a>, strings: &mut Strings) -> Result<u64, Reject> {
    let bytes = scope.c_string(value).ok_or(Reject::Type)?;
    let text = bytes.split_last().map_or(&[][..], |(_, text)| text);
    if text.contains(&0) {
        return Err(Reject::Range);
    }
    let address = bytes.as_ptr().addr() as u64;
    strings.push(bytes);
    Ok(address)
}

/// A function that was made here, or by `node:ffi`, says in `pointer` where its code is.
fn function<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    let pointer = scope.property(value, c"pointer").ok_or(Reject::Type)?;
    bigint_address(scope, pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(integer(number, kind), word, "{number} as {kind:?}");
        }
    }

    #[test]
    fn a_float_may_be_rounded_and_infinite_but_must_not_overflow() {
        assert_eq!(single(0.1), Ok(u64::from(0.1_f32.to_bits())));
        assert_eq!(
            single(f64::INFINITY),
            Ok(u64::from(f32::INFINITY.to_bits()))
        );
        assert_eq!(single(1e300), Err(Reject::Range));
        assert!(single(f64::NAN).is_ok());
    }
}
