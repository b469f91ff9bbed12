//! Keys by which threads keep values of their own (`pthread_key_create`, `tss_create`), of which images are the makers.
//!
//! A key's destructor is called when a thread ends that has a value, however long the code of the destructor has been gone. So images make
//! their keys here, by their handles, and a key goes with the image that made it or has its destructor: the thread that ends the image has
//! its own values destroyed before finalisers run, and what other threads have is forgotten, as by `pthread_key_delete`.
#![allow(unsafe_code)] // It calls destructors.

use crate::program::Destructor;
use crate::sys;
use codeslab::Address;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A key that an image made.
#[derive(Clone, Copy)]
struct Key {
    // Invariant: it may be called with a value of the key while the code that it is of is there, by the obligations of `create`.
    destructor: Option<Destructor>,
    handle: Address,
}

/// How often values are looked for that destructors have set.
const ROUNDS: usize = 4;

/// The keys that images have, by their numbers.
static KEYS: Mutex<BTreeMap<c_uint, Key>> = Mutex::new(BTreeMap::new());

fn keys() -> MutexGuard<'static, BTreeMap<c_uint, Key>> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `pthread_key_create` for the image with this handle.
///
/// # Safety
/// - `key` points to room for a key.
/// - `destructor` may be called with a value of the key when a thread ends or the image does, and is sound.
pub(crate) unsafe extern "C" fn create(
    key: *mut c_uint,
    destructor: Option<Destructor>,
    handle: *const c_void,
) -> c_int {
    let handle = Address::new(handle.addr() as u64);
    // Nobody else gets the number before it is noted.
    let mut keys = keys();
    // SAFETY: the destructor may be called by the second obligation.
    match unsafe { sys::create_key(destructor) } {
        Ok(number) => {
            keys.insert(number, Key { destructor, handle });
            // SAFETY: there is room by the first obligation.
            unsafe { key.write(number) };
            0
        }
        Err(error) => error,
    }
}

/// `tss_create`, which says less of errors.
///
/// # Safety
/// As for [`create`].
pub(crate) unsafe extern "C" fn create_c11(
    key: *mut c_uint,
    destructor: Option<Destructor>,
    handle: *const c_void,
) -> c_int {
    /// `thrd_error`, as the C libraries of Linux have it.
    const FAILED: c_int = 2;
    // SAFETY: the obligations are the same.
    let error = unsafe { create(key, destructor, handle) };
    if error == 0 { 0 } else { FAILED }
}

/// `pthread_key_delete` and `tss_delete`, of any key.
pub(crate) extern "C" fn delete(key: c_uint) -> c_int {
    let mut keys = keys();
    keys.remove(&key);
    sys::delete_key(key)
}

/// The keys that are of the image to which these addresses belong.
fn keys_of(is_of_image: impl Fn(Address) -> bool) -> Vec<(c_uint, Option<Destructor>)> {
    let keys = keys();
    let own = keys.iter().filter(|(_, key)| {
        let destructor = key.destructor.map(|destructor| destructor as usize as u64);
        is_of_image(key.handle) || destructor.is_some_and(|at| is_of_image(Address::new(at)))
    });
    own.map(|(number, key)| (*number, key.destructor)).collect()
}

/// Has the values destroyed that this thread has by the keys of an image.
pub(crate) fn destroy(is_of_image: impl Fn(Address) -> bool) {
    let own = keys_of(is_of_image);
    for _ in 0..ROUNDS {
        let mut is_any = false;
        for (key, destructor) in &own {
            let Some(destructor) = destructor else {
                continue;
            };
            let value = sys::take_value(*key);
            if value.is_null() {
                continue;
            }
            is_any = true;
            let call = || {
                // SAFETY: it is a value of the key that nothing else has any more, and the destructor's code is there until its image has
                // ended; it may be called by the invariant.
                unsafe { destructor(value) };
            };
            // SAFETY: what it runs is sound, by the invariant. What it throws ends here: nothing could be undone.
            drop(unsafe { sys::guarded(call) });
        }
        if !is_any {
            return;
        }
    }
}

/// Deletes the keys of an image.
pub(crate) fn forget(is_of_image: impl Fn(Address) -> bool) {
    for (key, _) in keys_of(is_of_image) {
        delete(key);
    }
}
