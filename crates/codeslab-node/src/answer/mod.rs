//! Calls of native code that JavaScript answers.
//!
//! Each closure (`closures`) has a number, which an environment gives a JavaScript function and a signature. A call on the
//! environment's own thread runs the function at once; what it throws waits until the native call that is below it on the stack has
//! returned, and comes out of that one. A call on any other thread is queued to the event loop and waited for (`foreign`). A number
//! that was given up stays given up, unless it was made for one call only: native code that kept the pointer gets zero.
//! `function` says when native code runs, `callback` is what JavaScript calls.
#![allow(unsafe_code)] // It reads what native code passed.

mod closures;
mod foreign;

use crate::argument::{self, Strings};
use crate::node_api::{Scope, StrongReference, Value};
use crate::signed::Signed;
use codeslab_call::{Arguments, FastTable, Kind, MAXIMUM_ARGUMENTS, Reject, Results, Structure};
use codeslab_runtime::Exception;
use foreign::Mailbox;
use napi::sys::napi_env;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

thread_local! {
    /// Those of the environment whose JavaScript this thread runs, once it has any.
    static HERE: Cell<*const Answers> = const { Cell::new(ptr::null()) };
}

/// A JavaScript function that answers.
#[derive(Debug)]
struct Answer {
    signed: Rc<Signed>,
    function: StrongReference,
}

/// What a native call is told after it has returned.
#[derive(Debug)]
pub(crate) enum Left {
    /// JavaScript threw this, in the property of an object.
    Exception(StrongReference),
    /// Another thread asked for JavaScript that could not run, because this thread was in native code all the time.
    Blocked,
}

/// Why a native call that has returned has no result.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// JavaScript left this to it.
    Left(Left),
    /// It was left by an exception.
    Threw(Exception),
}

/// The property of [`Left::Exception`].
const THROWN: &std::ffi::CStr = c"thrown";

/// The functions of one environment that native code can call.
#[derive(Debug)]
pub(crate) struct Answers {
    env: napi_env,
    /// By number.
    all: RefCell<Vec<Option<Rc<Answer>>>>,
    /// Numbers that were made for one call and can be used for the next.
    spare: RefCell<Vec<u32>>,
    live: Cell<usize>,
    left: RefCell<Option<Left>>,
    mailbox: Arc<Mailbox>,
    /// Whose calls may not be answered, so that there are none meanwhile.
    fast: Option<Arc<FastTable>>,
}

/// Why a function cannot be called by native code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Impossible {
    /// There are no closures for this processor, or no memory for them.
    NoClosure,
    /// Another environment has this thread's.
    Occupied,
}

impl Answers {
    /// Those of an environment, which has none yet.
    pub(crate) fn new(
        scope: Scope<'_>,
        fast: Option<Arc<FastTable>>,
    ) -> Result<Rc<Self>, Impossible> {
        if !HERE.get().is_null() {
            return Err(Impossible::Occupied);
        }
        let mailbox = Mailbox::open(scope.env()).ok_or(Impossible::NoClosure)?;
        let answers = Rc::new(Self {
            env: scope.env(),
            all: RefCell::default(),
            spare: RefCell::default(),
            live: Cell::new(0),
            left: RefCell::default(),
            mailbox,
            fast,
        });
        HERE.set(Rc::as_ptr(&answers));
        Ok(answers)
    }

    /// A number and a pointer by which native code calls `function` from now on.
    pub(crate) fn open(
        &self,
        scope: Scope<'_>,
        signed: &Rc<Signed>,
        function: Value<'_>,
    ) -> Result<(u32, u64), Impossible> {
        let spare = self.spare.borrow_mut().pop();
        let number = spare
            .map_or_else(closures::take, Some)
            .ok_or(Impossible::NoClosure)?;
        let pointer = closures::pointer(number).ok_or(Impossible::NoClosure)?;
        let function = scope.refer(function).ok_or(Impossible::NoClosure)?;
        let mut all = self.all.borrow_mut();
        if all.len() <= number as usize {
            all.resize(number as usize + 1, None);
        }
        all[number as usize] = Some(Rc::new(Answer {
            signed: Rc::clone(signed),
            function,
        }));
        drop(all);
        foreign::enter(number, &self.mailbox, signed);
        if self.live.replace(self.live.get() + 1) == 0 {
            self.fast.iter().for_each(|table| table.pause());
        }
        Ok((number, pointer))
    }

