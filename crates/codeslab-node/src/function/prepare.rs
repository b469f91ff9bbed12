//! What a call is made with, where reading an argument may run JavaScript or takes more than a word.

use super::{Function, Refusal};
use crate::answer::Answers;
use crate::argument::{self, Strings, Unfit};
use crate::environment;
use crate::later::Called;
use crate::node_api::{Scope, Value};
use crate::signed::Signed;
use codeslab_call::{Frame, Kind, Parameter, Reject, Signature};
use napi::Env;
use std::rc::Rc;

/// A call that any thread can make, and what has to stay until it has returned.
pub(super) type ForLater = (Box<dyn FnMut() -> Called>, (Strings, Lent));

/// What a call is made with.
pub(super) struct Prepared<F> {
    pub(super) frame: F,
    pub(super) strings: Strings,
    pub(super) lent: Lent,
}

/// The words of a call, to be filled.
pub(super) trait Fill {
    fn put(&mut self, parameter: Parameter, word: u64);

    /// Puts in the bytes of a structure. `false` if the value has none, or not as many.
    fn fill<'a>(
        &mut self,
        scope: Scope<'a>,
        signature: &Signature,
        index: usize,
        value: Value<'a>,
    ) -> bool;
}

impl Fill for Frame {
    fn put(&mut self, parameter: Parameter, word: u64) {
        Self::put(self, parameter, word);
    }

    fn fill<'a>(&mut self, _: Scope<'a>, _: &Signature, _: usize, _: Value<'a>) -> bool {
        false
    }
}

/// Closures that are good for one call.
#[derive(Default)]
pub(super) struct Lent(Vec<(Rc<Answers>, u32)>);

impl Lent {
    /// The address of a closure that calls a JavaScript function.
    fn lend(&mut self, scope: Scope<'_>, signed: &Rc<Signed>, function: Value<'_>) -> Option<u64> {
        let answers = environment::answers(Env::from_raw(scope.env()))
            .ok()?
            .ok()?;
        let (number, pointer) = answers.open(scope, signed, function).ok()?;
        self.0.push((answers, number));
        Some(pointer)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for (answers, number) in &self.0 {
            answers.close_temporary(*number);
        }
    }
}

impl Function {
    /// The frame of a call with any arguments. Functions are asked first where their code is: that may run JavaScript, which may
    /// do anything, after which buffers must be as long as before.
    pub(super) fn prepare<'a, F: Fill>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
        frame: F,
    ) -> Result<Prepared<F>, Refusal> {
        let lengths: Vec<_> = values
            .iter()
            .map(|value| scope.extent_length(*value))
            .collect();
        let mut prepared = Prepared {
            frame,
            strings: Strings::new(),
            lent: Lent::default(),
        };
        let mut pointers = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            pointers.push(self.pointer_of(scope, index, *value, &mut prepared.lent)?);
        }
        let arguments = self
            .parameters()
            .iter()
            .zip(values)
            .zip(lengths)
            .zip(pointers);
        for (index, (((parameter, value), length), pointer)) in arguments.enumerate() {
            let kind = parameter.kind();
            if kind == Kind::Structure {
                let signature = &self.signed.signature;
                let is_fit = prepared.frame.fill(scope, signature, index, *value);
                let unfit = Refusal::Argument(index, Reject::Type.into());
                is_fit.then_some(()).ok_or(unfit)?;
                continue;
            }
            let read = || argument::read(scope, *value, kind, &mut prepared.strings);
            let word = pointer.map_or_else(read, Ok);
            let word = word.map_err(|reject| argument::unfit(scope, *value, kind, reject));
            let is_steady = scope.extent_length(*value) == length;
            let word = word.and_then(|word| is_steady.then_some(word).ok_or(Unfit::Detached));
            prepared.frame.put(
                *parameter,
                word.map_err(|unfit| Refusal::Argument(index, unfit))?,
            );
        }
        Ok(prepared)
    }

    /// Where the code of a function is, or that of a closure which calls it, if native code may; `None` for what is no function.
    fn pointer_of<'a>(
        &self,
        scope: Scope<'a>,
        index: usize,
        value: Value<'a>,
        lent: &mut Lent,
    ) -> Result<Option<u64>, Refusal> {
        let kind = self.parameters()[index].kind();
        let asked = argument::pointer_of(scope, value, kind);
        match (asked, self.signed.callback(index)) {
            // Nothing that holds bytes is code.
            (Ok(None), Some(_)) if argument::is_borrowed(scope, value) => {
                Err(Refusal::Argument(index, Reject::Type.into()))
            }
            (Ok(pointer), _) => Ok(pointer),
            (Err(Unfit::Reject(Reject::Type)), Some(signed)) if scope.is_callable(value) => {
                let pointer = lent.lend(scope, signed, value);
                pointer.map(Some).ok_or(Refusal::NoCallbacks)
            }
            (Err(unfit), _) => Err(Refusal::Argument(index, unfit)),
        }
    }
}
