//! What is registered with a C library for the ends of images and of the process, on systems that have the functions of the Itanium C++ ABI.
//!
//! Source: Itanium C++ ABI, §3.3.6 "DSO Object Destruction API".
#![allow(unsafe_code)] // It calls the C library.

#[cfg(not(target_env = "musl"))]
pub(crate) use by_handle::{finalize_registered, own_cxa_atexit};

/// What C libraries do that forget what was registered by a handle.
#[cfg(not(target_env = "musl"))]
mod by_handle {
    use codeslab::Address;
    use std::ffi::c_void;
    use std::ptr;

    unsafe extern "C-unwind" {
        fn __cxa_finalize(handle: *const c_void);
    }

    /// Runs and forgets all that was registered with the C library by `handle`, the latest first.
    ///
    /// # Safety
    /// What was registered by this handle may be executed now, and is sound.
    pub(crate) unsafe fn finalize_registered(handle: Address) {
        let handle = ptr::without_provenance(handle.value() as usize);
        // SAFETY: a handle that is not null means what was registered by it, which is sound by the caller's obligation.
        unsafe { __cxa_finalize(handle) };
    }

    /// Where `__cxa_atexit` is that goes by handles; `None` where the process's does.
    pub(crate) const fn own_cxa_atexit() -> Option<u64> {
        None
    }
}

/// Has `function` called when the process exits.
pub(crate) fn at_process_exit(function: extern "C" fn()) {
    // SAFETY: it is a function of this crate, which stays loaded. If there is no memory for it, it is not called.
    unsafe { libc::atexit(function) };
}
