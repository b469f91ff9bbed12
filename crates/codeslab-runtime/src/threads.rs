//! What a thread has to destroy at its end: C++'s `thread_local` objects of images.
//!
//! The C library would look for a shared library at the handle with which such an object is registered, find none, and let the image go
//! before the thread ends. So images register here. An object keeps its image; an image that is freed has the freeing thread destroy what
//! it has of it at once, and stays for other threads until they end.
//!
//! A thread runs its objects' destructors between those of the process's own objects, the latest first: it asks the C library for a call
//! for each object that waits, and such a call destroys objects until no more wait than calls are to come. So calls that an image has left
//! over when it is freed serve the next image.
#![allow(unsafe_code)] // It calls destructors.

use crate::image::{self, Image};
use crate::program::Destructor;
use crate::sys;
use codeslab::Address;
use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// An object that waits for the end of its thread.
struct Waiting {
    // Invariant: a destructor and its object, of code that is sound and that the image keeps.
    destructor: Destructor,
    object: *mut c_void,
    image: Arc<Image>,
}

/// What waits on this thread.
struct Thread {
    waiting: Vec<Waiting>,
    /// Calls of `on_thread_exit` that are to come.
    calls: usize,
}

thread_local! {
    // Never dropped: the C library tells when a thread ends, and nothing is left then.
    static THREAD: RefCell<ManuallyDrop<Thread>> = const {
        RefCell::new(ManuallyDrop::new(Thread { waiting: Vec::new(), calls: 0 }))
    };
}

/// Registers an object of the image with this handle, or of the process. 0 if it will be destroyed when this thread ends.
///
/// # Safety
/// `destructor` may be called with `object` when this thread ends or its image is freed on it, and is sound.
pub(crate) unsafe extern "C" fn register(
    destructor: Destructor,
    object: *mut c_void,
    handle: *const c_void,
) -> c_int {
    let Some(image) = image::find(Address::new(handle.addr() as u64)) else {
        // SAFETY: it is what the C library would have been asked.
        return unsafe { sys::destroy_at_thread_exit(destructor, object, handle) };
    };
    let is_call_missing = THREAD.with_borrow(|thread| thread.calls <= thread.waiting.len());
    if is_call_missing {
        if !sys::at_thread_exit(on_thread_exit) {
            return -1;
        }
        THREAD.with_borrow_mut(|thread| thread.calls += 1);
    }
    THREAD.with_borrow_mut(|thread| {
        thread.waiting.push(Waiting {
            destructor,
            object,
            image,
        });
    });
    0
}

/// Destroys what this thread has of an image.
pub(crate) fn destroy(image: &Arc<Image>) {
    let take = || {
        THREAD.with_borrow_mut(|thread| {
            let is_of_image = |waiting: &Waiting| Arc::ptr_eq(&waiting.image, image);
            let last = thread.waiting.iter().rposition(is_of_image)?;
            Some(thread.waiting.remove(last))
        })
    };
    while let Some(waiting) = take() {
        waiting.destroy();
    }
}

extern "C" fn on_thread_exit() {
    THREAD.with_borrow_mut(|thread| thread.calls -= 1);
    let take = || {
        THREAD.with_borrow_mut(|thread| {
            let is_due = thread.waiting.len() > thread.calls;
            let taken = is_due.then(|| thread.waiting.pop()).flatten();
            if thread.waiting.is_empty() {
                // The memory of the list goes with what it held last.
                thread.waiting = Vec::new();
            }
            taken
        })
    };
    while let Some(waiting) = take() {
        waiting.destroy();
    }
}

impl Waiting {
    fn destroy(self) {
        let call = || {
            // SAFETY: it is an object and its destructor, by the invariant, and this consumes it; the image keeps its code.
            unsafe { (self.destructor)(self.object) };
        };
        // SAFETY: what it runs is sound, by the invariant. What it throws ends here: nothing could be undone.
        drop(unsafe { sys::guarded(call) });
        self.image.end_if_last(&self.image);
    }
}
