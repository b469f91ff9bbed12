//! Calls on a thread of libuv's pool, which JavaScript gets promises of.
//!
//! Arguments were read on the thread of JavaScript, and the result is made there when the event loop says that the call has returned:
//! the pool's thread has only words. `function` says what is called and what stays meanwhile.
#![allow(unsafe_code)] // It hands a pointer through Node.

use crate::node_api::{Scope, Value};
use codeslab_runtime::Exception;
use napi::sys::{self, Status, napi_async_work, napi_deferred, napi_env, napi_status, napi_value};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// The word of a result and, if it is a structure, its bytes; or the exception by which the code was left.
pub(crate) type Called = Result<(u64, Vec<u8>), Exception>;

/// Makes the call.
type Make = Box<dyn FnMut() -> Called>;

/// Lets go of what a call needed, and makes the value of its result.
type Finish = Box<dyn FnOnce(Scope<'_>, Called) -> Option<napi_value>>;

/// A call that is made later.
pub(crate) struct Later {
    /// Makes it, on any thread. What it has captured is used by it alone until it has returned.
    pub(crate) call: Make,
    /// Lets go of what the call needed, and makes the result.
    pub(crate) finish: Finish,
}

/// What Node carries to the pool and back.
struct Work {
    later: Later,
    called: Called,
    deferred: napi_deferred,
    handle: napi_async_work,
}

/// Begins a call. `None` if Node refused.
pub(crate) fn start(scope: Scope<'_>, later: Later) -> Option<Value<'_>> {
    let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the environment is live by its invariant, and the results are ours.
    let status =
        unsafe { sys::napi_create_promise(scope.env(), &raw mut deferred, &raw mut promise) };
    (status == Status::napi_ok).then_some(())?;
    let name = scope.text("codeslab call")?.into_raw();
    let work = Box::into_raw(Box::new(Work {
        later,
        called: Ok((0, Vec::new())),
        deferred,
        handle: ptr::null_mut(),
    }));
    // SAFETY: it was just made, and nothing else has it.
    let handle = unsafe { &raw mut (*work).handle };
    // SAFETY: the environment is live, and `execute` and `complete` treat the data as what it is.
    let status = unsafe {
        sys::napi_create_async_work(
            scope.env(),
            ptr::null_mut(),
            name,
            Some(execute),
            Some(complete),
            work.cast(),
            handle,
        )
    };
    let queue = || {
        // SAFETY: `napi_create_async_work` has written it.
        let handle = unsafe { *handle };
        // SAFETY: it was made for this environment, and is queued once.
        unsafe { sys::napi_queue_async_work(scope.env(), handle) }
    };
    let is_queued = status == Status::napi_ok && queue() == Status::napi_ok;
    if !is_queued {
        // SAFETY: Node has not taken it.
        drop(unsafe { Box::from_raw(work) });
        return None;
    }
    // SAFETY: it is a handle of this scope.
    Some(unsafe { Value::from_raw(promise) })
}

/// On a thread of the pool.
unsafe extern "C" fn execute(_env: napi_env, work: *mut c_void) {
    // SAFETY: it is the work that was queued, which nothing else uses before it is complete.
    let work = unsafe { &mut *work.cast::<Work>() };
    work.called = (work.later.call)();
}

/// On the thread of JavaScript.
unsafe extern "C" fn complete(env: napi_env, status: napi_status, work: *mut c_void) {
    // SAFETY: it is the work that was queued, which Node is done with.
    let work = *unsafe { Box::from_raw(work.cast::<Work>()) };
    // SAFETY: Node runs this on the thread of the environment.
    let scope = unsafe { Scope::new(env) };
    let finish = AssertUnwindSafe(|| (work.later.finish)(scope, work.called));
    let value = catch_unwind(finish)
        .ok()
        .flatten()
        .filter(|_| status == Status::napi_ok);
    if let Some(value) = value {
        // SAFETY: environment, promise and value are live, and the promise is settled once.
        unsafe { sys::napi_resolve_deferred(env, work.deferred, value) };
    } else {
        let reason = scope.take_exception().or_else(|| scope.undefined());
        let reason = reason.map_or(ptr::null_mut(), Value::into_raw);
        // SAFETY: environment, promise and reason are live, and the promise is settled once.
        unsafe { sys::napi_reject_deferred(env, work.deferred, reason) };
    }
    // SAFETY: it is complete.
    unsafe { sys::napi_delete_async_work(env, work.handle) };
}
