//! V8's functions, by the names that its compiler gave them.
//!
//! A `Local<T>`, a `MaybeLocal<T>` and a handle of Node-API are one pointer to a slot; C++ passes it in a register. A process that does not
//! export all of these is not Node, or a build of it that keeps them to itself. `v8` asks for them once.
#![allow(unsafe_code)] // It calls V8's C++ functions by their addresses.

use super::Callback;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

/// What a handle is.
type Local = *mut c_void;

/// `FunctionTemplate::New`.
type NewTemplate = unsafe extern "C" fn(
    isolate: *mut c_void,
    callback: Callback,
    data: Local,
    signature: Local,
    length: c_int,
    constructor_behavior: c_int,
    side_effects: c_int,
    c_function: *const c_void,
    instance_type: u16,
    first_receiver_type: u16,
    last_receiver_type: u16,
) -> Local;

/// The name of `FunctionTemplate::New`: all of its parameters are in it.
const NEW_TEMPLATE: &str = concat!(
    "_ZN2v816FunctionTemplate3NewEPNS_7IsolateEPFvRKNS_20FunctionCallbackInfoINS_5ValueEEEENS_5LocalIS4_EE",
    "NSA_INS_9SignatureEEEiNS_19ConstructorBehaviorENS_14SideEffectTypeEPKNS_9CFunctionEttt"
);

/// `ConstructorBehavior::kThrow`
const CANNOT_CONSTRUCT: c_int = 0;

/// `SideEffectType::kHasSideEffect`
const HAS_SIDE_EFFECT: c_int = 0;

/// The addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbols {
    pub(super) get_version: unsafe extern "C" fn() -> *const c_char,
    current_isolate: unsafe extern "C" fn() -> *mut c_void,
    current_context: unsafe extern "C" fn(isolate: *mut c_void) -> Local,
    new_template: NewTemplate,
    get_function: unsafe extern "C" fn(template: Local, context: Local) -> Local,
    throw: unsafe extern "C" fn(isolate: *mut c_void, exception: Local) -> Local,
}

impl Symbols {
    /// Looks all of them up. `None` if one is missing.
    pub(super) fn find() -> Option<Self> {
        // What imitates Node's API need not have what V8 does with it.
        codeslab::process_symbol("_ZNK2v813CFunctionInfo12ArgumentInfoEj")?;
        // SAFETY: `const char* V8::GetVersion()`.
        let get_version = unsafe { find("_ZN2v82V810GetVersionEv") }?;
        // SAFETY: `Isolate* Isolate::TryGetCurrent()`.
        let current_isolate = unsafe { find("_ZN2v87Isolate13TryGetCurrentEv") }?;
        // SAFETY: `Local<Context> Isolate::GetCurrentContext()`.
        let current_context = unsafe { find("_ZN2v87Isolate17GetCurrentContextEv") }?;
        // SAFETY: `NewTemplate` has the parameters that the name says.
        let new_template = unsafe { find(NEW_TEMPLATE) }?;
        let name = "_ZN2v816FunctionTemplate11GetFunctionENS_5LocalINS_7ContextEEE";
        // SAFETY: `MaybeLocal<Function> FunctionTemplate::GetFunction(Local<Context>)`.
        let get_function = unsafe { find(name) }?;
        let name = "_ZN2v87Isolate14ThrowExceptionENS_5LocalINS_5ValueEEE";
        // SAFETY: `Local<Value> Isolate::ThrowException(Local<Value>)`.
        let throw = unsafe { find(name) }?;
        Some(Self {
            get_version,
            current_isolate,
            current_context,
            new_template,
            get_function,
            throw,
        })
    }

    /// A function of the current context.
    ///
    /// # Safety
    /// - JavaScript runs on this thread, with a handle scope.
    /// - `c_function` is null or a `CFunction` whose information lives for ever.
    pub(super) unsafe fn function(
        &self,
        callback: Callback,
        c_function: *const c_void,
    ) -> Option<NonNull<c_void>> {
        // SAFETY: it has no requirements.
        let isolate = NonNull::new(unsafe { (self.current_isolate)() })?;
        // SAFETY: the isolate is the current one, and JavaScript runs, so it has a context.
        let context = NonNull::new(unsafe { (self.current_context)(isolate.as_ptr()) })?;
        // SAFETY: the isolate is live, empty handles stand for what is not given, and the C function is one.
        let template = unsafe {
            (self.new_template)(
                isolate.as_ptr(),
                callback,
                ptr::null_mut(),
                ptr::null_mut(),
                0,
                CANNOT_CONSTRUCT,
                HAS_SIDE_EFFECT,
                c_function,
                0,
                0,
                0,
            )
        };
        let template = NonNull::new(template)?;
        // SAFETY: both are live handles of the current scope.
        NonNull::new(unsafe { (self.get_function)(template.as_ptr(), context.as_ptr()) })
    }

    /// Throws in the current isolate.
    ///
    /// # Safety
    /// `exception` is a live handle of the current isolate.
    pub(super) unsafe fn throw(&self, exception: Local) {
        // SAFETY: it has no requirements.
        let isolate = unsafe { (self.current_isolate)() };
        // SAFETY: the isolate is the one of the handle, which is live.
        unsafe { (self.throw)(isolate, exception) };
    }
}

/// A function of the process.
///
/// # Safety
/// `F` is the type of a pointer to the function of that name.
pub(super) unsafe fn find<F: Copy>(name: &str) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*const ()>()) };
    let address = codeslab::process_symbol(name)?.value();
    let pointer = ptr::with_exposed_provenance::<()>(address as usize);
    // SAFETY: a pointer to a function is its address, and `F` is the type of this one, by the obligation.
    Some(unsafe { std::mem::transmute_copy(&pointer) })
}
