//! The ends of images, threads and the process.
//!
//! What images register for theirs is listed by codeslab itself (`listed`). Threads tell of their end by fiber-local storage.
//!
//! Source: <https://learn.microsoft.com/en-us/windows/win32/api/fibersapi/nf-fibersapi-flsalloc>.
#![allow(unsafe_code)] // It calls the system.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// A name, and the address of what it stands for.
type Function = (&'static str, fn() -> u64);

/// Functions that are provided on this system only: none.
pub(crate) const FUNCTIONS: [Function; 0] = [];

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
