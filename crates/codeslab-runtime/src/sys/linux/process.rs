//! Calls of initialisers and finalisers, with what every program is started with.
//!
//! Source: System V ABI, "Initialization and Termination Functions".
#![allow(unsafe_code)] // It calls what was linked.

use super::exceptions::guarded;
use super::machine::WindowsFunction;
use super::symbols::function;
use crate::error::{Exception, Result};
use crate::program::Convention;
use codeslab::Address;
use std::ffi::{CString, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::sync::OnceLock;

type Initializer = unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char);
type Resolver = unsafe extern "C-unwind" fn() -> *const c_void;
type Features = unsafe extern "C" fn() -> *const c_void;
type Finalizer = unsafe extern "C-unwind" fn();

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The arguments of the process, as C has them.
struct Arguments(Vec<*const c_char>);

// SAFETY: the pointers are to strings that are never changed nor freed.
unsafe impl Send for Arguments {}
// SAFETY: the pointers are to strings that are never changed nor freed.
unsafe impl Sync for Arguments {}

/// A copy that stays: initialisers keep what they are passed.
fn arguments() -> &'static Arguments {
    static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();
    ARGUMENTS.get_or_init(|| {
        let all = all_arguments().into_iter();
        let all = all.filter_map(|argument| CString::new(argument.into_vec()).ok());
        let all = all.map(|argument| argument.into_raw().cast_const());
        Arguments(all.chain([ptr::null()]).collect())
    })
}

/// musl tells a library of no arguments, so in one Rust knows none; the kernel does.
fn all_arguments() -> Vec<OsString> {
    let known: Vec<OsString> = std::env::args_os().collect();
    if !known.is_empty() {
        return known;
    }
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let ended = line.strip_suffix(&[0]).unwrap_or_default();
    let words = ended.split(|byte| *byte == 0);
    words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect()
}

/// Where glibc keeps what it knows of the processor, which functions of its static libraries look at to choose their bodies.
pub(crate) fn processor_features() -> Option<u64> {
    // SAFETY: where glibc has it, it takes nothing and gives a pointer.
    let features = unsafe { function::<Features>("_dl_x86_get_cpu_features") }?;
    // SAFETY: it only says where the data is, which is there since before the program began.
    let features = unsafe { features() };
    (!features.is_null()).then(|| features.addr() as u64)
}

/// Calls an initialiser with the arguments and the environment of the process; one of Windows without.
///
/// # Errors
/// The exception by which it was left.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_initializer(
    function: Address,
    convention: Convention,
) -> Result<(), Exception> {
    if convention == Convention::Windows {
        // SAFETY: the obligation is the same.
        return unsafe { call_of_windows(function) };
    }
    let arguments = &arguments().0;
    let count = c_int::try_from(arguments.len() - 1).unwrap_or(c_int::MAX);
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Initializer>(function) };
    // SAFETY: the C library keeps this variable; it is read as every program reads it.
    let environment = unsafe { environ };
    // SAFETY: it is the entry of sound code by the caller's obligation; arguments and environment end with null and stay.
    let call = || unsafe { function(count, arguments.as_ptr(), environment) };
    // SAFETY: what is called is sound by the caller's obligation.
    unsafe { guarded(call) }
}

/// Calls a function of Windows that takes nothing.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
unsafe fn call_of_windows(function: Address) -> Result<(), Exception> {
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), WindowsFunction>(function) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    let call = || unsafe { function() };
    // SAFETY: what is called is sound by the caller's obligation.
    unsafe { guarded(call) }
}

/// Calls the resolver of an indirect function, and gives the address that it chooses.
///
/// # Errors
/// The exception by which it was left.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_resolver(function: Address) -> Result<Address, Exception> {
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Resolver>(function) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    let call = || unsafe { function() };
    // SAFETY: what is called is sound by the caller's obligation.
    let chosen = unsafe { guarded(call) }?;
    Ok(Address::new(chosen.expose_provenance() as u64))
}

/// Calls a finaliser. An exception that leaves it ends there, since there is nothing that could be undone.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_finalizer(function: Address, convention: Convention) {
    if convention == Convention::Windows {
        // SAFETY: the obligation is the same.
        drop(unsafe { call_of_windows(function) });
        return;
    }
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Finalizer>(function) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    let call = || unsafe { function() };
    // SAFETY: what is called is sound by the caller's obligation.
    drop(unsafe { guarded(call) });
}
