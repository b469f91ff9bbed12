//! Calls with structures by value: JavaScript passes and gets their bytes, which TypeScript makes and reads.
#![allow(unsafe_code)] // It calls native code.

use super::prepare::{Fill, ForLater, Prepared};
use super::{Function, Refusal, write};
use crate::answer::during;
use crate::node_api::{Scope, Value};
use codeslab_call::{LargeFrame, Parameter, Signature};
use codeslab_runtime::guarded;
use std::ptr;
use std::rc::Rc;

impl Fill for LargeFrame {
    fn put(&mut self, parameter: Parameter, word: u64) {
        Self::put(self, parameter, word);
    }

    fn fill<'a>(
        &mut self,
        scope: Scope<'a>,
        signature: &Signature,
        index: usize,
        value: Value<'a>,
    ) -> bool {
        // SAFETY: putting copies the bytes and runs no JavaScript.
        let bytes = unsafe { scope.bytes(value) };
        bytes.is_some_and(|bytes| self.put_structure(signature, index, &bytes))
    }
}

impl Function {
    /// A call with structures among its arguments, or for a result.
    #[inline(never)]
    pub(super) fn call_with_structures<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
    ) -> Result<Option<Value<'a>>, Refusal> {
        let mut prepared = self.prepare(scope, values, LargeFrame::new())?;
        // Until what the result points to has been read: it may lie in the code's own data.
        let _running = self.enter()?;
        let target = ptr::with_exposed_provenance(self.target.value() as usize);
        let frame = &mut prepared.frame;
        // SAFETY: `target` lies in published code, which was entered and stays until this returns. The frame was filled by the parameters of
        // this very signature, with what fits their types, which lives until the call has returned: JavaScript has not run since
        // addresses were read. That the code is what the signature says, is sound with these values, and returns, is what the embedder says
        // by declaring it. What unwinds is stopped below.
        let call = || unsafe { self.signed.signature.call_large(target, frame) };
        // SAFETY: frames between here and the code own what an exception would only leak; that exceptions are sound belongs to what the
        // embedder says.
        let called = during(|| unsafe { guarded(call) });
        let (word, bytes) = called.map_err(Refusal::Stopped)?;
        Ok(write(scope, &self.signed, word, &bytes))
    }

    /// As [`Function::call_for_later`].
    pub(super) fn structures_for_later<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
    ) -> Result<ForLater, Refusal> {
        let Prepared {
            mut frame,
            strings,
            lent,
        } = self.prepare(scope, values, LargeFrame::new())?;
        let (signed, target) = (Rc::clone(&self.signed), self.target);
        let call = move || {
            let target = ptr::with_exposed_provenance(target.value() as usize);
            // SAFETY: as in `call_for_later`: the caller has entered the code, the frame was filled by the parameters of this very
            // signature, and what it refers to is kept; the rest is what the embedder says by asking for it.
            let call = || unsafe { signed.signature.call_large(target, &mut frame) };
            // SAFETY: frames between here and the code own what an exception would only leak; that exceptions are sound belongs to what
            // the embedder says.
            unsafe { guarded(call) }
        };
        Ok((Box::new(call), (strings, lent)))
    }
}
