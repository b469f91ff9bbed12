//! The ends of images, threads and the process.
//!
//! Every module on Windows has a list of its own of what runs at its end, in the part of the run-time library that is linked into it. Images
//! have theirs here, by their handles: `atexit` of an image goes to `__cxa_atexit`, which is the name that it has elsewhere. Threads tell of
//! their end by fiber-local storage.
//!
//! Source: <https://learn.microsoft.com/en-us/windows/win32/api/fibersapi/nf-fibersapi-flsalloc>.
#![allow(unsafe_code)] // It calls the system, and what images register.

use codeslab::Address;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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

/// A name, and the address of what it stands for.
type Function = (&'static str, fn() -> u64);

/// Functions that are provided on this system only.
pub(crate) const FUNCTIONS: [Function; 1] = [("__cxa_atexit", || cxa_atexit as *const () as u64)];

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

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> c_int;
}

/// Has `function` called when the process exits.
pub(crate) fn at_process_exit(function: extern "C" fn()) {
    // SAFETY: it is a function of this module, which stays loaded. If there is no memory for it, it is not called.
    unsafe { atexit(function) };
}

type Ended = unsafe extern "system" fn(*const c_void);

#[link(name = "kernel32")]
unsafe extern "system" {
    fn FlsAlloc(ended: Ended) -> u32;
    fn FlsGetValue(index: u32) -> *mut c_void;
    fn FlsSetValue(index: u32, value: *const c_void) -> c_int;
}

/// What `FlsAlloc` gives if there is no more.
const NO_INDEX: u32 = u32::MAX;

/// The function that is called when threads end: there is one only.
static ON_THREAD_EXIT: OnceLock<extern "C" fn()> = OnceLock::new();

/// Has `ended` called when this thread ends, as often as this was called. `false` if that cannot be.
pub(crate) fn at_thread_exit(ended: extern "C" fn()) -> bool {
    static INDEX: OnceLock<u32> = OnceLock::new();
    ON_THREAD_EXIT.get_or_init(|| ended);
    // SAFETY: the function stays loaded with this module, which is never unloaded once it was used.
    let index = *INDEX.get_or_init(|| unsafe { FlsAlloc(call_ended) });
    if index == NO_INDEX {
        return false;
    }
    // SAFETY: the index was allocated.
    let count = unsafe { FlsGetValue(index) }.addr() + 1;
    // SAFETY: the index was allocated, and the value is a number to which nothing is done but counting.
    unsafe { FlsSetValue(index, ptr::without_provenance(count)) != 0 }
}

/// The system calls it at the end of a thread that has a number.
unsafe extern "system" fn call_ended(count: *const c_void) {
    if let Some(ended) = ON_THREAD_EXIT.get() {
        (0..count.addr()).for_each(|_| ended());
    }
}

/// Objects that are not of an image are for the module that they are of.
///
/// # Safety
/// `destructor` may be called with `object` when this thread ends, and is sound.
pub(crate) unsafe fn destroy_at_thread_exit(
    _destructor: unsafe extern "C-unwind" fn(*mut c_void),
    _object: *mut c_void,
    _handle: *const c_void,
) -> c_int {
    -1
}
