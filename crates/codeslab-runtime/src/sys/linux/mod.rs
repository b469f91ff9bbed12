//! Linux with its C libraries.
//!
//! Source: System V ABI, "Initialization and Termination Functions"; Itanium C++ ABI, §3.3.6 "DSO Object Destruction API".
#![allow(unsafe_code)] // It calls what was linked, and the C library.

mod machine;
mod shared_object;
mod thread_local;

use codeslab::Address;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::sync::OnceLock;

pub(crate) use thread_local::ThreadLocals;

type Initializer = unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char);
type Resolver = unsafe extern "C-unwind" fn() -> *const c_void;
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
        let all = std::env::args_os();
        let all = all.filter_map(|argument| CString::new(argument.into_vec()).ok());
        let all = all.map(|argument| argument.into_raw().cast_const());
        Arguments(all.chain([ptr::null()]).collect())
    })
}

/// Calls an initialiser with the arguments and the environment of the process.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_initializer(function: Address) {
    let arguments = &arguments().0;
    let count = c_int::try_from(arguments.len() - 1).unwrap_or(c_int::MAX);
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Initializer>(function) };
    // SAFETY: the C library keeps this variable; it is read as every program reads it.
    let environment = unsafe { environ };
    // SAFETY: it is the entry of sound code by the caller's obligation; arguments and environment end with null and stay.
    unsafe { function(count, arguments.as_ptr(), environment) };
}

/// Calls the resolver of an indirect function, and gives the address that it chooses.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_resolver(function: Address) -> Address {
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Resolver>(function) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    let chosen = unsafe { function() };
    Address::new(chosen.expose_provenance() as u64)
}

/// Calls a finaliser.
///
/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_finalizer(function: Address) {
    let function: *const () = ptr::with_exposed_provenance(function.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers, and the entry of code is not null.
    let function = unsafe { std::mem::transmute::<*const (), Finalizer>(function) };
    // SAFETY: it is the entry of sound code by the caller's obligation.
    unsafe { function() };
}

/// Runs and forgets all that was registered with the C library by `handle`, the latest first: what `__cxa_atexit` registered runs, what
/// waits for a quick exit or a fork is forgotten.
///
/// # Safety
/// What was registered by this handle may be executed now, and is sound.
pub(crate) unsafe fn finalize_registered(handle: Address) {
    unsafe extern "C-unwind" {
        fn __cxa_finalize(handle: *const c_void);
    }
    let handle = ptr::without_provenance(handle.value() as usize);
    // SAFETY: a handle that is not null means what was registered by it, which is sound by the caller's obligation.
    unsafe { __cxa_finalize(handle) };
}
