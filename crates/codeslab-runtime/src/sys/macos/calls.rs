//! Calls of initialisers and finalisers, with what the dynamic linker passes to those of files that it loads: the process's arguments and
//! its environment.
//!
//! Source: `crt_externs.h`; dyld's `Loader::runInitializers`.
//! <https://github.com/apple-oss-distributions/dyld>
#![allow(unsafe_code)] // It calls what was linked.

use crate::error::{Exception, Result};
use crate::program::Convention;
use codeslab::Address;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

type Strings = *const *const c_char;
type Initializer = unsafe extern "C-unwind" fn(c_int, Strings, Strings);
type Resolver = unsafe extern "C-unwind" fn() -> *const c_void;
type Finalizer = unsafe extern "C-unwind" fn();

unsafe extern "C" {
    safe fn _NSGetArgc() -> *const c_int;
    safe fn _NSGetArgv() -> *const Strings;
    safe fn _NSGetEnviron() -> *const Strings;
}

/// Runs `call`. What it throws goes on to the caller.
///
/// # Errors
/// None here.
///
/// # Safety
/// What `call` runs is sound.
pub unsafe fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, Exception> {
    Ok(call())
}

/// Calls an initialiser with the arguments and the environment of the process.
///
/// # Errors
/// None here.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
#[expect(
    clippy::unnecessary_wraps,
    reason = "on other systems what unwinds out of it is an error"
)]
pub(crate) unsafe fn call_initializer(
    function: Address,
    _convention: Convention,
) -> Result<(), Exception> {
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Initializer>(pointer(function)) };
    // SAFETY: the C library keeps it; it is set before the program begins.
    let count = unsafe { *_NSGetArgc() };
    // SAFETY: the C library keeps it; it is set before the program begins.
    let arguments = unsafe { *_NSGetArgv() };
    // SAFETY: the C library keeps this variable; it is read as every program reads it.
    let environment = unsafe { *_NSGetEnviron() };
    // SAFETY: it is the entry of sound code by the caller's obligation; arguments and environment end with null and stay.
    unsafe { function(count, arguments, environment) };
    Ok(())
}

/// Calls a finaliser.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_finalizer(function: Address, _convention: Convention) {
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Finalizer>(pointer(function)) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    unsafe { function() };
}

/// Calls the resolver of an indirect function, and gives the address that it chooses.
///
/// # Errors
/// None here.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
#[expect(
    clippy::unnecessary_wraps,
    reason = "on other systems what unwinds out of it is an error"
)]
pub(crate) unsafe fn call_resolver(function: Address) -> Result<Address, Exception> {
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Resolver>(pointer(function)) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    let chosen = unsafe { function() };
    Ok(Address::new(chosen.expose_provenance() as u64))
}

fn pointer(function: Address) -> *const () {
    ptr::with_exposed_provenance(function.value() as usize)
}
