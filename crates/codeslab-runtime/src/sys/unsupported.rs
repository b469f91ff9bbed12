//! Systems on which nothing is started by name: functions are called, and nothing else is known.
#![allow(unsafe_code)] // The functions are as unsafe as where there is a system.

use crate::error::{Exception, Result};
use crate::program::{Convention, FunctionTable};
use crate::symbol::{ProcessLocation, ProcessSymbolKind};
use codeslab::Address;
use std::convert::Infallible;
use std::ffi::{CStr, c_void};

pub(crate) use super::nothing_for_threads::{
    HAS_KEYS, ThreadLocals, create_key, delete_key, processor_features, take_value,
};

/// How many libraries this process has loaded and unloaded so far: nothing counts them.
#[must_use]
pub const fn loads() -> Option<(u64, u64)> {
    None
}

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

/// Where `__cxa_atexit` is that goes by handles: nothing is registered here.
pub(crate) const fn own_cxa_atexit() -> Option<u64> {
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

pub(crate) const fn location(_at: Address) -> Option<ProcessLocation> {
    None
}

pub(crate) fn kinds_of(symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
    vec![ProcessSymbolKind::Unknown; symbols.len()]
}

/// A shared library: none is ever opened.
#[derive(Debug)]
pub(crate) struct Library(Infallible);

impl Library {
    pub(crate) fn open(_path: &CStr) -> Result<Self, String> {
        Err("this system opens no shared libraries".to_owned())
    }

    pub(crate) const fn symbol(&self, _name: &CStr) -> Option<Address> {
        match self.0 {}
    }

    pub(crate) const fn symbol_version(&self, _name: &CStr, _version: &CStr) -> Option<Address> {
        match self.0 {}
    }
}
