//! The functions of Node-API that a call uses, one safe method each.
//!
//! napi-rs has safe wrappers for all of this, but each allocates or looks something up, and a call has to take less than
//! that. A [`Scope`] stands for "JavaScript is running in this environment on this thread", which is what all of these
//! functions require; the code that makes one vouches for it, and everything after that is safe.
//!
//! <https://nodejs.org/api/n-api.html>
//! `bytes` and `lending` have those for buffers, `lifetime` those for the garbage collector, `script` those for JavaScript of ours.
#![allow(unsafe_code)] // These are the wrappers.

mod bytes;
mod lending;
mod lifetime;
mod script;

pub(crate) use bytes::{NoBytes, Numbers};
pub(crate) use lifetime::{Collected, WeakReference, adjust_external_memory};
pub(crate) use script::StrongReference;

use napi::bindgen_prelude::Unknown;
use napi::sys::{self, Status, napi_env, napi_value};
use napi::{Env, JsValue};
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;

/// An environment in which JavaScript is running, for as long as `'a`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    // Invariant: the current environment of this thread.
    env: napi_env,
    during: PhantomData<&'a ()>,
}

/// A value of an environment.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Value<'a> {
    // Invariant: a live handle of the scope that it came from.
    raw: napi_value,
    during: PhantomData<&'a ()>,
}

/// A function that JavaScript can call: what `napi_create_function` takes.
pub(crate) type Callback = unsafe extern "C" fn(napi_env, sys::napi_callback_info) -> napi_value;

/// What a callback was called with.
#[derive(Debug)]
pub(crate) struct CallInfo<'a, const CAPACITY: usize> {
    values: [Value<'a>; CAPACITY],
    /// How many arguments JavaScript passed.
    pub(crate) count: usize,
    /// What the function was created with.
    pub(crate) data: *mut c_void,
}

impl<'a, const CAPACITY: usize> CallInfo<'a, CAPACITY> {
    /// Before Node was asked. (It writes into this one: a copy of what it has just written would have to wait for it.)
    #[inline]
    pub(crate) fn unread() -> Self {
        Self {
            values: [value(ptr::null_mut()); CAPACITY],
            count: 0,
            data: ptr::null_mut(),
        }
    }

    /// What something else than Node-API was called with: `count` arguments, as far as there is room.
    #[inline]
    pub(crate) fn of(count: usize, argument: impl Fn(usize) -> Option<Value<'a>>) -> Self {
        let mut call = Self::unread();
        call.count = count;
        for (index, value) in call.values.iter_mut().take(count).enumerate() {
            if let Some(argument) = argument(index) {
                *value = argument;
            }
        }
        call
    }

    /// The arguments, as far as there was room for them.
    pub(crate) fn values(&self) -> &[Value<'a>] {
        self.values.get(..self.count).unwrap_or(&self.values)
    }

    /// The first `count` arguments; `None` unless that is how many there are.
    pub(crate) fn exactly(&self, count: usize) -> Option<&[Value<'a>]> {
        (self.count == count).then(|| self.values.get(..count))?
    }
}

impl Value<'_> {
    /// A handle that Node or napi-rs gave.
    ///
    /// # Safety
    /// It is live for as long as the result.
    pub(crate) unsafe fn from_raw(raw: napi_value) -> Self {
        value(raw)
    }

    /// An argument of a running napi-rs function.
    pub(crate) fn of_argument(argument: &Unknown<'_>) -> Self {
        value(argument.value().value)
    }

    /// The handle, to be returned to Node.
    pub(crate) fn into_raw(self) -> napi_value {
        self.raw
    }

    /// The same handle, to be returned by a napi-rs function of the same environment.
    pub(crate) fn into_unknown(self, env: &Env) -> Unknown<'static> {
        // SAFETY: environment and handle are live by their invariants, and belong together: a value is used where it was made.
        unsafe { Unknown::from_raw_unchecked(env.raw(), self.raw) }
    }
}

/// `Some` if Node said yes.
#[inline]
fn ok<T>(status: i32, value: T) -> Option<T> {
    (status == Status::napi_ok).then_some(value)
}

