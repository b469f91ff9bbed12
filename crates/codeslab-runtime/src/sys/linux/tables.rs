//! Unwind tables: how the unwinder of this process learns of them and forgets them.
//!
//! There are two unwinders. GNU's (libgcc) takes a whole table, LLVM's (libunwind) one description after the other, by the same name. The one
//! in use is the one that images find, too: it is looked up in the process. Where there is none, nothing unwinds.
//!
//! Before version 13, GNU's goes through all that is registered, one after the other, for each frame of each exception of the process. So
//! images that are neighbours are registered together there: the tables of all whose code begins in one [`CELL`] of address space are one
//! entry. When an image comes or goes the new entry is registered before the old one is taken back, so every frame is found at any time; it
//! matters that entries do not lie within each other, because that unwinder looks into one only. Later versions have a tree, in which no
//! two entries may overlap; they are told of each image by itself.
#![allow(unsafe_code)] // It hands pointers to the unwinder.

use super::catch::NEWER_UNWINDER;
use super::symbols::function;
use crate::program::FunctionTable;
use crate::sys::unwinder_records::{Tell, tell_of_each};
use codeslab::{Address, process_symbol};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Images whose code begins in one part of this many bytes are registered together. Nothing else has code within.
const CELL: u64 = 1 << 16;

type Forget = unsafe extern "C" fn(*const u8) -> *mut c_void;

/// The unwinder of this process.
#[derive(Clone, Copy, Debug)]
struct Unwinder {
    register: Tell,
    deregister: Tell,
    way: Way,
}

/// What it is told of.
#[derive(Clone, Copy, Debug)]
enum Way {
    Descriptions,
    Tables,
    /// Arrays of tables, by these functions.
    Groups {
        register: Tell,
        deregister: Forget,
    },
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
        let is_newer = NEWER_UNWINDER.is_none_or(|name| process_symbol(name).is_some());
        let way = if process_symbol("__unw_add_dynamic_fde").is_some() {
            Way::Descriptions
        } else if is_newer {
            Way::Tables
        } else {
            Way::Groups {
                // SAFETY: GNU's unwinder has it with this type.
                register: unsafe { function("__register_frame_table") }?,
                // SAFETY: GNU's unwinder has it with this type.
                deregister: unsafe { function("__deregister_frame_info") }?,
            }
        };
        Some(Self {
            // SAFETY: every unwinder that has a function of this name has it with this type.
            register: unsafe { function("__register_frame") }?,
            // SAFETY: every unwinder that has a function of this name has it with this type.
            deregister: unsafe { function("__deregister_frame") }?,
            way,
        })
    }

    /// Tells it of a table.
    ///
    /// # Safety
    /// The table is well-formed and has an end; if it is forgotten it was registered, and until then it stays as it is.
    unsafe fn tell(self, table: *const u8, how: Tell) {
        if !matches!(self.way, Way::Descriptions) {
            // SAFETY: the unwinder takes a table that is well-formed and has an end.
            return unsafe { how(table) };
        }
        // SAFETY: the table is so by the obligation, and the unwinder knows or forgets each description in it.
        unsafe { tell_of_each(table, how) };
    }
}

/// Unwind tables that the process knows of. Dropping it makes it forget them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    // Invariant: registered, with the unwinder, and not changed since.
    registered: Option<(Unwinder, Vec<Address>, u64)>,
}

impl Tables {
    /// Has the process know of tables, which describe code that begins at `code`. What is for Windows' unwinder no other one reads.
    ///
    /// # Safety
    /// - Each of `tables` is well-formed, has an end, and stays as it is while the value lives.
    /// - They describe code of one range only, in which nothing else describes code.
    pub(crate) unsafe fn register(
        tables: &[Address],
        code: Address,
        _functions: Option<&FunctionTable>,
    ) -> Self {
        let unwinder = Unwinder::get().filter(|_| !tables.is_empty());
        let Some(unwinder) = unwinder else {
            return Self::default();
        };
        let cell = code.value() / CELL;
        if let Way::Groups { .. } = unwinder.way {
            // SAFETY: the obligations are the same.
            unsafe { change(unwinder.way, cell, |group| group.extend_from_slice(tables)) };
        } else {
            for table in tables {
                // SAFETY: it is well-formed, has an end, and stays until the value is dropped, which has it forgotten.
                unsafe { unwinder.tell(pointer(*table), unwinder.register) };
            }
        }
        Self {
            registered: Some((unwinder, tables.to_vec(), cell)),
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let Some((unwinder, tables, cell)) = self.registered.take() else {
            return;
        };
        if let Way::Groups { .. } = unwinder.way {
            let leave = |group: &mut Vec<Address>| group.retain(|table| !tables.contains(table));
            // SAFETY: fewer tables than were registered are registered, by the invariant.
            return unsafe { change(unwinder.way, cell, leave) };
        }
        for table in tables.into_iter().rev() {
            // SAFETY: it was registered as it is, by the invariant.
            unsafe { unwinder.tell(pointer(table), unwinder.deregister) };
        }
    }
}

/// The tables of images whose code begins in one cell.
#[derive(Default)]
struct Group {
    tables: Vec<Address>,
    /// What the unwinder has: pointers to them, and null.
    array: Box<[usize]>,
}

/// Groups, by the numbers of their cells.
static GROUPS: Mutex<BTreeMap<u64, Group>> = Mutex::new(BTreeMap::new());

fn groups() -> MutexGuard<'static, BTreeMap<u64, Group>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes which tables are in a group.
///
/// # Safety
/// All tables that are in the group afterwards are well-formed, have an end, and stay until they leave it.
unsafe fn change(way: Way, cell: u64, change: impl FnOnce(&mut Vec<Address>)) {
    let Way::Groups {
        register,
        deregister,
    } = way
    else {
        return;
    };
    let mut groups = groups();
    let old = groups.remove(&cell).unwrap_or_default();
    let mut tables = old.tables;
    change(&mut tables);
    if !tables.is_empty() {
        let pointers = tables.iter().map(|table| table.value() as usize);
        let array: Box<[usize]> = pointers.chain([0]).collect();
        // SAFETY: it is an array of tables with null at its end, which stays where it is until it is taken back.
        unsafe { register(array.as_ptr().cast()) };
        groups.insert(cell, Group { tables, array });
    }
    if !old.array.is_empty() {
        // SAFETY: it was registered, when it was made.
        let entry = unsafe { deregister(old.array.as_ptr().cast()) };
        // SAFETY: the unwinder has allocated it and gives it to the caller.
        unsafe { libc::free(entry) };
    }
}

fn pointer(table: Address) -> *const u8 {
    ptr::with_exposed_provenance(table.value() as usize)
}
