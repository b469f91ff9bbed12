//! What went wrong, for the thread to which it happened: a number, a name, a text, and facts.
#![allow(unsafe_code, reason = "functions for C have their names to themselves")]

use crate::status::{
    CODESLAB_INTERNAL, CODESLAB_INVALID_ARGUMENT, CODESLAB_OK, CODESLAB_STALE_HANDLE,
    CODESLAB_UNDEFINED_SYMBOL, codeslab_status, number,
};
use codeslab::Fact;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// The result of everything here.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a function does not do what it was called for. A pointer, so that results are small: they are what succeeds in nearly all calls.
#[derive(Debug)]
pub(crate) struct Failure(Box<Told>);

#[derive(Debug)]
struct Told {
    status: codeslab_status,
    code: CString,
    text: CString,
    facts: Vec<(CString, Value)>,
}

/// A fact, as C can read it.
#[derive(Debug)]
enum Value {
    Number(u64),
    Signed(i64),
    Address(u64),
    Text(CString),
}

/// A fact that is a number of bytes or a count.
pub const CODESLAB_FACT_NUMBER: u32 = 0;
/// A fact that may be negative, such as an `errno`: `number` holds it in two's complement.
pub const CODESLAB_FACT_SIGNED: u32 = 1;
/// A fact that is an address.
pub const CODESLAB_FACT_ADDRESS: u32 = 2;
/// A fact that is a text: a name, or several with commas between them.
pub const CODESLAB_FACT_TEXT: u32 = 3;

/// What went wrong last in this thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_error {
    /// What the function answered.
    pub status: codeslab_status,
    /// Its name, such as `OUT_OF_REACH`. Names do not change between versions.
    pub code: *const c_char,
    /// A sentence for people, which may change.
    pub text: *const c_char,
    /// How many facts there are: see `codeslab_last_error_fact`.
    pub facts: usize,
}

/// A fact of an error.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_fact {
    /// What it is about, such as `size` or `nearest`.
    pub name: *const c_char,
    /// One of the `CODESLAB_FACT_` numbers.
    pub kind: u32,
    /// The number or the address; 0 for a text.
    pub number: u64,
    /// The text; null for a number.
    pub text: *const c_char,
}

thread_local! {
    static LAST: RefCell<Option<Box<Told>>> = const { RefCell::new(None) };
}

/// Text up to its first zero byte.
fn text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(text.get(..end).unwrap_or_default()).unwrap_or_default()
}

impl Failure {
    pub(crate) fn new(status: codeslab_status, code: &str, message: &str) -> Self {
        Self(Box::new(Told {
            status,
            code: text(code),
            text: text(message),
            facts: Vec::new(),
        }))
    }

    /// An argument that is not what it has to be.
    pub(crate) fn argument(name: &str, expected: &str) -> Self {
        let message = format!("{name}: expected {expected}");
        Self::new(CODESLAB_INVALID_ARGUMENT, "INVALID_ARGUMENT", &message)
            .with("argument", &Fact::Text(name.to_owned()))
    }

    /// A symbol that is not there, or not as it has to be.
    pub(crate) fn symbol(status: codeslab_status, code: &str, message: &str, name: &str) -> Self {
        Self::new(status, code, message).with("symbol", &Fact::Text(name.to_owned()))
    }

    /// A symbol that `place` does not have.
    pub(crate) fn undefined(place: &str, name: &str) -> Self {
        let message = format!("the {place} has no symbol {name}");
        Self::symbol(
            CODESLAB_UNDEFINED_SYMBOL,
            "UNDEFINED_SYMBOL",
            &message,
            name,
        )
    }

    #[cold]
    pub(crate) fn stale(handle: u64) -> Self {
        let message =
            format!("the handle {handle:#x} is of nothing that is there, or of something else");
        Self::new(CODESLAB_STALE_HANDLE, "STALE_HANDLE", &message)
            .with("handle", &Fact::Number(handle))
    }

