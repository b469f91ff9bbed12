//! Exceptions of other languages: calls that stop them, and what they say.
//!
//! The frame of `arch` is found by the unwinder, which asks the personality routine here what to do. It stops every exception but Rust's own
//! panics, which go on to a Rust frame, and what is no exception: a thread that ends or is cancelled unwinds too, and must not be stopped. What
//! was thrown is asked for its type and its message by the C++ runtime that made it, is destroyed, and becomes an [`Exception`].
//!
//! Source: Itanium C++ ABI: Exception Handling (<https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html>); libsupc++'s `tinfo.h`.
#![allow(unsafe_code)] // It calls the unwinder and the C++ runtime.

use super::catch::{RESULT_REGISTER, call_catching};
use super::symbols::function;
use crate::error::{Exception, Result};
use codeslab::process_symbol;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

/// What the unwinder is doing, as bits.
const SEARCH: c_int = 1;
const IS_HANDLER: c_int = 4;
const FORCED: c_int = 8;

/// What it is to do, as numbers.
const FOUND: c_int = 6;
const INSTALL: c_int = 7;
const CONTINUE: c_int = 8;

/// The classes of exceptions: vendor and language, and for C++ whether it only refers to another.
const RUST: u64 = u64::from_ne_bytes(*b"MOZ\0RUST");
const GNU_CPP: u64 = u64::from_be_bytes(*b"GNUCC++\0");
const GNU_CPP_DEPENDENT: u64 = GNU_CPP | 1;

type GetData = unsafe extern "C" fn(context: *mut c_void) -> usize;
type SetIp = unsafe extern "C" fn(context: *mut c_void, value: usize);
type SetRegister = unsafe extern "C" fn(context: *mut c_void, index: c_int, value: usize);
type Delete = unsafe extern "C" fn(exception: *mut c_void);

/// The unwinder that this library is linked with. Where that is a part of the library, as on musl, it is for Rust's panics alone: what throws
/// asks the process's, whose contexts another one does not understand.
mod own {
    use super::{c_int, c_void};

    unsafe extern "C" {
        pub(super) fn _Unwind_GetLanguageSpecificData(context: *mut c_void) -> usize;
        pub(super) fn _Unwind_SetIP(context: *mut c_void, value: usize);
        pub(super) fn _Unwind_SetGR(context: *mut c_void, index: c_int, value: usize);
        pub(super) fn _Unwind_DeleteException(exception: *mut c_void);
    }
}

/// The functions of the unwinder that unwinds C++: the process's, or without one the own.
struct Unwinder {
    data: GetData,
    set_ip: SetIp,
    set_register: SetRegister,
}

impl Unwinder {
    fn find() -> Self {
        Self::of_the_process().unwrap_or(Self {
            data: own::_Unwind_GetLanguageSpecificData,
            set_ip: own::_Unwind_SetIP,
            set_register: own::_Unwind_SetGR,
        })
    }

    fn of_the_process() -> Option<Self> {
        Some(Self {
            // SAFETY: the ABI says so of this name, as of those below.
            data: unsafe { function("_Unwind_GetLanguageSpecificData") }?,
            // SAFETY: see the first.
            set_ip: unsafe { function("_Unwind_SetIP") }?,
            // SAFETY: see the first.
            set_register: unsafe { function("_Unwind_SetGR") }?,
        })
    }
}

/// What the unwinder asks about the frame of `call_catching`.
///
/// # Safety
/// The unwinder calls it, for a frame whose language-specific data is the place to continue at.
pub(crate) unsafe extern "C" fn personality(
    _version: c_int,
    actions: c_int,
    class: u64,
    exception: *mut c_void,
    context: *mut c_void,
) -> c_int {
    if actions & FORCED != 0 || class == RUST {
        return CONTINUE;
    }
    if actions & SEARCH != 0 {
        return FOUND;
    }
    if actions & IS_HANDLER == 0 {
        return CONTINUE;
    }
    let unwinder = Unwinder::find();
    // SAFETY: the context is the unwinder's, as are those below.
    let landing = unsafe { (unwinder.data)(context) };
    let result = exception.expose_provenance();
    // SAFETY: the frame returns what is in this register where it is continued.
    unsafe { (unwinder.set_register)(context, RESULT_REGISTER, result) };
    // SAFETY: the frame can be continued there.
    unsafe { (unwinder.set_ip)(context, landing) };
    INSTALL
}

