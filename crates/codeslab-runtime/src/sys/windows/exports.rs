//! Which program or library an address lies in, and what it exports there.
//!
//! Programs and libraries lie in memory as in their files: headers, and a directory that leads to the tables of exports. They are copied before
//! anything is taken out of them, and what does not fit together is no symbol.
//!
//! Source: Microsoft, "PE Format", "Optional Header Data Directories" and "The .edata Section".
#![allow(unsafe_code)] // It asks the loader.

use crate::symbol::{ProcessLocation, ProcessSymbolKind};
use codeslab::{Address, read_process};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GetModuleFileNameW, GetModuleHandleExW,
};
use windows_sys::Win32::System::Memory::{
    MEM_IMAGE, MEMORY_BASIC_INFORMATION, PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE,
    PAGE_EXECUTE_WRITECOPY, VirtualQuery,
};

/// A program or library, kept loaded.
struct Module {
    // Invariant: what `GetModuleHandleExW` gave and `FreeLibrary` has not taken back.
    handle: HMODULE,
}

impl Module {
    /// <https://learn.microsoft.com/en-us/windows/win32/api/libloaderapi/nf-libloaderapi-getmodulehandleexw>
    fn of(at: Address) -> Option<Self> {
        let mut handle: HMODULE = null_mut();
        let address = std::ptr::without_provenance(at.value() as usize);
        let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        // SAFETY: with this flag the second argument is an address, which is compared and not read; `handle` is a place for the answer.
        let is_found = unsafe { GetModuleHandleExW(flags, address, &raw mut handle) } != 0;
        is_found.then_some(Self { handle })
    }

    fn base(&self) -> u64 {
        self.handle.addr() as u64
    }

    /// <https://learn.microsoft.com/en-us/windows/win32/api/libloaderapi/nf-libloaderapi-getmodulefilenamew>
    fn path(&self) -> String {
        let mut path = [0_u16; 1024];
        // SAFETY: the handle is open (invariant), and the place has as many characters as the system is told of.
        let length =
            unsafe { GetModuleFileNameW(self.handle, path.as_mut_ptr(), path.len() as u32) };
        String::from_utf16_lossy(&path[..path.len().min(length as usize)])
    }

    /// A copy of some of it.
    fn bytes(&self, offset: u32, size: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; size];
        let at = Address::new(self.base() + u64::from(offset));
        (read_process(at, &mut bytes) == Some(size)).then_some(bytes)
    }

    /// The directory of exports, with all that belongs to it: where it begins, and its bytes.
    fn exports(&self) -> Option<(u32, Vec<u8>)> {
        const HEADER_OFFSET: u32 = 0x3c;
        /// From the signature to the first entry of the directories, for addresses of 64 bits.
        const DIRECTORIES: u32 = 24 + 112;
        let header = word(&self.bytes(HEADER_OFFSET, 4)?, 0)?;
        let entry = self.bytes(header.checked_add(DIRECTORIES)?, 8)?;
        let (start, size) = (word(&entry, 0)?, word(&entry, 4)?);
        (size > 0).then_some(())?;
        Some((start, self.bytes(start, size as usize)?))
    }

    /// The last export at or before an offset: its name, and where it begins.
    fn export(&self, offset: u32) -> Option<(String, u32)> {
        let (start, bytes) = self.exports()?;
        let within = |rva: u32| rva.checked_sub(start).map(|at| at as usize);
        let (count, functions, names, numbers) = (
            word(&bytes, 24)?,
            within(word(&bytes, 28)?)?,
            within(word(&bytes, 32)?)?,
            within(word(&bytes, 36)?)?,
        );
        let of = |index: usize| {
            let number = bytes.get(numbers + index * 2..)?.first_chunk()?;
            let number = usize::from(u16::from_le_bytes(*number));
            let function = word(&bytes, functions + number * 4)?;
            // What lies in the directory itself is the name of a function of another library.
            let is_own = within(function).is_none_or(|at| at >= bytes.len());
            (is_own && function <= offset).then_some((function, index))
        };
        let (function, index) = (0..count as usize).filter_map(of).max()?;
        let name = bytes.get(within(word(&bytes, names + index * 4)?)?..)?;
        let end = name.iter().position(|byte| *byte == 0)?;
        Some((String::from_utf8_lossy(&name[..end]).into_owned(), function))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the handle is open (invariant), and nothing uses it after this.
        unsafe { FreeLibrary(self.handle) };
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

/// What lies at an address of the process.
pub(crate) fn location(at: Address) -> Option<ProcessLocation> {
    let module = Module::of(at)?;
    let offset = u32::try_from(at.value() - module.base()).ok();
    let export = offset.and_then(|offset| module.export(offset));
    let start = export.as_ref().map_or(0, |(_, start)| *start);
    Some(ProcessLocation {
        name: export.map(|(name, _)| name),
        object: module.path(),
        address: Address::new(module.base() + u64::from(start)),
    })
}

/// What each of `symbols` is, by name and address.
pub(crate) fn kinds_of(symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
    let functions = symbols.iter().map(|(_, at)| is_function(*at));
    functions.map(ProcessSymbolKind::of_function).collect()
}

/// Whether there is executable memory of a program or library: what the tables of exports do not tell.
/// <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-virtualquery>
fn is_function(at: Address) -> bool {
    const EXECUTABLE: u32 =
        PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
    let mut info = MEMORY_BASIC_INFORMATION::default();
    let (address, size) = (
        std::ptr::without_provenance(at.value() as usize),
        size_of_val(&info),
    );
    // SAFETY: `info` is a place for the answer, of that size; any address may be asked about.
    let answered = unsafe { VirtualQuery(address, &raw mut info, size) };
    answered != 0 && info.Type == MEM_IMAGE && info.Protect & EXECUTABLE != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::process_symbol;

    #[test]
    fn an_address_in_a_library_is_found_by_the_export_before_it() {
        let at = process_symbol("VirtualQuery").unwrap();
        let found = location(Address::new(at.value() + 1)).unwrap();
        let name = found.name.as_deref();
        let start = process_symbol(name.unwrap());
        assert_eq!(start, Some(found.address), "{found:?}");
        assert_eq!(found.address, at);
        assert!(found.object.to_lowercase().ends_with(".dll"), "{found:?}");
    }

    #[test]
    fn a_function_of_a_system_library_is_one_and_data_is_none() {
        static DATA: u8 = 1;
        assert!(is_function(process_symbol("VirtualQuery").unwrap()));
        assert!(!is_function(Address::new(&raw const DATA as u64)));
    }

    #[test]
    fn an_address_in_no_library_is_not_found() {
        let local = 0_u8;
        assert_eq!(location(Address::new(&raw const local as u64)), None);
        assert_eq!(location(Address::new(16)), None);
    }
}
