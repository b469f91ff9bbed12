//! Unwind tables: how the unwinder of this process learns of them and forgets them.
//!
//! There are two unwinders. GNU's (libgcc) takes a whole table, LLVM's (libunwind) one description after the other, by the same name. The one
//! in use is the one that images find, too: it is looked up in the process. Where there is none, nothing unwinds.
#![allow(unsafe_code)] // It hands pointers to the unwinder.

use codeslab::{Address, process_symbol};
use std::ptr;
use std::sync::OnceLock;

type Tell = unsafe extern "C" fn(*const u8);

/// The unwinder of this process.
#[derive(Clone, Copy, Debug)]
struct Unwinder {
    register: Tell,
    deregister: Tell,
    /// Whether it is told of each description instead of the table.
    by_description: bool,
}

impl Unwinder {
    fn get() -> Option<Self> {
        static FOUND: OnceLock<Unwinder> = OnceLock::new();
        // One that is loaded later is found then.
        if let Some(found) = FOUND.get() {
            return Some(*found);
        }
        let found = Self::find()?;
        Some(*FOUND.get_or_init(|| found))
    }

    fn find() -> Option<Self> {
        let tell = |name| {
            let address = process_symbol(name)?;
            let pointer: *const () = ptr::with_exposed_provenance(address.value() as usize);
            // SAFETY: every unwinder that has a function of this name has it with this type, and symbols are not null.
            Some(unsafe { std::mem::transmute::<*const (), Tell>(pointer) })
        };
        Some(Self {
            register: tell("__register_frame")?,
            deregister: tell("__deregister_frame")?,
            by_description: process_symbol("__unw_add_dynamic_fde").is_some(),
        })
    }

    /// Tells it of a table.
    ///
    /// # Safety
    /// The table is well-formed and has an end; if it is forgotten it was registered, and until then it stays as it is.
    unsafe fn tell(self, table: *const u8, how: Tell) {
        if !self.by_description {
            // SAFETY: the unwinder takes a table that is well-formed and has an end.
            return unsafe { how(table) };
        }
        let mut record = table;
        loop {
            // SAFETY: it is a record or the end of a table, each of which begins with a length.
            let length = unsafe { record.cast::<u32>().read_unaligned() };
            if length == 0 {
                return;
            }
            // SAFETY: a record that has a length has a number after it.
            let number = unsafe { record.add(4).cast::<u32>().read_unaligned() };
            if number != 0 {
                // SAFETY: the record is a description in a table that is well-formed.
                unsafe { how(record) };
            }
            // SAFETY: the length leads to the next record of the table.
            record = unsafe { record.add(4 + length as usize) };
        }
    }
}

/// Unwind tables that the process knows of. Dropping it makes it forget them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    // Invariant: registered, with the unwinder, and not changed since.
    registered: Option<(Unwinder, Vec<Address>)>,
}

impl Tables {
    /// Has the process know of tables.
    ///
    /// # Safety
    /// Each of `tables` is well-formed, has an end, and stays as it is while the value lives.
    pub(crate) unsafe fn register(tables: &[Address]) -> Self {
        let unwinder = Unwinder::get().filter(|_| !tables.is_empty());
        let Some(unwinder) = unwinder else {
            return Self::default();
        };
        for table in tables {
            // SAFETY: it is well-formed, has an end, and stays until the value is dropped, which has it forgotten.
            unsafe { unwinder.tell(pointer(*table), unwinder.register) };
        }
        Self {
            registered: Some((unwinder, tables.to_vec())),
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let Some((unwinder, tables)) = self.registered.take() else {
            return;
        };
        for table in tables.into_iter().rev() {
            // SAFETY: it was registered as it is, by the invariant.
            unsafe { unwinder.tell(pointer(table), unwinder.deregister) };
        }
    }
}

fn pointer(table: Address) -> *const u8 {
    ptr::with_exposed_provenance(table.value() as usize)
}
