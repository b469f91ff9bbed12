//! What images register for their ends, where no C library has a list of it by handles.
//!
//! Every module on Windows has a list of its own, in the part of the run-time library that is linked into it; musl never unloads a library, so
//! it takes handles, forgets them and runs everything when the process exits, when an image may be gone. Images have their list here:
//! `atexit` of an image goes to `__cxa_atexit`, and that to this one.
#![allow(unsafe_code)] // It calls what images register.

use codeslab::Address;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Handler = unsafe extern "C-unwind" fn(*mut c_void, c_int);

/// What runs at the end of an image.
struct Registered {
    // Invariant: `function` may be called with `data` at the end of the image, by the obligations of `register_for_image`.
    function: Handler,
    data: usize,
}

/// By the handle of the image, the latest last.
static REGISTERED: Mutex<BTreeMap<u64, Vec<Registered>>> = Mutex::new(BTreeMap::new());

fn registered() -> MutexGuard<'static, BTreeMap<u64, Vec<Registered>>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where `__cxa_atexit` is that goes by handles; `None` where the process's does.
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere the process's goes by handles"
)]
pub(crate) fn own_cxa_atexit() -> Option<u64> {
    Some(cxa_atexit as *const () as u64)
}

/// `__cxa_atexit` for images, which goes by their handles.
///
/// # Safety
/// `function` may be called with `data` when the image with this handle ends.
unsafe extern "C" fn cxa_atexit(
    function: Handler,
    data: *mut c_void,
    handle: *const c_void,
) -> c_int {
    let handle = Address::new(handle.addr() as u64);
    // SAFETY: the obligation is the same.
    unsafe { register_for_image(function, data, handle) }
}

/// Has `function` called with `data` when what was registered by `handle` is finalized.
///
/// # Safety
/// `function` may be called with `data` then.
pub(crate) unsafe fn register_for_image(
    function: Handler,
    data: *mut c_void,
    handle: Address,
) -> c_int {
    let data = data.expose_provenance();
    let mut all = registered();
    let list = all.entry(handle.value()).or_default();
    list.push(Registered { function, data });
    0
}

/// Runs and forgets all that was registered by `handle`, the latest first.
///
/// # Safety
/// What was registered by this handle may be executed now, and is sound.
pub(crate) unsafe fn finalize_registered(handle: Address) {
    // What runs may register more.
    let take = || registered().get_mut(&handle.value())?.pop();
    while let Some(Registered { function, data }) = take() {
        let data = ptr::with_exposed_provenance_mut(data);
        // SAFETY: it may be called now, by the obligation and the invariant, and is no longer registered.
        unsafe { function(data, 0) };
    }
    registered().remove(&handle.value());
}