impl<'a> Scope<'a> {
    /// The scope of `env`.
    ///
    /// # Safety
    /// `env` is the current environment of this thread and stays so for as long as `'a`.
    #[inline]
    pub(crate) unsafe fn new(env: napi_env) -> Self {
        Self {
            env,
            during: PhantomData,
        }
    }

    /// The scope of a running napi-rs function.
    pub(crate) fn of(env: &'a Env) -> Self {
        Self {
            env: env.raw(),
            during: PhantomData,
        }
    }

    /// The environment.
    pub(crate) fn env(self) -> napi_env {
        self.env
    }

    /// Asks what the running callback was called with. `None` if Node refused.
    ///
    /// # Safety
    /// `info` is what Node passed to the running callback.
    #[inline]
    pub(crate) unsafe fn read_call<const CAPACITY: usize>(
        self,
        info: sys::napi_callback_info,
        call: &mut CallInfo<'a, CAPACITY>,
    ) -> Option<()> {
        call.count = CAPACITY;
        // SAFETY: the environment is live by its invariant and `info` is of the running callback, by the obligation. Node
        // writes at most `count` handles to `values`, which has room for `CAPACITY` and whose `Value` is a handle.
        let status = unsafe {
            sys::napi_get_cb_info(
                self.env,
                info,
                &raw mut call.count,
                call.values.as_mut_ptr().cast(),
                ptr::null_mut(),
                &raw mut call.data,
            )
        };
        ok(status, ())
    }

    /// The number that `value` is.
    #[inline]
    pub(crate) fn number(self, value: Value<'a>) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: environment and handle are live by their invariants, and `number` is ours.
        let status = unsafe { sys::napi_get_value_double(self.env, value.raw, &raw mut number) };
        ok(status, number)
    }

    /// The bigint that `value` is, cut to 64 bits, and whether nothing was cut off.
    #[inline]
    pub(crate) fn signed_bigint(self, value: Value<'a>) -> Option<(i64, bool)> {
        let (mut word, mut lossless) = (0, false);
        // SAFETY: environment and handle are live by their invariants, and the results are ours.
        let status = unsafe {
            sys::napi_get_value_bigint_int64(self.env, value.raw, &raw mut word, &raw mut lossless)
        };
        ok(status, (word, lossless))
    }

    /// The bigint that `value` is, cut to 64 bits, and whether nothing was cut off.
    #[inline]
    pub(crate) fn unsigned_bigint(self, value: Value<'a>) -> Option<(u64, bool)> {
        let (mut word, mut lossless) = (0, false);
        // SAFETY: environment and handle are live by their invariants, and the results are ours.
        let status = unsafe {
            sys::napi_get_value_bigint_uint64(self.env, value.raw, &raw mut word, &raw mut lossless)
        };
        ok(status, (word, lossless))
    }

    /// What `typeof` says of `value`.
    #[inline]
    pub(crate) fn type_of(self, value: Value<'a>) -> sys::napi_valuetype {
        let mut kind = sys::ValueType::napi_undefined;
        // SAFETY: environment and handle are live by their invariants, and `kind` is ours.
        unsafe { sys::napi_typeof(self.env, value.raw, &raw mut kind) };
        kind
    }

