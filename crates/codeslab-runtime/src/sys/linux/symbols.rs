//! Functions of the process that it may be without, by name and type; and whether names may stand for something else by now.
#![allow(unsafe_code)] // It says of what type a symbol is, and asks the C library.

use codeslab::process_symbol;
use std::ffi::{c_int, c_void};
use std::ptr;

/// The function with this name in the process.
///
/// # Safety
/// If there is one, it is of this type.
pub(super) unsafe fn function<F: Copy>(name: &str) -> Option<F> {
    let address = process_symbol(name)?;
    let pointer: *const () = ptr::with_exposed_provenance(address.value() as usize);
    // SAFETY: function pointers have the size and representation of pointers; that it is of this type is the obligation.
    Some(unsafe { std::mem::transmute_copy::<*const (), F>(&pointer) })
}

/// How many libraries this process has loaded and unloaded so far. <https://man7.org/linux/man-pages/man3/dl_iterate_phdr.3.html>
#[must_use]
pub fn loads() -> Option<(u64, u64)> {
    /// # Safety
    /// `info` is what there is to know of something that is loaded, and `loads` a place for the result that nothing else refers to.
    unsafe extern "C" fn note(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        loads: *mut c_void,
    ) -> c_int {
        // SAFETY: it is one, by the obligation; C libraries have had these numbers for longer than they have had all else that is used here.
        let info = unsafe { &*info };
        let counted = (info.dlpi_adds, info.dlpi_subs);
        // SAFETY: it is such a place, by the obligation.
        unsafe { loads.cast::<Option<(u64, u64)>>().write(Some(counted)) };
        // The numbers are of the process: no other library is asked about.
        1
    }
    let mut loads: Option<(u64, u64)> = None;
    // SAFETY: the function gets what it asks for, and the place is there until this returns.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut loads).cast()) };
    loads
}
