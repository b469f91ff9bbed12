//! Objects that stand for something native, and what tells the garbage collector about it.
//!
//! Node runs finalizers when the event loop turns, so a loop that never yields keeps everything. A weak reference however is
//! empty as soon as a collection has found its object unreachable. `handles` sweeps by them; and since V8 cannot see what
//! lies outside of its heap, it is told how much that is.

use super::{Scope, Value, ok, value};
use napi::sys::{self, Status, napi_env, napi_ref};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

/// More than any heap may have: reporting it makes V8 collect at once.
const PRESSURE: i64 = 1 << 40;

/// A reference that does not keep its object.
#[derive(Debug)]
pub(crate) struct WeakReference {
    // Invariant: a reference of the environment that made it, not deleted.
    raw: napi_ref,
    /// References belong to a thread.
    thread: PhantomData<*const ()>,
}

/// What is told about objects that have been collected.
pub(crate) trait Collected: 'static {
    /// The object with this word has been collected. Called once for each, or when the environment ends.
    fn collected(&self, environment: napi_env, word: u64);
}

impl<'a> Scope<'a> {
    /// An object that JavaScript can hold and not look into, with a word that says what it stands for.
    pub(crate) fn external(self, word: u64) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and nothing treats the word as a pointer.
        let status = unsafe {
            sys::napi_create_external(
                self.env,
                ptr::without_provenance_mut(word as usize),
                None,
                ptr::null_mut(),
                &raw mut raw,
            )
        };
        ok(status, value(raw))
    }

    /// The word of an external; any word if another module made it.
    pub(crate) fn external_word(self, external: Value<'a>) -> Option<u64> {
        let mut data = ptr::null_mut();
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_get_value_external(self.env, external.raw, &raw mut data) };
        ok(status, data.addr() as u64)
    }

    /// A weak reference to `object`. Once that has been collected, `observer` is told `word`.
    pub(crate) fn observe<T: Collected>(
        self,
        object: Value<'a>,
        word: u64,
        observer: Rc<T>,
    ) -> Option<WeakReference> {
        let mut raw = ptr::null_mut();
        let observer = Rc::into_raw(observer).cast_mut();
        // SAFETY: environment and handle are live by their invariants, and `finalize` takes what is passed for it here.
        let status = unsafe {
            sys::napi_add_finalizer(
                self.env,
                object.raw,
                ptr::without_provenance_mut(word as usize),
                Some(finalize::<T>),
                observer.cast(),
                &raw mut raw,
            )
        };
        if status != Status::napi_ok {
            // SAFETY: it comes from `into_raw` above, and Node has not taken it.
            drop(unsafe { Rc::from_raw(observer) });
            return None;
        }
        Some(WeakReference::of(raw))
    }

    /// The object of a reference; `None` if it has been collected.
    pub(super) fn referent(self, reference: &WeakReference) -> Option<Value<'a>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live, and the reference is one of it and not deleted, by their invariants.
        let status =
            unsafe { sys::napi_get_reference_value(self.env, reference.raw, &raw mut raw) };
        ok(status, value(raw)).filter(|_| !raw.is_null())
    }

    /// Whether the object of a reference has been collected.
    pub(crate) fn is_collected(self, reference: &WeakReference) -> bool {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is live, and the reference is one of it and not deleted, by their invariants.
        let status =
            unsafe { sys::napi_get_reference_value(self.env, reference.raw, &raw mut raw) };
        status == Status::napi_ok && raw.is_null()
    }

    /// Runs `work`, and lets go of the handles that it made.
    pub(crate) fn nested<R>(self, work: impl FnOnce() -> R) -> R {
        let mut scope = ptr::null_mut();
        // SAFETY: the environment is live by its invariant, and the result is ours.
        let status = unsafe { sys::napi_open_handle_scope(self.env, &raw mut scope) };
        let result = work();
        if status == Status::napi_ok {
            // SAFETY: it was opened above, and what was opened since is closed.
            unsafe { sys::napi_close_handle_scope(self.env, scope) };
        }
        result
    }

    /// Tells V8 that so many bytes more, or fewer, stay while its objects do. It may collect then.
    pub(crate) fn adjust_external_memory(self, change: i64) {
        adjust_external_memory(self.env, change);
    }

    /// Has V8 collect what is unreachable now. No JavaScript runs meanwhile: finalizers wait for the event loop.
    pub(crate) fn collect_garbage(self) {
        self.adjust_external_memory(PRESSURE);
        self.adjust_external_memory(-PRESSURE);
    }
}

/// Tells V8 that so many bytes more, or fewer, stay while its objects do: for finalizers, which have no scope.
pub(crate) fn adjust_external_memory(environment: napi_env, change: i64) {
    let mut total = 0;
    // SAFETY: the environment is live: a scope vouches for it, or Node, which runs a finalizer in it.
    unsafe { sys::napi_adjust_external_memory(environment, change, &raw mut total) };
}

impl WeakReference {
    /// Of a reference that was made just now.
    pub(super) const fn of(raw: napi_ref) -> Self {
        Self {
            raw,
            thread: PhantomData,
        }
    }

    /// Gives it back before its object has been collected, so that the observer is not told.
    ///
    /// # Safety
    /// `observer` is what [`Scope::observe`] made it with.
    pub(crate) unsafe fn cancel<T: Collected>(self, environment: napi_env, observer: &Rc<T>) {
        self.delete(environment);
        // SAFETY: `observe` has left a count of this observer with Node, by the obligation, and Node calls no finalizer of a reference that
        // was deleted.
        unsafe { Rc::decrement_strong_count(Rc::as_ptr(observer)) };
    }

    /// Gives it back, once its object has been collected.
    pub(crate) fn delete(self, environment: napi_env) {
        // SAFETY: it is a reference of this environment and not deleted, by its invariant, and this consumes it.
        unsafe { sys::napi_delete_reference(environment, self.raw) };
    }
}

/// Tells an observer that an object has been collected.
///
/// # Safety
/// `observer` comes from `Rc::<T>::into_raw`, and nothing else owns that count.
unsafe extern "C" fn finalize<T: Collected>(
    environment: napi_env,
    data: *mut c_void,
    observer: *mut c_void,
) {
    // SAFETY: it comes from `Rc::<T>::into_raw`, and nothing else owns that count, by the obligation.
    let observer = unsafe { Rc::from_raw(observer.cast::<T>().cast_const()) };
    observer.collected(environment, data.addr() as u64);
}
