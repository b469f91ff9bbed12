//! GDB's interface for code that is made at run time, which LLDB knows as well.
//!
//! A process has one list of symbol files, [`__jit_debug_descriptor`]. A debugger has a breakpoint in [`__jit_debug_register_code`], and
//! looks at the list when it is reached, or when it is attached. Names and layout are the interface's
//! ("JIT Compilation Interface" in GDB's manual), so the list is there even where no debugger is.
#![allow(unsafe_code, reason = "the list belongs to debuggers as well")]

use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `jit_code_entry`: a symbol file in the list.
#[repr(C)]
#[derive(Debug)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    file: *const u8,
    size: u64,
}

/// `jit_descriptor`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const REGISTERED: u32 = 1;
const UNREGISTERED: u32 = 2;

/// What debuggers look at. Only [`List`] changes it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "debuggers look for it by this name")]
static mut __jit_debug_descriptor: Descriptor = Descriptor {
    version: 1,
    action: 0,
    relevant: ptr::null_mut(),
    first: ptr::null_mut(),
};

/// Where debuggers have a breakpoint. It must neither be inlined nor be found to do nothing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn __jit_debug_register_code() {
    std::hint::black_box(());
}

/// The right to change the list.
struct List {
    _guard: MutexGuard<'static, ()>,
}

impl List {
    fn lock() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        // What a thread leaves behind that panics is complete: nothing below panics between two stores.
        let guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _guard: guard }
    }

    #[expect(
        clippy::unused_self,
        reason = "only the holder of the lock may touch it"
    )]
    fn descriptor(&mut self) -> *mut Descriptor {
        &raw mut __jit_debug_descriptor
    }

    /// Has debuggers look.
    ///
    /// # Safety
    /// `entry` is in the list, or was taken out and still exists.
    unsafe fn tell(&mut self, action: u32, entry: *mut Entry) {
        let descriptor = self.descriptor();
        // SAFETY: the descriptor is a static that only the holder of the lock touches, and `self` holds it.
        let descriptor = unsafe { &mut *descriptor };
        descriptor.action = action;
        descriptor.relevant = entry;
        __jit_debug_register_code();
    }
}

/// A symbol file that debuggers know, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    entry: *mut Entry,
    // Debuggers read it when they please.
    _file: Box<[u8]>,
}

// SAFETY: the entry is touched under the lock of the list only, and the file never changes.
unsafe impl Send for Registered {}
// SAFETY: as above; shared, it offers nothing.
unsafe impl Sync for Registered {}

impl Registered {
    /// Tells debuggers of a symbol file.
    pub(crate) fn new(file: Vec<u8>) -> Self {
        let file = file.into_boxed_slice();
        let mut list = List::lock();
        let descriptor = list.descriptor();
        // SAFETY: the lock is held, and the descriptor is a static.
        let next = unsafe { (*descriptor).first };
        let entry = Box::into_raw(Box::new(Entry {
            next,
            previous: ptr::null_mut(),
            file: file.as_ptr(),
            size: file.len() as u64,
        }));
        if !next.is_null() {
            // SAFETY: what is in the list exists, and only the holder of the lock changes it.
            unsafe { (*next).previous = entry };
        }
        // SAFETY: the lock is held, and the descriptor is a static.
        unsafe { (*descriptor).first = entry };
        // SAFETY: it is in the list now.
        unsafe { list.tell(REGISTERED, entry) };
        Self { entry, _file: file }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut list = List::lock();
        // SAFETY: `new` made the entry, it is in the list until now, and the lock is held.
        let Entry { next, previous, .. } = *unsafe { &*self.entry };
        if previous.is_null() {
            // SAFETY: the lock is held, and the descriptor is a static.
            unsafe { (*list.descriptor()).first = next };
        } else {
            // SAFETY: what is in the list exists, and the lock is held.
            unsafe { (*previous).next = next };
        }
        if !next.is_null() {
            // SAFETY: what is in the list exists, and the lock is held.
            unsafe { (*next).previous = previous };
        }
        // SAFETY: it was taken out just now and still exists.
        unsafe { list.tell(UNREGISTERED, self.entry) };
        // SAFETY: `new` made it with a box, nothing refers to it any more, and this is the only drop.
        drop(unsafe { Box::from_raw(self.entry) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a debugger reads when it is attached.
    fn listed() -> Vec<Vec<u8>> {
        let mut list = List::lock();
        let descriptor = list.descriptor();
        // SAFETY: the lock is held.
        let mut entry = unsafe { (*descriptor).first };
        let mut files = Vec::new();
        while !entry.is_null() {
            // SAFETY: what is in the list exists while the lock is held.
            let listed = unsafe { &*entry };
            // SAFETY: a file lives as long as its entry is listed.
            let file = unsafe { std::slice::from_raw_parts(listed.file, listed.size as usize) };
            files.push(file.to_vec());
            entry = listed.next;
        }
        files
    }

    #[test]
    fn a_debugger_that_is_attached_finds_what_is_registered_and_nothing_else() {
        let (first, second) = (Registered::new(vec![1]), Registered::new(vec![2]));
        let third = Registered::new(vec![3]);
        assert_eq!(listed(), [[3], [2], [1]]);
        drop(second);
        assert_eq!(listed(), [[3], [1]]);
        drop(third);
        drop(first);
        assert!(listed().is_empty());
    }
}
