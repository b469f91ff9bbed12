//! What C passes: pointers, arrays, texts and structures, looked at before they are used.
#![allow(unsafe_code, reason = "C passes pointers")]

use crate::failure::{Failure, Result};
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

/// A structure whose first field is its size, so that a caller that was compiled against another header is noticed.
pub(crate) trait SelfSized {
    /// What the field says.
    fn struct_size(&self) -> usize;
}

/// A place for a result.
pub(crate) fn out<'a, T>(
    place: Option<&'a mut MaybeUninit<T>>,
    name: &str,
) -> Result<&'a mut MaybeUninit<T>> {
    place.ok_or_else(|| null(name))
}

#[cold]
pub(crate) fn null(name: &str) -> Failure {
    Failure::argument(name, "a pointer that is not null")
}

/// An array.
///
/// # Safety
/// `start` is null or points to `count` values that nothing changes during the call.
pub(crate) unsafe fn array<'a, T>(start: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    check(start, count, name)?;
    // SAFETY: it is aligned, not null, and no longer than memory can be; that it points to so many values is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(start, count) })
}

/// An array that is changed.
///
/// # Safety
/// `start` is null or points to `count` values that nothing else reads or changes during the call.
pub(crate) unsafe fn array_mut<'a, T>(
    start: *mut T,
    count: usize,
    name: &str,
) -> Result<&'a mut [T]> {
    if count == 0 {
        return Ok(&mut []);
    }
    check(start, count, name)?;
    // SAFETY: it is aligned, not null, and no longer than memory can be; that it points to so many values is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(start, count) })
}

fn check<T>(start: *const T, count: usize, name: &str) -> Result<()> {
    if start.is_null() {
        return Err(null(name));
    }
    if !start.is_aligned() {
        return Err(Failure::argument(name, "an aligned pointer"));
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Failure::argument(name, "an array that fits into memory"));
    }
    Ok(())
}

/// A text.
///
/// # Safety
/// `start` is null or points to a text with a zero byte at its end, that nothing changes during the call.
pub(crate) unsafe fn text<'a>(start: *const c_char, name: &str) -> Result<&'a str> {
    if start.is_null() {
        return Err(null(name));
    }
    // SAFETY: it is not null; that there is a text with an end is the caller's promise.
    let text = unsafe { CStr::from_ptr(start) };
    text.to_str()
        .map_err(|_| Failure::argument(name, "text in UTF-8"))
}

/// A structure that says its size; `None` for null.
///
/// # Safety
/// `place` is null or points to a `usize`, and to as much as that says.
pub(crate) unsafe fn structure<'a, T: SelfSized>(
    place: *const T,
    name: &str,
) -> Result<Option<&'a T>> {
    if place.is_null() {
        return Ok(None);
    }
    if !place.is_aligned() {
        return Err(Failure::argument(name, "an aligned pointer"));
    }
    // SAFETY: it is aligned and not null; that the first field is there is the caller's promise.
    let size = unsafe { place.cast::<usize>().read() };
    if size != size_of::<T>() {
        let expected = format!("struct_size {}, of this version's header", size_of::<T>());
        return Err(Failure::argument(name, &expected));
    }
    // SAFETY: as much as the first field says is there.
    let structure = unsafe { &*place };
    debug_assert_eq!(structure.struct_size(), size, "the first field is the size");
    Ok(Some(structure))
}