    pub(crate) fn with(mut self, name: &str, fact: &Fact) -> Self {
        let value = match fact {
            Fact::Number(number) => Value::Number(*number),
            Fact::Signed(number) => {
                let most = if *number < 0 { i64::MIN } else { i64::MAX };
                Value::Signed(i64::try_from(*number).unwrap_or(most))
            }
            Fact::Address(address) => Value::Address(address.value()),
            Fact::Text(one) => Value::Text(text(one)),
            Fact::Names(names) => Value::Text(text(&names.join(", "))),
        };
        self.0.facts.push((text(name), value));
        self
    }

    fn with_all(self, facts: &[(&'static str, Fact)]) -> Self {
        let add = |failure: Self, (name, fact): &(&str, Fact)| failure.with(name, fact);
        facts.iter().fold(self, add)
    }

    /// Keeps it for `codeslab_last_error`.
    #[cold]
    fn record(self) -> codeslab_status {
        let status = self.0.status;
        // A thread that is ending has no place for it any more.
        let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(self.0)));
        status
    }
}

impl From<codeslab::Error> for Failure {
    fn from(error: codeslab::Error) -> Self {
        let code = error.code();
        Self::new(number(code), code, &error.to_string()).with_all(&error.facts())
    }
}

impl From<codeslab_link::Error> for Failure {
    fn from(error: codeslab_link::Error) -> Self {
        let code = error.code();
        Self::new(number(code), code, &error.to_string()).with_all(&error.facts())
    }
}

/// Does the work of a function, and lets no panic out of it.
#[inline]
pub(crate) fn run(work: impl FnOnce() -> Result<()>) -> codeslab_status {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => CODESLAB_OK,
        Ok(Err(failure)) => failure.record(),
        Err(_) => {
            let message =
                "a mistake in codeslab was caught; what it was about may be left as it is";
            Failure::new(CODESLAB_INTERNAL, "INTERNAL", message).record()
        }
    }
}

/// Says what went wrong last in this thread. Texts stay until the next function fails in this thread, or the thread ends. Answers
/// CODESLAB_INVALID_ARGUMENT if nothing went wrong yet or `error` is null, and keeps the error that there was.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_last_error(
    error: Option<&mut MaybeUninit<codeslab_error>>,
) -> codeslab_status {
    let Some(error) = error else {
        return CODESLAB_INVALID_ARGUMENT;
    };
    with_last(|last| {
        error.write(codeslab_error {
            status: last.status,
            code: last.code.as_ptr(),
            text: last.text.as_ptr(),
            facts: last.facts.len(),
        });
        Some(())
    })
}

/// Says one fact of what went wrong last in this thread: those up to `codeslab_error::facts`. Answers CODESLAB_INVALID_ARGUMENT for
/// others, and keeps the error that there was.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_last_error_fact(
    index: usize,
    fact: Option<&mut MaybeUninit<codeslab_fact>>,
) -> codeslab_status {
    let Some(fact) = fact else {
        return CODESLAB_INVALID_ARGUMENT;
    };
    with_last(|last| {
        let (name, value) = last.facts.get(index)?;
        let (kind, number, text) = match value {
            Value::Number(number) => (CODESLAB_FACT_NUMBER, *number, ptr::null()),
            Value::Signed(number) => (CODESLAB_FACT_SIGNED, number.cast_unsigned(), ptr::null()),
            Value::Address(address) => (CODESLAB_FACT_ADDRESS, *address, ptr::null()),
            Value::Text(text) => (CODESLAB_FACT_TEXT, 0, text.as_ptr()),
        };
        fact.write(codeslab_fact {
            name: name.as_ptr(),
            kind,
            number,
            text,
        });
        Some(())
    })
}

fn with_last(tell: impl FnOnce(&Told) -> Option<()>) -> codeslab_status {
    let told = LAST.try_with(|last| tell(last.try_borrow().ok()?.as_deref()?));
    match told {
        Ok(Some(())) => CODESLAB_OK,
        _ => CODESLAB_INVALID_ARGUMENT,
    }
}
