//! Which symbols of the process are functions: those that lie among the instructions of an executable or library.
#![allow(unsafe_code)] // It reads headers of what is loaded.

use super::super::dynamic_linker::image_base;
use crate::symbol::ProcessSymbolKind;
use codeslab::{Address, Window, process_symbol};
use std::ffi::{c_char, c_ulong, c_void};

/// What each of `symbols` is, by name and address.
pub(crate) fn kinds_of(symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
    let is_function = |at: Address| {
        let base = image_base(at)?;
        // SAFETY: the dynamic linker says that an executable or library begins there; symbols of it are in use, so it stays loaded.
        let instructions = unsafe { instructions_of(base) }?;
        Some(instructions.contains(Window::of_range(at, 1)?))
    };
    let functions = symbols.iter().map(|(_, at)| is_function(*at));
    functions
        .map(|is_function| ProcessSymbolKind::of_function(is_function == Some(true)))
        .collect()
}

/// Where the instructions of an executable or library are whose header is at `base`: `getsectiondata` of `__TEXT,__text`. The same pages
/// have constants. <https://keith.github.io/xcode-man-pages/getsectiondata.3.html>
///
/// # Safety
/// - At `base` there is the header of an executable or library, which stays loaded until the function returns.
unsafe fn instructions_of(base: Address) -> Option<Window> {
    type GetSectionData =
        unsafe extern "C" fn(*const c_void, *const c_char, *const c_char, *mut c_ulong) -> *mut u8;
    let found = process_symbol("getsectiondata")?;
    // SAFETY: what the process calls so is the C library's function of that name, whose type this is.
    let get: GetSectionData = unsafe { std::mem::transmute(found.value() as usize) };
    let (header, mut size) = (base.value() as *const c_void, 0);
    let (segment, section) = (c"__TEXT".as_ptr(), c"__text".as_ptr());
    // SAFETY: a header is there, the names are C strings, and `size` is a place for the answer.
    let start = unsafe { get(header, segment, section, &raw mut size) };
    Window::of_range(Address::new(start as u64), size).filter(|_| !start.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_process_are_known_by_address() {
        let here = Address::new(kinds_of as *const () as u64);
        let local = 0_u8;
        let nowhere = Address::new(&raw const local as u64);
        let known = kinds_of(&[("here", here), ("nowhere", nowhere)]);
        let expected = [ProcessSymbolKind::Function, ProcessSymbolKind::Unknown];
        assert_eq!(known, expected);
    }
}
