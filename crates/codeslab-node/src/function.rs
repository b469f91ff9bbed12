//! JavaScript functions that call published code.
//!
//! Each is a function of Node-API with a [`Function`] as its data: the address, the signature, and the code that it keeps
//! from being collected. A call reads its arguments into a frame, enters the code so that freeing waits for it, and has
//! `codeslab-call` do the rest. `image` makes them. A native class or a napi-rs function would cost several times a call.
#![allow(unsafe_code)] // It calls native code.

use crate::argument::{self, Strings};
use crate::error::Error;
use crate::node_api::{CallInfo, Callback, Scope, Value};
use crate::published::Published;
use crate::throw;
use codeslab::Address;
use codeslab_call::{Frame, Kind, MAXIMUM_ARGUMENTS, Reject, Signature};
use napi::sys::{napi_callback_info, napi_env, napi_value};
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

/// What a function needs to be called. It keeps the code that it calls from being freed by garbage collection.
#[derive(Debug)]
struct Function {
    name: String,
    target: Address,
    signature: Signature,
    code: Arc<Published>,
}

/// Why a call did not happen.
enum Refusal {
    /// The code is gone.
    Freed,
    /// So many arguments were passed instead.
    Count(usize),
    /// This argument cannot be passed.
    Argument(usize, Reject),
}

/// A JavaScript function that calls `target`, which lies in `code`. Its property `pointer` is `target`.
pub(crate) fn create(
    scope: Scope<'_>,
    name: String,
    target: Address,
    signature: Signature,
    code: Arc<Published>,
) -> Option<Value<'_>> {
    let callback = callback_for(signature.parameters().len());
    let pointer = scope.make_u64(target.value())?;
    let function = Box::new(Function {
        name: name.clone(),
        target,
        signature,
        code,
    });
    // SAFETY: every callback of `callback_for` treats its data as a `&Function`.
    let value = unsafe { scope.function(&name, callback, function) }?;
    scope.define(value, c"pointer", pointer)?;
    Some(value)
}

/// The callback with the least room that suffices: Node fills all of it, which is a good part of a short call.
fn callback_for(arguments: usize) -> Callback {
    match arguments {
        0..=2 => callback::<2>,
        3..=4 => callback::<4>,
        5..=8 => callback::<8>,
        _ => callback::<MAXIMUM_ARGUMENTS>,
    }
}

/// What Node calls.
///
/// # Safety
/// - `env` and `info` are what Node passes to a callback.
/// - The function was created with a [`Function`] as its data.
unsafe extern "C" fn callback<const CAPACITY: usize>(
    env: napi_env,
    info: napi_callback_info,
) -> napi_value {
    let run = || {
        let mut call = CallInfo::<CAPACITY>::unread();
        // SAFETY: `env` is what Node passed to the running callback: the current environment until the callback returns.
        let scope = unsafe { Scope::new(env) };
        // SAFETY: `info` is what Node passed to the running callback, by the first obligation.
        unsafe { scope.read_call(info, &mut call) }?;
        // SAFETY: the data is a `Function`, by the second obligation, and its finalizer drops it when the JavaScript function
        // has been collected, which cannot be while that function is being called.
        let function = unsafe { &*call.data.cast::<Function>() };
        match function.call(scope, &call) {
            Ok(value) => value,
            Err(refusal) => {
                function.throw(scope, &refusal);
                None
            }
        }
    };
    // A panic would be a bug of ours; it must not unwind into C++.
    let value = catch_unwind(AssertUnwindSafe(run)).ok().flatten();
    value.map_or(ptr::null_mut(), Value::into_raw)
}

impl Function {
    #[inline]
    fn call<'a, const CAPACITY: usize>(
        &self,
        scope: Scope<'a>,
        info: &CallInfo<'a, CAPACITY>,
    ) -> Result<Option<Value<'a>>, Refusal> {
        let parameters = self.signature.parameters();
        let values = info
            .exactly(parameters.len())
            .ok_or(Refusal::Count(info.count))?;
        let mut frame = Frame::new();
        let mut strings = Strings::new();
        for (index, (parameter, value)) in parameters.iter().zip(values).enumerate() {
            let word = argument::read(scope, *value, parameter.kind(), &mut strings)
                .map_err(|reject| Refusal::Argument(index, reject))?;
            frame.put(*parameter, word);
        }
        let running = self.code.enter().ok_or(Refusal::Freed)?;
        let word = self.invoke(&frame);
        drop(running);
        Ok(argument::write(scope, self.signature.result().value(word)))
    }

    /// Calls the code, which a [`codeslab_call::Running`] keeps from being freed meanwhile.
    #[inline]
    fn invoke(&self, frame: &Frame) -> u64 {
        let target = ptr::with_exposed_provenance(self.target.value() as usize);
        // SAFETY: `target` lies in published code, which `call` has entered and which therefore stays until this returns.
        // The frame was filled by the parameters of this very signature, with words that fit their types; strings and
        // buffers behind addresses live until the call has returned. That the code is what the signature says, that it is
        // sound with these values, and that it returns, is what the embedder says by declaring it.
        unsafe { self.signature.call(target, frame) }
    }

    #[cold]
    fn throw(&self, scope: Scope<'_>, refusal: &Refusal) {
        match refusal {
            Refusal::Freed => throw::throw(scope, &Error::Freed(self.code.noun())),
            Refusal::Count(count) => {
                let expected = self.signature.parameters().len();
                let plural = if expected == 1 { "" } else { "s" };
                let message = format!(
                    "{} takes {expected} argument{plural}, not {count}",
                    self.name
                );
                scope.throw_type_error(c"ERR_INVALID_ARG_COUNT", &text(message));
            }
            Refusal::Argument(index, reject) => self.throw_rejected(scope, *index, *reject),
        }
    }

    fn throw_rejected(&self, scope: Scope<'_>, index: usize, reject: Reject) {
        let kind = self
            .signature
            .parameters()
            .get(index)
            .map_or(Kind::Void, |parameter| parameter.kind());
        let message = text(format!(
            "argument {} of {} must be {}",
            index + 1,
            self.name,
            kind.expectation()
        ));
        match reject {
            Reject::Type => scope.throw_type_error(c"ERR_INVALID_ARG_TYPE", &message),
            Reject::Range => scope.throw_range_error(c"ERR_OUT_OF_RANGE", &message),
        }
    }
}

/// A message for Node. Symbol names have no NUL; if one had, the message would end there.
fn text(message: String) -> CString {
    let end = message.find('\0').unwrap_or(message.len());
    CString::new(&message.as_bytes()[..end]).unwrap_or_default()
}