    /// The string that `value` is, in UTF-8, with a NUL at its end.
    pub(crate) fn c_string(self, value: Value<'a>) -> Option<Vec<u8>> {
        let mut length = 0;
        // SAFETY: environment and handle are live by their invariants; without a buffer Node writes the length only.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                value.raw,
                ptr::null_mut(),
                0,
                &raw mut length,
            )
        };
        let mut bytes = vec![0_u8; ok(status, length)? + 1];
        // SAFETY: environment and handle are live by their invariants; Node writes at most `bytes.len()` bytes, the NUL included.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                value.raw,
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                &raw mut length,
            )
        };
        ok(status, bytes)
    }

    /// The string that `value` is.
    pub(crate) fn string(self, value: Value<'a>) -> Option<String> {
        let mut bytes = self.c_string(value)?;
        bytes.pop();
        String::from_utf8(bytes).ok()
    }

    /// The boolean that `value` is.
    pub(crate) fn truth(self, value: Value<'a>) -> Option<bool> {
        let mut truth = false;
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_get_value_bool(self.env, value.raw, &raw mut truth) };
        ok(status, truth)
    }

    /// How many elements an array has; `None` if it is none.
    pub(crate) fn array_length(self, array: Value<'a>) -> Option<u32> {
        let mut length = 0;
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_get_array_length(self.env, array.raw, &raw mut length) };
        ok(status, length)
    }

    /// An element of an array.
    pub(crate) fn element(self, array: Value<'a>, index: u32) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_get_element(self.env, array.raw, index, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A property of an object or function.
    pub(crate) fn property(self, object: Value<'a>, name: &CStr) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: environment and handle are live by their invariants, and `name` ends with a NUL.
        let status = unsafe {
            sys::napi_get_named_property(self.env, object.raw, name.as_ptr(), &raw mut raw)
        };
        ok(status, value(raw))
    }

    /// Sets a property of an object or function, for good.
    pub(crate) fn define(self, object: Value<'a>, name: &CStr, content: Value<'a>) -> Option<()> {
        let descriptor = sys::napi_property_descriptor {
            utf8name: name.as_ptr(),
            name: ptr::null_mut(),
            method: None,
            getter: None,
            setter: None,
            value: content.raw,
            attributes: sys::PropertyAttributes::enumerable,
            data: ptr::null_mut(),
        };
        // SAFETY: environment and handles are live by their invariants, and there is one descriptor.
        let status =
            unsafe { sys::napi_define_properties(self.env, object.raw, 1, &raw const descriptor) };
        ok(status, ())
    }

    /// `undefined`.
    #[inline]
    pub(crate) fn undefined(self) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and `raw` is ours.
        let status = unsafe { sys::napi_get_undefined(self.env, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A number.
    #[inline]
    pub(crate) fn make_i32(self, number: i32) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and `raw` is ours.
        let status = unsafe { sys::napi_create_int32(self.env, number, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A number.
    #[inline]
    pub(crate) fn make_u32(self, number: u32) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and `raw` is ours.
        let status = unsafe { sys::napi_create_uint32(self.env, number, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A number.
    #[inline]
    pub(crate) fn make_f64(self, number: f64) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and `raw` is ours.
        let status = unsafe { sys::napi_create_double(self.env, number, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A bigint.
    #[inline]
    pub(crate) fn make_i64(self, number: i64) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and `raw` is ours.
        let status = unsafe { sys::napi_create_bigint_int64(self.env, number, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A bigint.
    #[inline]
    pub(crate) fn make_u64(self, number: u64) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and `raw` is ours.
        let status = unsafe { sys::napi_create_bigint_uint64(self.env, number, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A function that `callback` runs, which finds `data` in its [`CallInfo`].
    ///
    /// # Safety
    /// - `callback` treats the data as a `&T`.
    /// - `data` lives until the function has been collected.
    pub(crate) unsafe fn function<T>(
        self,
        name: &str,
        callback: Callback,
        data: *const T,
    ) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant; `name` is `name.len()` bytes; `callback` treats `data` as a `&T`,
        // which it is for as long as JavaScript can call the function, by the obligations.
        let status = unsafe {
            sys::napi_create_function(
                self.env,
                name.as_ptr().cast(),
                name.len().cast_signed(),
                Some(callback),
                data.cast_mut().cast(),
                &raw mut raw,
            )
        };
        ok(status, value(raw))
    }

    /// Makes JavaScript see a `TypeError` when the callback returns.
    pub(crate) fn throw_type_error(self, code: &CStr, message: &CStr) {
        // SAFETY: the environment is live by its invariant, and both strings end with a NUL.
        unsafe { sys::napi_throw_type_error(self.env, code.as_ptr(), message.as_ptr()) };
    }

    /// Makes JavaScript see a `RangeError` when the callback returns.
    pub(crate) fn throw_range_error(self, code: &CStr, message: &CStr) {
        // SAFETY: the environment is live by its invariant, and both strings end with a NUL.
        unsafe { sys::napi_throw_range_error(self.env, code.as_ptr(), message.as_ptr()) };
    }
}

const fn value<'a>(raw: napi_value) -> Value<'a> {
    Value {
        raw,
        during: PhantomData,
    }
}
