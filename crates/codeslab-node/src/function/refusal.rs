//! Why a call did not happen, or did not return, and what JavaScript sees then.
//!
//! What a user passed wrongly is a `TypeError` or `RangeError` with Node's codes, as its own functions throw; what happened to the code
//! is an error of codeslab's.

use super::Function;
use crate::answer::Left;
use crate::argument::Unfit;
use crate::error::Error;
use crate::node_api::Scope;
use crate::throw;
use codeslab_call::{Kind, Reject};
use codeslab_runtime::Exception;
use std::ffi::CString;

/// Why a call did not happen.
pub(super) enum Refusal {
    /// The code is gone.
    Freed,
    /// So many arguments were passed instead.
    Count(usize),
    /// This argument cannot be passed.
    Argument(usize, Unfit),
    /// It did happen, and JavaScript left something that it called meanwhile.
    Left(Left),
    /// Native code cannot call JavaScript here.
    NoCallbacks,
    /// The code was left by an exception.
    Threw(Box<Exception>),
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
    pub(super) fn throw(&self, scope: Scope<'_>, refusal: &Refusal) {
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
            Refusal::Argument(index, unfit) => self.throw_unfit(scope, *index, *unfit),
            Refusal::Left(left) => match left.exception(scope) {
                Some(exception) => scope.rethrow(exception),
                None => throw::throw(scope, &Error::CallbackBlocked),
            },
            Refusal::NoCallbacks => throw::throw(scope, &Error::NoCallbacks),
            Refusal::Threw(exception) => {
                throw_exception(scope, &self.name, (**exception).clone());
            }
        }
    }

    fn throw_unfit(&self, scope: Scope<'_>, index: usize, unfit: Unfit) {
        let parameter = self.parameters().get(index);
        let kind = parameter.map_or(Kind::Void, |parameter| parameter.kind());
        let (number, name) = (index + 1, &self.name);
        let expected = |what: &str| text(format!("argument {number} of {name} must {what}"));
        let be_of_kind = || expected(&format!("be {}", kind.expectation()));
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

/// A message for Node. Symbol names have no NUL; if one had, the message would end there.
fn text(message: String) -> CString {
    let end = message.find('\0').unwrap_or(message.len());
    CString::new(&message.as_bytes()[..end]).unwrap_or_default()
}
