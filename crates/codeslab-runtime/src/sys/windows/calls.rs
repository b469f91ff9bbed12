//! Calls of initialisers and finalisers.
#![allow(unsafe_code)] // It calls what was linked.

use crate::error::{Exception, Result};
use crate::program::Convention;
use codeslab::Address;
use std::ffi::c_void;
use std::ptr;

type Function = unsafe extern "C-unwind" fn();
type Resolver = unsafe extern "C-unwind" fn() -> *const c_void;

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

/// Calls an initialiser, which takes nothing.
///
/// # Errors
/// None here.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
#[expect(
    clippy::unnecessary_wraps,
    reason = "where exceptions are caught, there are some"
)]
pub(crate) unsafe fn call_initializer(
    function: Address,
    _convention: Convention,
) -> Result<(), Exception> {
    // SAFETY: the obligation is the same. A function without arguments is called alike in all conventions of a processor, but for room on
    // the stack that this one leaves for it and others do not ask for.
    unsafe { call(function) };
    Ok(())
}

/// Calls a finaliser.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_finalizer(function: Address, _convention: Convention) {
    // SAFETY: the obligation is the same.
    unsafe { call(function) };
}

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
unsafe fn call(function: Address) {
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Function>(function) };
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
    reason = "where exceptions are caught, there are some"
)]
pub(crate) unsafe fn call_resolver(function: Address) -> Result<Address, Exception> {
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Resolver>(function) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    let chosen = unsafe { function() };
    Ok(Address::new(chosen.expose_provenance() as u64))
}
