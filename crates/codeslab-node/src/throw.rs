//! Turns an [`Error`] into the `CodeslabError` that JavaScript sees.
//!
//! The class lives in TypeScript. Each environment hands over a function that makes one, so that what is thrown here is a
//! real instance with its facts as properties, wherever it is thrown.
#![allow(unsafe_code)] // Node-API throws.

use crate::environment::{self, ErrorArguments, JsFact};
use crate::error::{Error, Failure};
use crate::node_api::Scope;
use codeslab::Fact;
use napi::Env;
use napi::JsError;
use napi::bindgen_prelude::{BigInt, Either4, Function, Unknown};
use napi_derive::napi;

/// Tells this module how the calling environment makes errors: `makeError(code, message, factNames, factValues, cause)`; and
/// whether that is the main thread's, with which the process ends.
#[napi]
pub fn install(
    env: Env,
    #[napi(
        ts_arg_type = "(code: string, message: string, names: string[], values: (number | bigint | string | string[])[], cause: unknown) => Error"
    )]
    make_error: Function<'_, ErrorArguments, Unknown<'static>>,
    is_main: bool,
) -> napi::Result<()> {
    // Code, unwind tables and vtables of this module may be in use on other threads when the environment that loaded it
    // ends, which is when Node would unload it.
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    environment::install(env, make_error.create_ref()?, is_main)
}

/// Adapts what failed here to what napi-rs throws.
pub(crate) trait OrThrow<T> {
    /// The value, or an exception.
    fn or_throw(self, env: Env) -> napi::Result<T>;
}

impl<T, E: Into<Error>> OrThrow<T> for Result<T, E> {
    fn or_throw(self, env: Env) -> napi::Result<T> {
        self.map_err(|error| exception(env, &error.into()))
    }
}

/// Makes JavaScript see `error` when the running callback returns.
#[cold]
pub(crate) fn throw(scope: Scope<'_>, error: &Error) {
    let env = Env::from_raw(scope.env());
    // If Node could not even make an error, it has an exception of its own to show.
    drop(make_error(env, error).and_then(|value| env.throw(value)));
}

/// Makes JavaScript see what napi-rs would throw.
#[cold]
pub(crate) fn show(scope: Scope<'_>, error: napi::Error) -> Failure {
    // SAFETY: the environment is live by its invariant, and current.
    unsafe { JsError::from(error).throw_into(scope.env()) };
    Failure::Thrown
}

#[cold]
fn exception(env: Env, error: &Error) -> napi::Error {
    match make_error(env, error) {
        Ok(value) => napi::Error::from(value),
        // Node could not even make an error: it says why.
        Err(why) => why,
    }
}

fn make_error(env: Env, error: &Error) -> napi::Result<Unknown<'static>> {
    let (names, values) = error
        .facts()
        .into_iter()
        .map(|(name, fact)| (name.to_owned(), js_fact(fact)))
        .unzip();
    let cause = error.cause();
    let cause = cause.map(|cause| make_error(env, &cause)).transpose()?;
    let code = error.code().to_owned();
    let arguments = (code, error.to_string(), names, values, cause);
    environment::make_error(env, arguments.into())
}

/// Counts are numbers where a number holds them exactly, addresses are always bigints.
fn js_fact(fact: Fact) -> JsFact {
    const SAFE: i128 = (1 << 53) - 1;
    let number = |value: i128| {
        if (-SAFE..=SAFE).contains(&value) {
            #[expect(clippy::cast_precision_loss, reason = "it is a safe integer")]
            Either4::A(value as f64)
        } else {
            Either4::B(BigInt {
                sign_bit: value < 0,
                words: words(value.unsigned_abs()),
            })
        }
    };
    match fact {
        Fact::Number(value) => number(value.into()),
        Fact::Signed(value) => number(value),
        Fact::Address(address) => Either4::B(address.value().into()),
        Fact::Text(text) => Either4::C(text),
        Fact::Names(names) => Either4::D(names),
    }
}

fn words(magnitude: u128) -> Vec<u64> {
    vec![magnitude as u64, (magnitude >> 64) as u64]
}
