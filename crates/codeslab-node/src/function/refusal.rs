//! Why a call did not happen, or did not return, and what JavaScript sees then.
//!
//! What a user passed wrongly is a `TypeError` or `RangeError` with Node's codes, as its own functions throw; what happened to the code
//! is an error of codeslab's.

use super::Function;
use crate::answer::Stopped;
use crate::argument::Unfit;
use crate::error::Error;
use crate::node_api::{Scope, Value};
use crate::throw;
use codeslab_call::{Kind, Reject};
use codeslab_runtime::Exception;
use napi::sys::ValueType;
use std::ffi::CString;

/// Why a call did not happen.
pub(super) enum Refusal {
    /// The code is gone.
    Freed,
    /// So many arguments were passed instead.
    Count(usize),
    /// This argument cannot be passed.
    Argument(usize, Unfit),
    /// It did happen, and has no result.
    Stopped(Box<Stopped>),
    /// Native code cannot call JavaScript here.
    NoCallbacks,
}

/// Has JavaScript see the exception by which a function was left.
#[cold]
pub(super) fn throw_exception(scope: Scope<'_>, function: &str, exception: Exception) {
    let function = function.to_owned();
    throw::throw(
        scope,
        &Error::Exception {
            function,
            exception,
        },
    );
}

impl Function {
    #[cold]
    pub(super) fn throw<'a>(&self, scope: Scope<'a>, refusal: &Refusal, values: &[Value<'a>]) {
        match refusal {
            Refusal::Freed => throw::throw(scope, &Error::Freed(self.code.noun())),
            Refusal::Count(count) => {
                let expected = self.parameters().len();
                let plural = if expected == 1 { "" } else { "s" };
                let message = format!(
                    "{} takes {expected} argument{plural}, not {count}",
                    self.name
                );
                scope.throw_type_error(c"ERR_INVALID_ARG_COUNT", &text(message));
            }
            Refusal::Argument(index, unfit) => {
                self.throw_unfit(scope, *index, *unfit, values.get(*index).copied());
            }
            Refusal::Stopped(stopped) => match &**stopped {
                Stopped::Left(left) => match left.exception(scope) {
                    Some(exception) => scope.rethrow(exception),
                    None => throw::throw(scope, &Error::CallbackBlocked),
                },
                Stopped::Threw(exception) => throw_exception(scope, &self.name, exception.clone()),
            },
            Refusal::NoCallbacks => throw::throw(scope, &Error::NoCallbacks),
        }
    }

    fn throw_unfit<'a>(
        &self,
        scope: Scope<'a>,
        index: usize,
        unfit: Unfit,
        value: Option<Value<'a>>,
    ) {
        let parameter = self.parameters().get(index);
        let kind = parameter.map_or(Kind::Void, |parameter| parameter.kind());
        let (number, name) = (index + 1, &self.name);
        let expected = |what: &str| text(format!("argument {number} of {name} must {what}"));
        let be_of_kind = || {
            let received = value.map(|value| received(scope, value, kind));
            let received = received.unwrap_or_default();
            expected(&format!("be {}{received}", kind.expectation()))
        };
        match unfit {
            Unfit::Reject(Reject::Type) => {
                scope.throw_type_error(c"ERR_INVALID_ARG_TYPE", &be_of_kind());
            }
            Unfit::Reject(Reject::Range) => {
                scope.throw_range_error(c"ERR_OUT_OF_RANGE", &be_of_kind());
            }
            Unfit::Detached => {
                let message = expected("not lie in a buffer that was detached or resized");
                scope.throw_type_error(c"ERR_INVALID_ARG_VALUE", &message);
            }
        }
    }
}

/// What was passed instead, and what to pass of it where an address is wanted.
fn received<'a>(scope: Scope<'a>, value: Value<'a>, kind: Kind) -> String {
    /// As much of a text as a message shows.
    const SHOWN: usize = 40;
    let number = |number: f64| match number.abs() {
        size if size < 1e21 => number.to_string(),
        _ => format!("{number:e}"),
    };
    let is_pointer = kind == Kind::Pointer;
    let what = match scope.type_of(value) {
        ValueType::napi_number => scope.number(value).map_or_else(String::new, number),
        ValueType::napi_bigint => match (scope.signed_bigint(value), scope.unsigned_bigint(value)) {
            (Some((small, true)), _) => format!("{small}n"),
            (_, Some((large, true))) => format!("{large}n"),
            _ => "a bigint of more than 64 bits".to_owned(),
        },
        ValueType::napi_string => {
            let bytes = scope.c_string(value).unwrap_or_default();
            let text = String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(&bytes)).into_owned();
            match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{:?}...", &text[..end]),
                None => format!("{text:?}"),
            }
        }
        ValueType::napi_null => "null".to_owned(),
        ValueType::napi_undefined => "undefined".to_owned(),
        ValueType::napi_boolean => "a boolean; pass 0 or 1".to_owned(),
        ValueType::napi_symbol => "a symbol".to_owned(),
        ValueType::napi_function if is_pointer => {
            "a JavaScript function, which has no address: write the signature that it is called with in the place of the type, or pass memory.callback(signature, function)".to_owned()
        }
        ValueType::napi_function => "a function".to_owned(),
        ValueType::napi_object if is_pointer => {
            "an object without bytes: pass its address, such as section.address or image.address(name)".to_owned()
        }
        _ => "an object".to_owned(),
    };
    format!("; received {what}")
}

/// A message for Node. Symbol names have no NUL; if one had, the message would end there.
fn text(message: String) -> CString {
    let end = message.find('\0').unwrap_or(message.len());
    CString::new(&message.as_bytes()[..end]).unwrap_or_default()
}
