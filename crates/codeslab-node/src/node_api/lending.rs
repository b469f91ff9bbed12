//! Buffers whose bytes are not JavaScript's: native memory that is lent to V8 until it gives it up.
//!
//! What was lent once is remembered as the span of addresses that it lies in, since machine code and other threads may change such bytes
//! while Rust looks at them; `bytes` asks that before it borrows any. `live` lends published data.

use super::{Scope, Value, WeakReference, ok, value};
use napi::sys::{self, Status, napi_env};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The lowest and the highest address that was ever lent.
static LOWEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// What is called when V8 has given bytes up, on the thread that lent them: by the finalizers of Node, so it runs no JavaScript.
pub(crate) type GivenUp = Box<dyn FnOnce(napi_env)>;

/// Whether bytes may be lent ones. Where they are not, though they lie between such, nothing is lost but the time of a copy.
pub(super) fn may_be_lent(bytes: *const c_void) -> bool {
    let lent = LOWEST.load(Ordering::Acquire)..HIGHEST.load(Ordering::Acquire);
    lent.contains(&bytes.addr())
}

impl<'a> Scope<'a> {
    /// An `ArrayBuffer` of native memory, and a reference to it that does not keep it. `None` if this runtime has none such.
    ///
    /// # Safety
    /// - `length` bytes are readable and writable at `bytes` until `given_up` has been called.
    /// - Rust has no reference to them until then.
    pub(crate) unsafe fn lend_buffer(
        self,
        bytes: *mut u8,
        length: usize,
        given_up: GivenUp,
    ) -> Option<(Value<'a>, WeakReference)> {
        LOWEST.fetch_min(bytes.addr(), Ordering::AcqRel);
        HIGHEST.fetch_max(bytes.addr() + length, Ordering::AcqRel);
        let mut raw = ptr::null_mut();
        // A box in a box: a pointer of one word.
        let hint = Box::into_raw(Box::new(given_up));
        // SAFETY: the environment is live by its invariant; the bytes stay until `take_back` calls `given_up`, by the obligation, and
        // that gets the hint which it takes.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                self.env,
                bytes.cast(),
                length,
                Some(take_back),
                hint.cast(),
                &raw mut raw,
            )
        };
        if status != Status::napi_ok {
            // SAFETY: it comes from `into_raw` above, and Node has not taken it.
            drop(unsafe { Box::from_raw(hint) });
            return None;
        }
        let reference = self.weak_reference(value(raw))?;
        Some((value(raw), reference))
    }

    /// Takes the bytes of a buffer away from it, if it is there and has them. Runs no JavaScript.
    pub(crate) fn detach_buffer(self, buffer: &WeakReference) {
        if let Some(buffer) = self.referent(buffer) {
            // SAFETY: environment and handle are live by their invariants. What cannot be detached is refused.
            unsafe { sys::napi_detach_arraybuffer(self.env, buffer.raw) };
        }
    }

    /// A reference that does not keep its object.
    fn weak_reference(self, object: Value<'a>) -> Option<WeakReference> {
        let mut raw = ptr::null_mut();
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_create_reference(self.env, object.raw, 0, &raw mut raw) };
        ok(status, WeakReference::of(raw))
    }
}

/// What Node calls when V8 has given up bytes that were lent.
///
/// # Safety
/// `hint` comes from [`Scope::lend_buffer`], and nothing else takes it.
unsafe extern "C" fn take_back(environment: napi_env, _bytes: *mut c_void, hint: *mut c_void) {
    // SAFETY: it comes from `into_raw` of such a box, and nothing else takes it, by the obligation.
    let given_up = unsafe { Box::from_raw(hint.cast::<GivenUp>()) };
    given_up(environment);
}