/// A call on its way through the frame that catches.
struct Call<F, R> {
    function: MaybeUninit<F>,
    result: MaybeUninit<R>,
}

/// Runs a call.
///
/// # Safety
/// `data` is a `Call<F, R>` with a function, to which nothing else refers.
unsafe extern "C-unwind" fn run<F: FnOnce() -> R, R>(data: *mut c_void) {
    // SAFETY: that is what it is, by the obligation.
    let call = unsafe { &mut *data.cast::<Call<F, R>>() };
    // SAFETY: it has a function, by the obligation, which nothing reads after this.
    let function = unsafe { call.function.assume_init_read() };
    call.result.write(function());
}

/// Calls foreign code and stops what unwinds out of it. (A panic of Rust's goes on, and so does a thread that ends.)
///
/// # Errors
/// What it threw. It has been destroyed.
///
/// # Safety
/// - Frames between `call` and the code that throws may be unwound: they drop what they own, as frames of Rust do.
/// - What the exception runs when it is destroyed, and when it is asked what it says, is sound.
#[inline]
pub unsafe fn guarded<F: FnOnce() -> R, R>(call: F) -> Result<R, Exception> {
    let mut call = Call {
        function: MaybeUninit::new(call),
        result: MaybeUninit::uninit(),
    };
    let data = (&raw mut call).cast::<c_void>();
    // SAFETY: `run` takes this very type; and `personality` is the one above.
    let exception = unsafe { call_catching(run::<F, R>, data) };
    if exception.is_null() {
        // SAFETY: `run` has returned, so it has written the result.
        return Ok(unsafe { call.result.assume_init() });
    }
    // SAFETY: the unwinder gave it to the frame, which owns it; and it may be asked by the second obligation.
    Err(unsafe { take(exception) })
}

/// Asks an exception what it says, and destroys it.
///
/// # Safety
/// - The caller owns the exception.
/// - What it runs is sound.
#[cold]
unsafe fn take(exception: *mut c_void) -> Exception {
    // SAFETY: every exception begins with its class.
    let class = unsafe { exception.cast::<u64>().read() };
    if let (GNU_CPP | GNU_CPP_DEPENDENT, Some(runtime)) = (class, Runtime::find()) {
        // SAFETY: it is one of this runtime's, by its class, and the caller owns it.
        return unsafe { runtime.take(exception) };
    }
    // SAFETY: the ABI says so of this name.
    let delete: Option<Delete> = unsafe { function("_Unwind_DeleteException") };
    // SAFETY: the caller owns it, and the unwinder knows how its runtime destroys it.
    unsafe { delete.unwrap_or(own::_Unwind_DeleteException)(exception) };
    Exception::default()
}

/// The functions of the C++ runtime in this process.
struct Runtime {
    begin_catch: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    end_catch: unsafe extern "C" fn(),
    current_type: unsafe extern "C" fn() -> *const TypeInfo,
    demangle:
        unsafe extern "C" fn(*const c_char, *mut c_char, *mut usize, *mut c_int) -> *mut c_char,
    /// The type of `std::exception`.
    base: *const TypeInfo,
}

/// `std::type_info`, as GNU's runtime has it.
#[repr(C)]
struct TypeInfo {
    methods: *const TypeMethods,
    name: *const c_char,
}

#[repr(C)]
struct TypeMethods {
    destructors: [*const (); 2],
    is_pointer: *const (),
    is_function: *const (),
    /// Whether a handler for this type takes an object of another, and what that is as this.
    catches: unsafe extern "C" fn(*const TypeInfo, *const TypeInfo, *mut *mut c_void, u32) -> bool,
}