    /// Gives a number up. `false` if that was done before.
    pub(crate) fn close(&self, number: u32) -> bool {
        let mut all = self.all.borrow_mut();
        let answer = all.get_mut(number as usize).and_then(Option::take);
        drop(all);
        let was_open = answer.is_some();
        if was_open {
            foreign::leave(number);
            self.live.set(self.live.get() - 1);
            if self.live.get() == 0 {
                self.fast.iter().for_each(|table| table.resume());
            }
        }
        was_open
    }

    /// Gives up a number that was made for one call, and keeps it for the next.
    pub(crate) fn close_temporary(&self, number: u32) {
        if self.close(number) {
            self.spare.borrow_mut().push(number);
        }
    }

    /// The environment ends: native code that calls from now on, such as a destructor when the process exits, gets zero.
    pub(crate) fn retire(&self) {
        if ptr::eq(HERE.get(), self) {
            HERE.set(ptr::null());
        }
        for (number, answer) in self.all.borrow().iter().enumerate() {
            if answer.is_some() {
                foreign::leave(number as u32);
            }
        }
        self.mailbox.close();
    }

    /// What JavaScript left to the native call that has just returned.
    #[inline]
    fn take_left(&self) -> Option<Left> {
        let left = self.left.borrow_mut().take();
        left.or_else(|| self.mailbox.take_blocked().then_some(Left::Blocked))
    }

    fn get(&self, number: u32) -> Option<Rc<Answer>> {
        self.all.borrow().get(number as usize)?.clone()
    }

    /// Runs JavaScript, on its thread. The result is zero if it threw, or if an exception is waiting already.
    fn run(&self, answer: &Answer, arguments: Arguments) -> Results {
        if self.left.borrow().is_some() {
            return answer.zero(arguments);
        }
        // SAFETY: this is the thread of the environment, and it lives: it takes itself out before it goes.
        let scope = unsafe { Scope::new(self.env) };
        scope.nested(|| {
            answer.call(scope, arguments).unwrap_or_else(|| {
                self.keep_exception(scope);
                answer.zero(arguments)
            })
        })
    }

