//! Entries that stay, behind which code can be replaced while threads run it.
#![allow(unsafe_code, reason = "C passes arrays")]

use crate::argument::{array, out};
use crate::failure::{Result, run};
use crate::memory::{codeslab_memory, codeslab_window};
use crate::object::{Object, insert, take, with, with_memory};
use crate::status::codeslab_status;
use codeslab::{Address, Slot};
use std::mem::MaybeUninit;

/// An address to call and to branch to, whose code can be replaced at any time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_slot {
    /// Not for anybody else.
    pub value: u64,
}

/// Makes a slot that branches to `target`, in each of the windows.
///
/// @param entry receives what callers call, which is the same as long as the slot lives
/// @param slot  receives the slot
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_slot_new(
    memory: codeslab_memory,
    target: u64,
    windows: *const codeslab_window,
    window_count: usize,
    entry: Option<&mut MaybeUninit<u64>>,
    slot: Option<&mut MaybeUninit<codeslab_slot>>,
) -> codeslab_status {
    run(|| {
        let (entry, place) = (out(entry, "entry")?, out(slot, "slot")?);
        // SAFETY: that it points to so many is the header's condition.
        let windows = unsafe { array(windows, window_count, "windows") }?;
        let windows = windows.iter().map(|window| window.window());
        let windows = windows.collect::<Result<Vec<_>>>()?;
        let made = with_memory(memory.value, |memory| {
            Ok(Slot::new(memory, Address::new(target), &windows)?)
        })?;
        entry.write(made.address().value());
        let value = insert(Object::Slot(Box::new(made)))?;
        place.write(codeslab_slot { value });
        Ok(())
    })
}

/// Has calls of a slot that begin from now on arrive at `target`.
///
/// @param before receives where they did before; may be null
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_slot_replace(
    slot: codeslab_slot,
    target: u64,
    before: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        let target = Address::new(target);
        let found = with::<Box<Slot>, _>(slot.value, |slot| Ok(slot.replace(target)))?;
        if let Some(place) = before {
            place.write(found.value());
        }
        Ok(())
    })
}

/// Frees a slot. Nothing may call it any more.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_slot_free(slot: codeslab_slot) -> codeslab_status {
    run(|| take::<Box<Slot>>(slot.value).map(drop))
}