/// `std::exception`.
#[repr(C)]
struct Base {
    methods: *const BaseMethods,
}

#[repr(C)]
struct BaseMethods {
    destructors: [*const (); 2],
    what: unsafe extern "C" fn(*const Base) -> *const c_char,
}

impl Runtime {
    fn find() -> Option<Self> {
        let base = process_symbol("_ZTISt9exception")?;
        Some(Self {
            // SAFETY: the C++ ABI says so of this name, as of those below.
            begin_catch: unsafe { function("__cxa_begin_catch") }?,
            // SAFETY: see the first.
            end_catch: unsafe { function("__cxa_end_catch") }?,
            // SAFETY: see the first.
            current_type: unsafe { function("__cxa_current_exception_type") }?,
            // SAFETY: see the first.
            demangle: unsafe { function("__cxa_demangle") }?,
            base: ptr::with_exposed_provenance(base.value() as usize),
        })
    }

    /// # Safety
    /// - It is an exception of this runtime, and the caller owns it.
    /// - What it runs is sound.
    unsafe fn take(&self, exception: *mut c_void) -> Exception {
        // SAFETY: it is one of this runtime's, and is caught once.
        unsafe { (self.begin_catch)(exception) };
        // SAFETY: an exception is being handled, and its type outlives it.
        let thrown = unsafe { (self.current_type)() };
        let result = Exception {
            // SAFETY: the type is that of the exception that is being handled.
            type_name: unsafe { self.name(thrown) },
            // SAFETY: the exception is being handled, and that is its type.
            message: unsafe { self.message(thrown, exception) },
        };
        // SAFETY: it ends what was begun above, and destroys the exception.
        unsafe { (self.end_catch)() };
        result
    }

    /// The name of a type as its language writes it.
    ///
    /// # Safety
    /// It is null or a type of this runtime.
    unsafe fn name(&self, of: *const TypeInfo) -> String {
        // SAFETY: it is null or a type.
        let Some(of) = (unsafe { of.as_ref() }) else {
            return String::new();
        };
        // SAFETY: a type has a name.
        let mangled = unsafe { CStr::from_ptr(of.name) };
        let mut status = 0;
        let (none, size) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the name ends with a zero; without room of its own the function allocates.
        let text = unsafe { (self.demangle)(mangled.as_ptr(), none, size, &raw mut status) };
        if text.is_null() {
            return mangled.to_string_lossy().into_owned();
        }
        // SAFETY: it ends with a zero.
        let name = unsafe { CStr::from_ptr(text) };
        let name = name.to_string_lossy().into_owned();
        // SAFETY: `malloc` gave it, to the caller.
        unsafe { libc::free(text.cast()) };
        name
    }

    /// What an object says of itself, if it is a `std::exception`.
    ///
    /// # Safety
    /// The exception is being handled, and `thrown` is the type of its object.
    unsafe fn message(&self, thrown: *const TypeInfo, exception: *mut c_void) -> String {
        /// Bytes of the unwinder's header, which what was thrown comes after.
        const HEADER: usize = 32;
        // SAFETY: every exception begins with its class.
        let class = unsafe { exception.cast::<u64>().read() };
        if class != GNU_CPP || thrown.is_null() {
            return String::new();
        }
        let mut object = exception.wrapping_byte_add(HEADER);
        // SAFETY: it is a type of the runtime's.
        let methods = unsafe { (*self.base).methods };
        // SAFETY: the methods of its types stay.
        let methods = unsafe { &*methods };
        // SAFETY: the object is of the type that was thrown.
        let is_one = unsafe { (methods.catches)(self.base, thrown, &raw mut object, 1) };
        if !is_one {
            return String::new();
        }
        let object: *const Base = object.cast();
        // SAFETY: it is a `std::exception` now, which has methods.
        let methods = unsafe { (*object).methods };
        // SAFETY: the methods of types stay.
        let methods = unsafe { &*methods };
        // SAFETY: the object lives until it is no longer handled.
        let text = unsafe { (methods.what)(object) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: what it says ends with a zero.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_string_lossy().into_owned()
    }
}