    /// The exception comes out of the native call below, or, where there is none, is one that nothing caught.
    fn keep_exception(&self, scope: Scope<'_>) {
        // A worker that is being terminated has an exception that cannot be taken: it goes on by itself.
        let Some(exception) = scope.take_exception() else {
            return;
        };
        if self.mailbox.depth() == 0 {
            scope.report_uncaught(exception);
            return;
        }
        let holder = scope.object().and_then(|holder| {
            scope.define(holder, THROWN, exception)?;
            scope.refer(holder)
        });
        *self.left.borrow_mut() = holder.map(Left::Exception);
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Answer {
    /// Calls the function. `None` if there is an exception.
    fn call(&self, scope: Scope<'_>, arguments: Arguments) -> Option<Results> {
        let signature = &self.signed.signature;
        let parameters = signature.parameters();
        let mut values = [scope.undefined()?; MAXIMUM_ARGUMENTS];
        for (index, (value, parameter)) in values.iter_mut().zip(parameters).enumerate() {
            if parameter.kind() == Kind::Structure {
                // SAFETY: native code passed what the signature says: the embedder says so by declaring it.
                let bytes = unsafe { arguments.structure(signature, index) };
                *value = scope.make_bytes(&bytes)?;
                continue;
            }
            // SAFETY: native code passed what the signature says: the embedder says so by declaring it.
            let word = unsafe { arguments.get(*parameter) };
            *value = argument::write(scope, parameter.kind().value(word))?;
        }
        let function = self.function.get(scope)?;
        let result = scope.call(function, values.get(..parameters.len())?)?;
        if signature.result() == Kind::Structure {
            return self.structure_of(scope, result, arguments);
        }
        self.word_of(scope, result).map(in_both)
    }

    /// The registers of a result that is a structure.
    fn structure_of<'a>(
        &self,
        scope: Scope<'a>,
        result: Value<'a>,
        arguments: Arguments,
    ) -> Option<Results> {
        let signature = &self.signed.signature;
        // SAFETY: nothing runs JavaScript before the bytes are copied below.
        let bytes = unsafe { scope.bytes(result) };
        let fits =
            |bytes: &[u8]| Some(bytes.len()) == signature.result_structure().map(Structure::size);
        let Some(bytes) = bytes.filter(|bytes| fits(bytes)) else {
            refuse(scope, Kind::Structure, Reject::Type);
            return None;
        };
        // SAFETY: native code expects what the signature says: the embedder says so by declaring it.
        Some(unsafe { arguments.results(signature, &bytes) })
    }

    /// What native code gets where there is nothing to give: a structure that is returned in memory is there, and zero.
    fn zero(&self, arguments: Arguments) -> Results {
        // SAFETY: native code expects what the signature says: the embedder says so by declaring it.
        unsafe { arguments.results(&self.signed.signature, &[]) }
    }

    /// The word of a result. Strings and buffers are refused: they would be gone when native code reads them.
    fn word_of(&self, scope: Scope<'_>, result: Value<'_>) -> Option<u64> {
        let kind = self.signed.signature.result();
        let word = match kind {
            Kind::Void => Ok(0),
            Kind::Pointer if argument::is_borrowed(scope, result) => Err(Reject::Type),
            _ => argument::read(scope, result, kind, &mut Strings::new()),
        };
        word.map_err(|reject| refuse(scope, kind, reject)).ok()
    }
}

/// Throws, as a call does for an argument.
fn refuse(scope: Scope<'_>, kind: Kind, reject: Reject) {
    let expected = match kind {
        Kind::Pointer => "a bigint from 0n to 2n**64n - 1n, or null",
        other => other.expectation(),
    };
    let message =
        std::ffi::CString::new(format!("a callback must return {expected}")).unwrap_or_default();
    match reject {
        Reject::Type => scope.throw_type_error(c"ERR_INVALID_RETURN_VALUE", &message),
        Reject::Range => scope.throw_range_error(c"ERR_OUT_OF_RANGE", &message),
    }
}

/// What closures call.
unsafe extern "C" fn handle(word: u64, registers: *mut u64, stack: *const u64) -> u64 {
    // SAFETY: a trampoline passed them, and waits for the result.
    let arguments = unsafe { Arguments::new(registers, stack) };
    // A panic would be a bug of ours; it must not unwind into native code.
    let results = catch_unwind(AssertUnwindSafe(|| answer(word as u32, arguments)));
    // SAFETY: nothing reads arguments any more, and this returns the word.
    unsafe { arguments.answer(results.unwrap_or_default()) }
}

/// A word where integers and where floats are returned.
fn in_both(word: u64) -> Results {
    [word, 0, word, 0, 0, 0]
}

fn answer(number: u32, arguments: Arguments) -> Results {
    // SAFETY: it is null, or this thread's answers live: they take themselves out before they go.
    let here = unsafe { HERE.get().as_ref() };
    match here.and_then(|here| Some((here, here.get(number)?))) {
        Some((here, answer)) => here.run(&answer, arguments),
        None => foreign::ask(number, arguments),
    }
}

/// Calls native code, which may call JavaScript.
#[inline]
pub(crate) fn during<R>(call: impl FnOnce() -> Result<R, Exception>) -> Result<R, Box<Stopped>> {
    // Where the variable lies is asked for once: that is a call of its own.
    HERE.with(|here| {
        // SAFETY: it is null, or this thread's answers live: they take themselves out before they go.
        let before = unsafe { here.get().as_ref() };
        before.inspect(|here| here.mailbox.begin_call());
        let result = call().map_err(|exception| Box::new(Stopped::Threw(exception)));
        before.inspect(|here| here.mailbox.end_call());
        // The first callback may have been made meanwhile.
        // SAFETY: it is null, or this thread's answers live: they take themselves out before they go.
        let left = unsafe { here.get().as_ref() }.and_then(Answers::take_left);
        match left {
            Some(left) => Err(Box::new(Stopped::Left(left))),
            None => result,
        }
    })
}

impl Left {
    /// The exception.
    pub(crate) fn exception<'a>(&self, scope: Scope<'a>) -> Option<Value<'a>> {
        match self {
            Self::Exception(holder) => scope.property(holder.get(scope)?, THROWN),
            Self::Blocked => None,
        }
    }
}
