//! Where V8 keeps machine code, for debuggers: how to get through frames of JavaScript.
//!
//! All of V8's code keeps frame pointers, and Node's executable has no unwind information for it. V8 says where it lies: the builtins in the
//! executable, everything compiled in the code range of the isolate.
#![allow(unsafe_code)] // It calls V8's C++ functions by their addresses.

use super::symbols::find;
use codeslab::Address;
use codeslab_debug::Region;
use std::ffi::c_void;
use std::ptr;

/// `void Isolate::GetCodeRange(void** start, size_t* length)`, and the same of builtins.
type GetRange =
    unsafe extern "C" fn(isolate: *mut c_void, start: *mut *mut c_void, length: *mut usize);

/// The names of both.
const NAMES: [&str; 2] = [
    "_ZN2v87Isolate12GetCodeRangeEPPvPm",
    "_ZN2v87Isolate20GetEmbeddedCodeRangeEPPKvPm",
];

/// The regions of the current isolate; none where V8 does not say.
pub(crate) fn regions() -> Vec<Region> {
    type TryGetCurrent = unsafe extern "C" fn() -> *mut c_void;
    // SAFETY: `Isolate* Isolate::TryGetCurrent()`.
    let current: Option<TryGetCurrent> = unsafe { find("_ZN2v87Isolate13TryGetCurrentEv") };
    // SAFETY: it has no requirements.
    let isolate = current.map_or(ptr::null_mut(), |current| unsafe { current() });
    if isolate.is_null() {
        return Vec::new();
    }
    let region = |name: &str| {
        let (mut start, mut length) = (ptr::null_mut(), 0);
        // SAFETY: both functions have this type.
        let get: GetRange = unsafe { find(name) }?;
        // SAFETY: the isolate is the current one, and both results can be written.
        unsafe { get(isolate, &raw mut start, &raw mut length) };
        (length > 0).then(|| Region {
            address: Address::new(start.addr() as u64),
            size: length as u64,
        })
    };
    NAMES.into_iter().filter_map(region).collect()
}
