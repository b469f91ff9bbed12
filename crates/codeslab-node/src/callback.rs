//! JavaScript functions that native code can call: making them, and giving them up.
//!
//! A callback lives until it is disposed of or its environment ends, whoever holds it: native code may keep its pointer, and nothing tells
//! for how long. `answer` does the calling.

use crate::answer::{Answers, Impossible};
use crate::environment::{self, hold};
use crate::error::Error;
use crate::memory::MemoryHandle;
use crate::node_api::{Scope, Value};
use crate::signed::Signed;
use crate::throw::OrThrow;
use crate::views::Held;
use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi_derive::napi;
use std::rc::Rc;

/// A callback of this environment.
#[derive(Debug)]
pub struct CallbackHandle {
    number: u32,
    pointer: u64,
    answers: Rc<Answers>,
}

/// Makes a callback.
#[napi(ts_return_type = "ExternalObject<CallbackHandle>")]
pub fn make_callback(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] memory: Held<MemoryHandle>,
    #[napi(ts_arg_type = "ExternalObject<Signed>")] signed: Held<Signed>,
    #[napi(ts_arg_type = "(...values: never[]) => unknown")] callee: Unknown<'_>,
) -> napi::Result<Unknown<'static>> {
    memory.open().or_throw(env)?;
    let answers = environment::answers(env)?.or_throw(env)?;
    let scope = Scope::of(&env);
    let function = Value::of_argument(&callee);
    let opened = answers.open(scope, signed.shared(), function);
    let (number, pointer) = opened.or_throw(env)?;
    hold(
        env,
        CallbackHandle {
            number,
            pointer,
            answers,
        },
    )
}

/// Where native code calls it.
#[napi]
pub fn callback_pointer(
    #[napi(ts_arg_type = "ExternalObject<CallbackHandle>")] handle: Held<CallbackHandle>,
) -> BigInt {
    handle.pointer.into()
}

/// Gives a callback up: native code that still calls it gets zero. Fails if that was done before.
#[napi]
pub fn dispose_callback(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<CallbackHandle>")] handle: Held<CallbackHandle>,
) -> napi::Result<()> {
    let closed = handle.answers.close(handle.number);
    closed.then_some(()).ok_or(Error::Disposed).or_throw(env)
}

impl From<Impossible> for Error {
    fn from(_: Impossible) -> Self {
        Self::NoCallbacks
    }
}
