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
        let find = |name: &str| codeslab::process_symbol(name).map(|address| address.value());
        // What imitates Node's API need not have what V8 does with it.
        find("_ZNK2v813CFunctionInfo12ArgumentInfoEj")?;
        let get_version = find("_ZN2v82V810GetVersionEv")?;
        let current_isolate = find("_ZN2v87Isolate13TryGetCurrentEv")?;
        let current_context = find("_ZN2v87Isolate17GetCurrentContextEv")?;
        let new_template = find(concat!(
            "_ZN2v816FunctionTemplate3NewEPNS_7IsolateEPFvRKNS_20FunctionCallbackInfoINS_5ValueEEEENS_5LocalIS4_EE",
            "NSA_INS_9SignatureEEEiNS_19ConstructorBehaviorENS_14SideEffectTypeEPKNS_9CFunctionEttt"
        ))?;
        let get_function = find("_ZN2v816FunctionTemplate11GetFunctionENS_5LocalINS_7ContextEEE")?;
        let throw = find("_ZN2v87Isolate14ThrowExceptionENS_5LocalINS_5ValueEEE")?;
        let at = ptr::with_exposed_provenance::<()>;
        // SAFETY: each is the address of the function of that name, whose parameters are those of the type here: the name says so.
        unsafe {
            Some(Self {
                get_version: std::mem::transmute(at(get_version as usize)),
                current_isolate: std::mem::transmute(at(current_isolate as usize)),
                current_context: std::mem::transmute(at(current_context as usize)),
                new_template: std::mem::transmute(at(new_template as usize)),
                get_function: std::mem::transmute(at(get_function as usize)),
                throw: std::mem::transmute(at(throw as usize)),
            })
        }
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
