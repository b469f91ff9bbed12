//! What the system tells about this process as a whole: its pages, its addresses, its symbols, random numbers, and barriers.
//!
//! Used by the port itself when it is made, and by its files for what does not change while the process runs.

use super::mm::this_process;
use crate::model::address::{Address, Window};
use crate::model::page::PageSize;
use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::Security::Cryptography::{
    BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom,
};
use windows_sys::Win32::System::Diagnostics::Debug::{FlushInstructionCache, ReadProcessMemory};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::K32EnumProcessModules;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::FlushProcessWriteBuffers;

/// A function of a library, of a type that its caller knows.
pub(super) type Function = unsafe extern "system" fn() -> isize;

/// What does not change while the system runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) page_size: PageSize,
    pub(super) granularity: u64,
    pub(super) addresses: Window,
}

/// `GetSystemInfo`. <https://learn.microsoft.com/en-us/windows/win32/api/sysinfoapi/nf-sysinfoapi-getsysteminfo>
pub(super) fn sizes() -> Option<Sizes> {
    let mut info = SYSTEM_INFO::default();
    // SAFETY: `info` is a place for the answer.
    unsafe { GetSystemInfo(&raw mut info) };
    let lowest = Address::new(info.lpMinimumApplicationAddress as u64);
    let highest = Address::new(info.lpMaximumApplicationAddress as u64);
    Some(Sizes {
        page_size: PageSize::new(info.dwPageSize.into())?,
        granularity: info.dwAllocationGranularity.into(),
        addresses: Window::new(lowest, highest)?,
    })
}

/// A function that newer systems have.
pub(super) fn system_function(name: &CStr) -> Option<Function> {
    // SAFETY: the name is a C string, and the library is loaded as long as the process runs.
    let library = unsafe { GetModuleHandleA(c"kernelbase.dll".as_ptr().cast()) };
    if library.is_null() {
        return None;
    }
    // SAFETY: the library is loaded, and the name is a C string.
    unsafe { GetProcAddress(library, name.as_ptr().cast()) }
}

/// `GetProcAddress` in everything that is loaded: the program first, then its libraries, and `ntdll` last, although it is the first that is loaded.
/// It has functions of C for the system's own use, which know less than those of the same name that programs are linked with: its `_vsnprintf`
/// prints no floating-point numbers.
/// <https://learn.microsoft.com/en-us/windows/win32/api/libloaderapi/nf-libloaderapi-getprocaddress>
pub(super) fn symbol(name: &CStr) -> Option<Address> {
    // An ordinal would be a number in the place of the pointer; an empty name is none.
    if name.is_empty() {
        return None;
    }
    let mut modules = modules();
    // SAFETY: the name is a C string.
    let system = unsafe { GetModuleHandleA(c"ntdll.dll".as_ptr().cast()) };
    modules.sort_by_key(|module| *module == system);
    modules.into_iter().find_map(|module| {
        // SAFETY: the handle was told just now. Should another thread unload the library meanwhile, the system finds no such module or
        // no longer the symbol; the name is a C string.
        let found = unsafe { GetProcAddress(module, name.as_ptr().cast()) };
        found.map(|function| Address::new(function as *const () as u64))
    })
}

/// What is loaded, in the order in which it was.
/// <https://learn.microsoft.com/en-us/windows/win32/api/psapi/nf-psapi-enumprocessmodules>
fn modules() -> Vec<HMODULE> {
    const HANDLE_BYTES: usize = size_of::<HMODULE>();
    let mut modules: Vec<HMODULE> = vec![null_mut(); 256];
    loop {
        let (have, mut needed) = (modules.len() * HANDLE_BYTES, 0);
        let process = this_process();
        // SAFETY: the pseudo handle of the process is one at any time, and the list has that many bytes.
        let told = unsafe {
            K32EnumProcessModules(process, modules.as_mut_ptr(), have as u32, &raw mut needed)
        };
        if told == 0 {
            return Vec::new();
        }
        let count = needed as usize / HANDLE_BYTES;
        let is_whole = count <= modules.len();
        modules.resize(count, null_mut());
        if is_whole {
            return modules;
        }
    }
}

