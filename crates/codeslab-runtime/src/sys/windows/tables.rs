//! Telling the system's unwinder where functions are: exceptions, structured ones and C++'s, and stack walks find their way by it.
//!
//! The system asks by address, first whether the address lies in a range that some module registered, and then that module for the function
//! there. Everything that an entry says counts from the start of that range. So a range is a whole block of code memory, which is registered
//! with its first image and forgotten with its last one, and a function here looks for the image and the entry. (The system's own tables for
//! code that is made while a program runs can only grow at their end; images come and go anywhere in a block.)
//!
//! Locks are taken in this order: that of the blocks, the system's, that of the images. The system holds its own while it asks.
//!
//! Source: <https://learn.microsoft.com/en-us/windows/win32/api/winnt/nf-winnt-rtlinstallfunctiontablecallback>.
#![allow(unsafe_code)] // It calls the system.

use crate::program::{FunctionEntry, FunctionTable};
use codeslab::Address;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

type Find = unsafe extern "system" fn(u64, *mut c_void) -> *const FunctionEntry;

#[link(name = "kernel32")]
unsafe extern "system" {
    fn RtlInstallFunctionTableCallback(
        identifier: u64,
        base: u64,
        length: u32,
        find: Find,
        context: *mut c_void,
        library: *const u16,
    ) -> u8;
    fn RtlDeleteFunctionTable(identifier: *const c_void) -> u8;
}

/// How many images there are in each block that the system knows of, by its first address.
static BLOCKS: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

/// The functions of an image.
struct Known {
    block: u64,
    // Invariant: ascending, and not empty.
    entries: Box<[FunctionEntry]>,
}

/// All images whose functions are known, by the address of their first one.
static IMAGES: RwLock<BTreeMap<u64, Known>> = RwLock::new(BTreeMap::new());

fn blocks() -> MutexGuard<'static, BTreeMap<u64, usize>> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By what the system knows a block: the lowest bits say that it is no table.
const fn identifier(block: u64) -> u64 {
    block | 3
}

/// The entry of the function at an address; null if there is none. What it points to stays until the image is forgotten.
unsafe extern "system" fn find(at: u64, _context: *mut c_void) -> *const FunctionEntry {
    let images = IMAGES.read().unwrap_or_else(PoisonError::into_inner);
    let entry = || {
        let (_, known) = images.range(..=at).next_back()?;
        let offset = u32::try_from(at.checked_sub(known.block)?).ok()?;
        let after = known.entries.partition_point(|entry| entry.begin <= offset);
        let entry = known.entries.get(after.checked_sub(1)?)?;
        (offset < entry.end).then_some(entry)
    };
    entry().map_or(ptr::null(), ptr::from_ref)
}

/// Functions that the system knows of, until the value is dropped.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    // The block and the first function's address. Invariant: registered by both.
    registered: Option<(u64, u64)>,
}

impl Tables {
    /// Has the system know of functions. What is for other unwinders it does not read.
    ///
    /// # Safety
    /// - The functions lie where the table says, and their unwind information stays as it is while the value lives.
    /// - Nothing else says anything about code in this block.
    pub(crate) unsafe fn register(
        _tables: &[Address],
        _code: Address,
        functions: Option<&FunctionTable>,
    ) -> Self {
        let Some((table, first)) =
            functions.and_then(|table| Some((table, table.entries.first()?)))
        else {
            return Self::default();
        };
        let block = table.block.first().value();
        let first = block + u64::from(first.begin);
        let known = Known {
            block,
            entries: table.entries.clone().into(),
        };
        let mut images = IMAGES.write().unwrap_or_else(PoisonError::into_inner);
        images.insert(first, known);
        drop(images);
        let mut blocks = blocks();
        let count = blocks.entry(block).or_default();
        *count += 1;
        if *count == 1 {
            let length = table
                .block
                .last()
                .distance(table.block.first())
                .saturating_add(1);
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            let (identifier, none) = (identifier(block), ptr::null_mut());
            // SAFETY: the function stays loaded with this module, which is never unloaded once it was used, and the block is not known yet.
            // If the system has no memory for it, exceptions do not pass, as without a table.
            unsafe {
                RtlInstallFunctionTableCallback(identifier, block, length, find, none, ptr::null());
            }
        }
        Self {
            registered: Some((block, first)),
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let Some((block, first)) = self.registered else {
            return;
        };
        let mut blocks = blocks();
        let count = blocks.get_mut(&block);
        let is_last = count.is_some_and(|count| {
            *count -= 1;
            *count == 0
        });
        if is_last {
            blocks.remove(&block);
            let identifier = ptr::without_provenance(identifier(block) as usize);
            // SAFETY: it is the identifier of a block that was registered.
            unsafe { RtlDeleteFunctionTable(identifier) };
        }
        drop(blocks);
        let mut images = IMAGES.write().unwrap_or_else(PoisonError::into_inner);
        images.remove(&first);
    }
}
