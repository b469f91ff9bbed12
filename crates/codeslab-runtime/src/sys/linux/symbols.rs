//! Functions of the process that it may be without, by name and type.
#![allow(unsafe_code)] // It says of what type a symbol is.

use codeslab::process_symbol;
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
