//! Unwind tables: how the unwinder of this process learns of them and forgets them.
//!
//! It is LLVM's (libunwind), a part of the system, which takes one description after the other. What objects say of functions in
//! `__compact_unwind` alone it looks up in files that the dynamic linker loaded, so exceptions end there.
#![allow(unsafe_code)] // It hands pointers to the unwinder.

use crate::program::FunctionTable;
use crate::sys::unwinder_records::{Tell, tell_of_each};
use codeslab::Address;
use std::ptr;

unsafe extern "C" {
    fn __register_frame(description: *const u8);
    fn __deregister_frame(description: *const u8);
}

/// Unwind tables that the process knows of. Dropping it makes it forget them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    // Invariant: registered, and not changed since.
    registered: Vec<Address>,
}

impl Tables {
    /// Has the process know of tables. What is for Windows' unwinder no other one reads.
    ///
    /// # Safety
    /// Each of `tables` is well-formed, has an end, and stays as it is while the value lives.
    pub(crate) unsafe fn register(
        tables: &[Address],
        _code: Address,
        _functions: Option<&FunctionTable>,
    ) -> Self {
        for table in tables {
            // SAFETY: it is well-formed, has an end, and stays until the value is dropped, which has it forgotten.
            unsafe { tell(*table, __register_frame) };
        }
        Self {
            registered: tables.to_vec(),
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        for table in self.registered.iter().rev() {
            // SAFETY: it was registered as it is, by the invariant.
            unsafe { tell(*table, __deregister_frame) };
        }
    }
}

/// Tells the unwinder of a table.
///
/// # Safety
/// The table is well-formed and has an end; if it is forgotten it was registered, and until then it stays as it is.
unsafe fn tell(table: Address, how: Tell) {
    let table = ptr::with_exposed_provenance(table.value() as usize);
    // SAFETY: the table is so by the obligation, and the unwinder knows or forgets each description in it.
    unsafe { tell_of_each(table, how) };
}
