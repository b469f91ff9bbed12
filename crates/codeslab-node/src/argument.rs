//! Turns JavaScript values into the words of a call, and its result into a JavaScript value.
//!
//! Which numbers a type has, `codeslab-call` says; this file tells numbers, bigints, buffers, strings and functions apart.
//! Nothing is coerced: what does not fit is refused. `function` uses it for each argument of each call.
//!
//! One thing runs JavaScript: where a function says in `pointer` that its code is, a getter may answer, and detach or resize the
//! buffer of another argument. So [`read`] refuses functions, and `function` asks them by [`pointer_of`] before it reads
//! anything that has an address.
#![allow(unsafe_code)] // It reads strings of native code.

use crate::node_api::{NoBytes, Scope, Value};
use codeslab_call::{Kind, Reject};
use napi::sys::ValueType;

/// Strings that were copied for the duration of one call.
pub(crate) type Strings = Vec<Vec<u8>>;

/// Why a value is no argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unfit {
    /// The type of the parameter does not have it.
    Reject(Reject),
    /// Its bytes are gone.
    Detached,
}

impl From<Reject> for Unfit {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

/// The word that `value` becomes. It may be the address of bytes that `value` or `strings` owns. Runs no JavaScript; so
/// functions are refused here.
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
        Kind::Float32 => number(scope, value).and_then(Kind::float_word),
        Kind::Int64 => signed(scope, value),
        Kind::Uint64 => unsigned(scope, value),
        Kind::Pointer => pointer(scope, value, strings),
        _ => number(scope, value).and_then(|number| kind.integer_word(number)),
    }
}

/// Why [`read`] refused a value, in full: it is most of a call and has no room for more than that it did.
#[cold]
pub(crate) fn unfit<'a>(scope: Scope<'a>, value: Value<'a>, kind: Kind, reject: Reject) -> Unfit {
    if kind == Kind::Pointer && scope.address(value) == Err(NoBytes::Detached) {
        return Unfit::Detached;
    }
    Unfit::Reject(reject)
}

/// Whether the address of a value is good for the duration of a call only.
pub(crate) fn is_borrowed<'a>(scope: Scope<'a>, value: Value<'a>) -> bool {
    matches!(
        scope.type_of(value),
        ValueType::napi_object | ValueType::napi_string
    )
}

/// Whether an argument has to be asked where its code is.
pub(crate) fn is_function<'a>(scope: Scope<'a>, value: Value<'a>, kind: Kind) -> bool {
    if kind != Kind::Pointer {
        return false;
    }
    match scope.type_of(value) {
        ValueType::napi_function => true,
        // What holds no bytes may be a callback.
        ValueType::napi_object => scope.address(value) == Err(NoBytes::Type),
        _ => false,
    }
}

/// Where a function says that its code is; `None` for all other arguments. Functions that were made here, or by `node:ffi`, have
/// it in `pointer`; any function may, with a getter.
pub(crate) fn pointer_of<'a>(
    scope: Scope<'a>,
    value: Value<'a>,
    kind: Kind,
) -> Result<Option<u64>, Unfit> {
    if !is_function(scope, value, kind) {
        return Ok(None);
    }
    let pointer = scope.property(value, c"pointer").ok_or(Reject::Type)?;
    Ok(Some(bigint_address(scope, pointer)?))
}

/// The JavaScript value of a result; `None` if Node refused to make one.
#[inline]
pub(crate) fn write(scope: Scope<'_>, result: codeslab_call::Value) -> Option<Value<'_>> {
    match result {
        codeslab_call::Value::Void => scope.undefined(),
        codeslab_call::Value::Int32(number) => scope.make_i32(number),
        codeslab_call::Value::Uint32(number) => scope.make_u32(number),
        codeslab_call::Value::Int64(number) => scope.make_i64(number),
        codeslab_call::Value::Uint64(number) => scope.make_u64(number),
        codeslab_call::Value::Float(number) => scope.make_f64(number),
    }
}

/// The text of a result that is the address of a C string; `null` for null.
pub(crate) fn write_text(scope: Scope<'_>, address: u64) -> Option<Value<'_>> {
    if address == 0 {
        return scope.null();
    }
    // SAFETY: native code returned it as a string that ends with a NUL: the embedder says so by declaring it.
    let text =
        unsafe { std::ffi::CStr::from_ptr(std::ptr::with_exposed_provenance(address as usize)) };
    scope.text_of(text.to_bytes())
}

#[inline]
fn number<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<f64, Reject> {
    scope.number(value).ok_or(Reject::Type)
}

#[inline(never)]
fn signed<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    match scope.signed_bigint(value) {
        Some((word, true)) => Ok(word.cast_unsigned()),
        Some((_, false)) => Err(Reject::Range),
        None => number(scope, value).and_then(|number| Kind::Int64.integer_word(number)),
    }
}

#[inline(never)]
fn unsigned<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    match scope.unsigned_bigint(value) {
        Some((word, true)) => Ok(word),
        Some((_, false)) => Err(Reject::Range),
        None => number(scope, value).and_then(|number| Kind::Uint64.integer_word(number)),
    }
}

/// What has an address is a typed array, most often.
#[inline]
fn pointer<'a>(scope: Scope<'a>, value: Value<'a>, strings: &mut Strings) -> Result<u64, Reject> {
    match scope.typed_array_address(value) {
        Some(address) => Ok(address.addr() as u64),
        None => other_pointer(scope, value, strings),
    }
}

#[inline(never)]
fn other_pointer<'a>(
    scope: Scope<'a>,
    value: Value<'a>,
    strings: &mut Strings,
) -> Result<u64, Reject> {
    match scope.type_of(value) {
        ValueType::napi_bigint => bigint_address(scope, value),
        ValueType::napi_null | ValueType::napi_undefined => Ok(0),
        ValueType::napi_object => bytes(scope, value),
        ValueType::napi_string => string(scope, value, strings),
        _ => Err(Reject::Type),
    }
}

/// Valid until JavaScript runs again.
fn bytes<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<u64, Reject> {
    let address = scope.address(value).map_err(|_| Reject::Type)?;
    Ok(address.addr() as u64)
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
