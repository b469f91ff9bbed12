//! Arguments that are handles, or views of memory of JavaScript's.
//!
//! Converting an argument only takes its handle: converting the next one may run JavaScript, which may detach a buffer. Where
//! the memory is, functions ask when all arguments are converted and no JavaScript runs before they are done with it.
#![allow(unsafe_code)] // What it yields is borrowed from JavaScript.

use crate::environment;
use crate::node_api::{Scope, Value};
use napi::Env;
use napi::bindgen_prelude::{FromNapiValue, TypeName};
use napi::sys::{napi_env, napi_value};
use napi::{Status, ValueType};
use std::any::Any;
use std::borrow::Cow;
use std::ops::Deref;
use std::rc::Rc;

/// An argument that shall be a handle: what it stands for.
pub struct Held<T>(Rc<T>);

impl<T> Held<T> {
    /// What it stands for, to be kept.
    pub(crate) fn shared(&self) -> &Rc<T> {
        &self.0
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> TypeName for Held<T> {
    fn type_name() -> &'static str {
        "External"
    }

    fn value_type() -> ValueType {
        ValueType::External
    }
}

impl<T: Any> FromNapiValue for Held<T> {
    unsafe fn from_napi_value(env: napi_env, value: napi_value) -> napi::Result<Self> {
        let env = Env::from_raw(env);
        // SAFETY: napi-rs converts arguments of a running callback, whose handles live until it returns.
        Self::of(Scope::of(&env), unsafe { Value::from_raw(value) })
    }
}

impl<T: Any> Held<T> {
    /// What a value stands for that shall be a handle.
    pub(crate) fn of(scope: Scope<'_>, external: Value<'_>) -> napi::Result<Self> {
        let handles = environment::handles(Env::from_raw(scope.env()))?;
        let held = match scope.number(external) {
            Some(number) => handles.numbered(number),
            None => scope
                .external_word(external)
                .and_then(|word| handles.get(word)),
        };
        held.map(Self)
            .ok_or_else(|| expected("a handle of codeslab"))
    }
}

/// An argument that shall be a `Uint8Array`.
pub struct Bytes<'a>(Value<'a>);

/// An argument that shall be a `BigUint64Array`.
pub struct Words<'a>(Value<'a>);

impl<'a> Bytes<'a> {
    /// Of a value that shall be one.
    pub(crate) const fn of(value: Value<'a>) -> Self {
        Self(value)
    }

    /// What is in it.
    ///
    /// # Safety
    /// JavaScript does not run on this thread before the last use of the result.
    pub(crate) unsafe fn get(&self, scope: Scope<'a>) -> napi::Result<Cow<'a, [u8]>> {
        // SAFETY: JavaScript does not run before the last use, by the obligation.
        let bytes = unsafe { scope.bytes(self.0) };
        bytes.ok_or_else(|| expected("a Uint8Array"))
    }

    /// How many there are.
    pub(crate) fn length(&self, scope: Scope<'a>) -> napi::Result<usize> {
        let count = scope.byte_count(self.0);
        count.ok_or_else(|| expected("a Uint8Array"))
    }

    /// Writes to its start, as much as fits.
    pub(crate) fn fill(&self, scope: Scope<'a>, bytes: &[u8]) {
        scope.set_bytes(self.0, bytes);
    }
}

impl<'a> Words<'a> {
    /// A copy of the first `count` words, or of as many as there are.
    pub(crate) fn read(&self, scope: Scope<'a>, count: usize) -> napi::Result<Vec<u64>> {
        let words = scope.words(self.0, count);
        words.ok_or_else(|| expected("a BigUint64Array"))
    }

    /// Writes to its start, as much as fits.
    pub(crate) fn write(&self, scope: Scope<'a>, words: &[u64]) {
        scope.set_words(self.0, words);
    }
}

pub(crate) fn expected(what: &str) -> napi::Error {
    napi::Error::new(Status::InvalidArg, format!("this is not {what}"))
}

impl FromNapiValue for Bytes<'_> {
    unsafe fn from_napi_value(_env: napi_env, value: napi_value) -> napi::Result<Self> {
        // SAFETY: napi-rs converts arguments of a running callback, whose handles live until it returns.
        Ok(Self(unsafe { Value::from_raw(value) }))
    }
}

impl FromNapiValue for Words<'_> {
    unsafe fn from_napi_value(_env: napi_env, value: napi_value) -> napi::Result<Self> {
        // SAFETY: napi-rs converts arguments of a running callback, whose handles live until it returns.
        Ok(Self(unsafe { Value::from_raw(value) }))
    }
}

impl TypeName for Bytes<'_> {
    fn type_name() -> &'static str {
        "Uint8Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl TypeName for Words<'_> {
    fn type_name() -> &'static str {
        "BigUint64Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}