/// `ReadProcessMemory`, page by page, as far as there is memory: how many bytes that were.
/// <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-readprocessmemory>
pub(super) fn read(at: Address, into: &mut [u8]) -> usize {
    /// No smaller than this on any machine: a call within one is whole or nothing.
    const PAGE: u64 = 4096;
    let mut count = 0;
    while count < into.len() {
        let next = at.value().saturating_add(count as u64);
        let rest = &mut into[count..];
        let size = rest.len().min((PAGE - next % PAGE) as usize);
        let from = std::ptr::without_provenance(next as usize);
        let (place, mut have) = (rest.as_mut_ptr().cast(), 0);
        let process = this_process();
        // SAFETY: the pseudo handle of the process is one at any time, any address may be asked for, and the place has room for so many bytes.
        let read = unsafe { ReadProcessMemory(process, from, place, size, &raw mut have) };
        if read == 0 {
            break;
        }
        count += size;
    }
    count
}

/// `BCryptGenRandom`; 0 if the system has nothing.
/// <https://learn.microsoft.com/en-us/windows/win32/api/bcrypt/nf-bcrypt-bcryptgenrandom>
pub(super) fn random() -> u64 {
    let mut random = [0; 8];
    let (place, size) = (random.as_mut_ptr(), random.len() as u32);
    // SAFETY: the place has the eight bytes that the system is told of, and its own generator takes no handle.
    unsafe { BCryptGenRandom(null_mut(), place, size, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
    u64::from_ne_bytes(random)
}

/// <https://learn.microsoft.com/en-us/windows/win32/api/processthreadsapi/nf-processthreadsapi-flushprocesswritebuffers>
pub(super) fn barrier() {
    // SAFETY: it may be called at any time.
    unsafe { FlushProcessWriteBuffers() };
}

/// Cleans caches by address and makes all processors drop what they fetched ahead.
/// <https://learn.microsoft.com/en-us/windows/win32/api/processthreadsapi/nf-processthreadsapi-flushinstructioncache>
pub(super) fn flush_instructions(at: Address, size: u64) {
    let (process, start) = (this_process(), at.value() as *const c_void);
    // SAFETY: the pseudo handle of the process is one at any time, and what is not mapped is refused.
    unsafe { FlushInstructionCache(process, start, size as usize) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_a_system_library_has_an_address() {
        assert!(symbol(c"VirtualQuery").is_some());
        assert_eq!(symbol(c"codeslab has no such symbol"), None);
        assert_eq!(symbol(c""), None);
    }

    #[test]
    fn functions_of_c_are_those_that_programs_are_linked_with() {
        // SAFETY: the names are C strings, and the library is loaded as long as the process runs.
        let of_system = unsafe {
            let library = GetModuleHandleA(c"ntdll.dll".as_ptr().cast());
            GetProcAddress(library, c"qsort".as_ptr().cast())
        };
        let of_system = of_system.map(|function| Address::new(function as *const () as u64));
        let found = symbol(c"qsort");
        assert!(found.is_some());
        assert_ne!(found, of_system);
        assert!(symbol(c"NtClose").is_some(), "what only it has is found");
    }

    #[test]
    fn memory_is_read_as_far_as_it_is_mapped() {
        let text = *b"text";
        let mut copy = [0; 4];
        assert_eq!(read(Address::new(&raw const text as u64), &mut copy), 4);
        assert_eq!(copy, text);
        for nowhere in [0, 16, u64::MAX, 1 << 63] {
            assert_eq!(read(Address::new(nowhere), &mut copy), 0);
        }
    }

    #[test]
    fn what_the_process_has_lies_where_programs_may_have_memory() {
        let local = 0_u8;
        let Sizes { addresses, .. } = sizes().unwrap();
        for at in [&raw const local as u64, sizes as *const () as u64] {
            let byte = Window::of_range(Address::new(at), 1).unwrap();
            assert!(addresses.contains(byte), "{byte} in {addresses}");
        }
    }
}
