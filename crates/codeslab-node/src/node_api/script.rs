//! JavaScript that is compiled and called, and what it shares with native code. `fast` and `callback` use it.

use super::{Scope, Value, ok, value};
use napi::sys::{self, Status, napi_env, napi_ref};
use std::any::Any;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;

/// A reference that keeps its value until the environment ends or it is dropped.
#[derive(Debug)]
pub(crate) struct StrongReference {
    // Invariant: a reference of `env`, not deleted.
    raw: napi_ref,
    env: napi_env,
    /// References belong to a thread.
    thread: PhantomData<*const ()>,
}

impl Drop for StrongReference {
    fn drop(&mut self) {
        // SAFETY: it is a reference of this environment and not deleted, by its invariant; where the environment has ended, Node says so.
        unsafe { sys::napi_delete_reference(self.env, self.raw) };
    }
}

impl StrongReference {
    /// The value.
    pub(crate) fn get<'a>(&self, scope: Scope<'a>) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live, and the reference is one of it and not deleted, by their invariants.
        let status = unsafe { sys::napi_get_reference_value(scope.env, self.raw, &raw mut raw) };
        ok(status, value(raw)).filter(|_| !raw.is_null())
    }
}

impl<'a> Scope<'a> {
    /// A reference that keeps `object`.
    pub(crate) fn refer(self, object: Value<'a>) -> Option<StrongReference> {
        let mut raw = ptr::null_mut();
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_create_reference(self.env, object.raw, 1, &raw mut raw) };
        let reference = StrongReference {
            raw,
            env: self.env,
            thread: PhantomData,
        };
        if status == Status::napi_ok {
            return Some(reference);
        }
        std::mem::forget(reference);
        None
    }

    /// Whether `value` is a function, and none has thrown yet.
    pub(crate) fn is_callable(self, value: Value<'a>) -> bool {
        self.type_of(value) == sys::ValueType::napi_function && !self.is_exception_pending()
    }

    /// A reference that keeps `value`, if it is an object.
    pub(crate) fn refer_to_object(self, value: Value<'a>) -> Option<StrongReference> {
        (self.type_of(value) == sys::ValueType::napi_object).then(|| self.refer(value))?
    }

    /// What a script evaluates to. It runs as written here, whatever a user has replaced.
    pub(crate) fn run(self, source: &str) -> Option<Value<'a>> {
        let (mut script, mut raw) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the environment is live by its invariant, and the text is `source.len()` bytes.
        let status = unsafe {
            sys::napi_create_string_utf8(
                self.env,
                source.as_ptr().cast(),
                source.len().cast_signed(),
                &raw mut script,
            )
        };
        ok(status, ())?;
        // SAFETY: environment and handle are live.
        let status = unsafe { sys::napi_run_script(self.env, script, &raw mut raw) };
        ok(status, value(raw))
    }

    /// Calls a function of JavaScript, which may do anything. `None` if it threw.
    pub(crate) fn call(self, function: Value<'a>, arguments: &[Value<'a>]) -> Option<Value<'a>> {
        let undefined = self.undefined()?;
        let mut raw = ptr::null_mut();
        // SAFETY: environment and handles are live by their invariants, and a `Value` is a handle.
        let status = unsafe {
            sys::napi_call_function(
                self.env,
                undefined.raw,
                function.raw,
                arguments.len(),
                arguments.as_ptr().cast(),
                &raw mut raw,
            )
        };
        ok(status, value(raw))
    }

    /// The global object.
    pub(crate) fn global(self) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the result is ours.
        let status = unsafe { sys::napi_get_global(self.env, &raw mut raw) };
        ok(status, value(raw))
    }

    /// An object without properties.
    pub(crate) fn object(self) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the result is ours.
        let status = unsafe { sys::napi_create_object(self.env, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A boolean.
    pub(crate) fn boolean(self, content: bool) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the result is ours.
        let status = unsafe { sys::napi_get_boolean(self.env, content, &raw mut raw) };
        ok(status, value(raw))
    }

    /// Whether an exception waits to be seen.
    pub(crate) fn is_exception_pending(self) -> bool {
        let mut is_pending = false;
        // SAFETY: the environment is live by its invariant, and the result is ours.
        unsafe { sys::napi_is_exception_pending(self.env, &raw mut is_pending) };
        is_pending
    }

    /// The exception that waits to be seen, which does not any more.
    pub(crate) fn take_exception(self) -> Option<Value<'a>> {
        self.is_exception_pending().then_some(())?;
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the result is ours.
        let status = unsafe { sys::napi_get_and_clear_last_exception(self.env, &raw mut raw) };
        ok(status, value(raw))
    }

    /// Has the process see an exception that nothing catches, as one of a timer would be.
    pub(crate) fn report_uncaught(self, exception: Value<'a>) {
        // SAFETY: environment and handle are live by their invariants.
        unsafe { sys::napi_fatal_exception(self.env, exception.raw) };
    }

    /// Makes JavaScript see `exception` when the callback returns.
    pub(crate) fn rethrow(self, exception: Value<'a>) {
        // SAFETY: environment and handle are live by their invariants.
        unsafe { sys::napi_throw(self.env, exception.raw) };
    }

    /// An `Int32Array` of words outside of V8's heap, which keeps `owner` as long as it lives.
    ///
    /// # Safety
    /// There are `count` words from `words` on for as long as `owner` lives, which code on other threads accesses atomically only.
    pub(crate) unsafe fn shared_words<T: Any>(
        self,
        words: *const u32,
        count: usize,
        owner: T,
    ) -> Option<Value<'a>> {
        let owner = Box::into_raw(Box::new(owner));
        let mut buffer = ptr::null_mut();
        // SAFETY: the environment is live by its invariant; the words live until `finalize` takes the owner, by the obligation.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                self.env,
                words.cast_mut().cast(),
                count * size_of::<u32>(),
                Some(finalize::<T>),
                owner.cast(),
                &raw mut buffer,
            )
        };
        // (If Node refuses, it may have taken the owner or not: it stays.)
        ok(status, ())?;
        let mut raw = ptr::null_mut();
        // SAFETY: environment and handle are live, and the buffer has as many words from its start on.
        let status = unsafe {
            sys::napi_create_typedarray(
                self.env,
                sys::TypedarrayType::int32_array,
                count,
                buffer,
                0,
                &raw mut raw,
            )
        };
        ok(status, value(raw))
    }

    /// Sets a property of an object for good, which enumerating does not show.
    pub(crate) fn define_hidden(
        self,
        object: Value<'a>,
        name: &CStr,
        content: Value<'a>,
    ) -> Option<()> {
        let descriptor = sys::napi_property_descriptor {
            utf8name: name.as_ptr(),
            name: ptr::null_mut(),
            method: None,
            getter: None,
            setter: None,
            value: content.raw,
            attributes: sys::PropertyAttributes::default,
            data: ptr::null_mut(),
        };
        // SAFETY: environment and handles are live by their invariants, and there is one descriptor, whose name ends with a NUL.
        let status =
            unsafe { sys::napi_define_properties(self.env, object.raw, 1, &raw const descriptor) };
        ok(status, ())
    }

    /// `null`.
    pub(crate) fn null(self) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the result is ours.
        let status = unsafe { sys::napi_get_null(self.env, &raw mut raw) };
        ok(status, value(raw))
    }

    /// A string.
    pub(crate) fn text(self, text: &str) -> Option<Value<'a>> {
        self.text_of(text.as_bytes())
    }

    /// A string, of bytes that should be UTF-8: what is not becomes U+FFFD.
    pub(crate) fn text_of(self, text: &[u8]) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the text is `text.len()` bytes.
        let status = unsafe {
            sys::napi_create_string_utf8(
                self.env,
                text.as_ptr().cast(),
                text.len().cast_signed(),
                &raw mut raw,
            )
        };
        ok(status, value(raw))
    }
}

/// Lets go of what kept the words of a buffer.
///
/// # Safety
/// `owner` comes from `Box::<T>::into_raw`, and nothing else owns it.
unsafe extern "C" fn finalize<T>(_env: napi_env, _words: *mut c_void, owner: *mut c_void) {
    // SAFETY: it comes from `Box::into_raw`, and nothing else owns it, by the obligation.
    drop(unsafe { Box::from_raw(owner.cast::<T>()) });
}
