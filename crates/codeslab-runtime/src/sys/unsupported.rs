//! Systems on which nothing is started by name: functions are called, and nothing else is known.
#![allow(unsafe_code)] // The functions are as unsafe as where there is a system.

use crate::error::{Error, Exception, Result};
use crate::program::{Convention, Destructor, FunctionTable};
use crate::storage::{Question, Template, Variable};
use codeslab::Address;
use std::ffi::c_void;

/// How functions of the process are called.
pub const CONVENTION: Convention = Convention::SystemV;

/// Functions that are provided on this system only.
pub(crate) const FUNCTIONS: [(&str, fn() -> u64); 0] = [];

/// Unwind tables that the process knows of: none.
#[derive(Debug, Default)]
pub(crate) struct Tables;

impl Tables {
    /// # Safety
    /// Each of `tables` is well-formed, has an end, and stays as it is while the value lives.
    pub(crate) unsafe fn register(
        _tables: &[Address],
        _code: Address,
        _functions: Option<&FunctionTable>,
    ) -> Self {
        Self
    }
}

/// # Safety
/// What `call` runs is sound.
pub unsafe fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, Exception> {
    Ok(call())
}

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_initializer(
    _function: Address,
    _convention: Convention,
) -> Result<(), Exception> {
    Ok(())
}

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_finalizer(_function: Address, _convention: Convention) {}

/// # Safety
/// What was registered by this handle may be executed now, and is sound.
pub(crate) unsafe fn finalize_registered(_handle: Address) {}

pub(crate) const fn processor_features() -> Option<u64> {
    None
}

pub(crate) fn at_process_exit(_function: extern "C" fn()) {}

/// Whether `function` will be called when this thread ends: never here.
pub(crate) fn at_thread_exit(_function: extern "C" fn()) -> bool {
    false
}

/// # Safety
/// `function` may be called with `data` when the image with this handle ends.
pub(crate) unsafe fn register_for_image(
    _function: unsafe extern "C-unwind" fn(*mut c_void, i32),
    _data: *mut c_void,
    _handle: Address,
) -> i32 {
    -1
}

/// # Safety
/// `destructor` may be called with `object` when this thread ends, and is sound.
pub(crate) unsafe fn destroy_at_thread_exit(
    _destructor: unsafe extern "C-unwind" fn(*mut c_void),
    _object: *mut c_void,
    _handle: *const c_void,
) -> i32 {
    -1
}

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_resolver(function: Address) -> Result<Address, Exception> {
    Ok(function)
}

/// No thread gets anything.
#[derive(Debug)]
pub(crate) struct ThreadLocals;

impl ThreadLocals {
    pub(crate) fn provide(
        _: &Template<'_>,
        _: &[(Variable<'_>, Question)],
        _: &[&str],
        _: Option<&str>,
    ) -> Result<(Self, Vec<[u64; 2]>)> {
        Err(Error::Unsupported {
            what: "thread-local variables",
        })
    }
}

/// Whether threads keep values by keys: not by those of POSIX.
pub(crate) const HAS_KEYS: bool = false;

/// A new key: there is none.
///
/// # Errors
/// Always.
///
/// # Safety
/// `destructor` may be called with a value of the key when a thread ends.
pub(crate) unsafe fn create_key(_destructor: Option<Destructor>) -> Result<u32, i32> {
    Err(-1)
}

/// Deletes a key: there is none.
pub(crate) const fn delete_key(_key: u32) -> i32 {
    -1
}

/// What this thread has by a key: nothing.
pub(crate) const fn take_value(_key: u32) -> *mut c_void {
    std::ptr::null_mut()
}
