//! The calls that map memory: one thin function for each, with types in the place of flags.
//!
//! Placeholders came with Windows 10 1803, in functions that older systems do not export, so these are looked up when the port is made
//! ([`Placeholders::of_system`]) and the process starts either way. What is there everywhere (private memory in plain reservations, questions)
//! is a function of this file. The other files of this port call none of the system's functions about memory themselves.
//! <https://learn.microsoft.com/en-us/windows/win32/memory/memory-management-functions>

use super::limits::last_refusal;
use super::process;
use crate::model::address::{Address, Window};
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use std::ffi::c_void;
use std::ptr::{NonNull, null, null_mut};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Memory as win;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// What pages may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access(u32);

impl Access {
    pub(super) const READ_WRITE: Self = Self(win::PAGE_READWRITE);
}

impl From<Protection> for Access {
    fn from(protection: Protection) -> Self {
        match protection {
            Protection::ReadExecute => Self(win::PAGE_EXECUTE_READ),
            Protection::ReadOnly => Self(win::PAGE_READONLY),
            Protection::ReadWrite => Self::READ_WRITE,
        }
    }
}

type VirtualAlloc2 = unsafe extern "system" fn(
    HANDLE,
    *const c_void,
    usize,
    u32,
    u32,
    *mut win::MEM_EXTENDED_PARAMETER,
    u32,
) -> *mut c_void;

type MapViewOfFile3 = unsafe extern "system" fn(
    HANDLE,
    HANDLE,
    *const c_void,
    u64,
    usize,
    u32,
    u32,
    *mut win::MEM_EXTENDED_PARAMETER,
    u32,
) -> *mut c_void;

type UnmapViewOfFile2 = unsafe extern "system" fn(HANDLE, *mut c_void, u32) -> i32;

/// Where the system is to look for address space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requirements {
    /// The lowest address, a multiple of the granularity; 0 for any.
    pub(super) lowest: u64,
    /// A power of two, at least the granularity; 0 for the granularity.
    pub(super) align: u64,
}

/// Reservations that can be cut into pieces and joined again, each replaced by a view or by private memory and back, without a moment
/// in which another thread could get the address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placeholders {
    allocate: VirtualAlloc2,
    map: MapViewOfFile3,
    unmap: UnmapViewOfFile2,
}

impl Placeholders {
    /// `None` before Windows 10 1803.
    pub(super) fn of_system() -> Option<Self> {
        let allocate = process::system_function(c"VirtualAlloc2")?;
        let map = process::system_function(c"MapViewOfFile3")?;
        let unmap = process::system_function(c"UnmapViewOfFile2")?;
        // SAFETY: this is the function of that name, and the type is the one of its documentation.
        let allocate = unsafe { std::mem::transmute::<process::Function, VirtualAlloc2>(allocate) };
        // SAFETY: this is the function of that name, and the type is the one of its documentation.
        let map = unsafe { std::mem::transmute::<process::Function, MapViewOfFile3>(map) };
        // SAFETY: this is the function of that name, and the type is the one of its documentation.
        let unmap = unsafe { std::mem::transmute::<process::Function, UnmapViewOfFile2>(unmap) };
        Some(Self {
            allocate,
            map,
            unmap,
        })
    }

    /// Reserves a placeholder wherever the system likes.
    pub(super) fn reserve(&self, size: u64, required: Requirements) -> Result<Address, Refusal> {
        let mut requirements = win::MEM_ADDRESS_REQUIREMENTS {
            LowestStartingAddress: required.lowest as *mut c_void,
            HighestEndingAddress: null_mut(),
            Alignment: required.align as usize,
        };
        let mut parameter = win::MEM_EXTENDED_PARAMETER {
            Anonymous1: win::MEM_EXTENDED_PARAMETER_0 {
                _bitfield: win::MemExtendedParameterAddressRequirements as u64,
            },
            Anonymous2: win::MEM_EXTENDED_PARAMETER_1 {
                Pointer: (&raw mut requirements).cast(),
            },
        };
        // SAFETY: no address is asked for, so nothing is replaced; the one parameter lives until the call returns.
        unsafe { self.reserve_with(Address::new(0), size, &raw mut parameter, 1) }
    }

    /// Reserves a placeholder exactly there, unless anything is there already.
    pub(super) fn reserve_at(&self, at: Address, size: u64) -> Result<(), Refusal> {
        // SAFETY: a new placeholder replaces nothing, and there are no parameters.
        unsafe { self.reserve_with(at, size, null_mut(), 0) }.map(drop)
    }

    /// # Safety
    /// - There are `count` parameters at `parameters`.
    unsafe fn reserve_with(
        &self,
        at: Address,
        size: u64,
        parameters: *mut win::MEM_EXTENDED_PARAMETER,
        count: u32,
    ) -> Result<Address, Refusal> {
        let kind = win::MEM_RESERVE | win::MEM_RESERVE_PLACEHOLDER;
        let access = win::PAGE_NOACCESS;
        // SAFETY: what is new replaces nothing, and the parameters are there.
        let got = unsafe {
            (self.allocate)(
                null_mut(),
                pointer(at),
                size as usize,
                kind,
                access,
                parameters,
                count,
            )
        };
        refused_if_null("VirtualAlloc2", size, got)
    }

    /// Replaces a whole placeholder by zeroed private memory.
    ///
    /// # Safety
    /// - The range is a whole placeholder of codeslab's, which no other thread changes.
    pub(super) unsafe fn commit(
        &self,
        at: Address,
        size: u64,
        access: Access,
    ) -> Result<(), Refusal> {
        let kind = win::MEM_RESERVE | win::MEM_COMMIT | win::MEM_REPLACE_PLACEHOLDER;
        // SAFETY: what is replaced is a placeholder of ours, which has no access, so no thread uses it.
        let got = unsafe {
            (self.allocate)(
                null_mut(),
                pointer(at),
                size as usize,
                kind,
                access.0,
                null_mut(),
                0,
            )
        };
        refused_if_null("VirtualAlloc2", size, got).map(drop)
    }

    /// Replaces a whole placeholder by a view of a section.
    ///
    /// # Safety
    /// - The range is a whole placeholder of codeslab's, which no other thread changes, and as long as the section.
    pub(super) unsafe fn map(
        &self,
        section: &Section,
        at: Address,
        access: Access,
    ) -> Result<(), Refusal> {
        let kind = win::MEM_REPLACE_PLACEHOLDER;
        // SAFETY: what is replaced is a placeholder of ours, which has no access, so no thread uses it.
        unsafe { self.map_with(section, at, kind, access) }.map(drop)
    }

    /// # Safety
    /// - If a placeholder is replaced, it is codeslab's, whole, and changed by no other thread.
    unsafe fn map_with(
        &self,
        section: &Section,
        at: Address,
        kind: u32,
        access: Access,
    ) -> Result<Address, Refusal> {
        let (size, handle) = (section.size, section.handle.0);
        let process = this_process();
        // SAFETY: the section is open, and what is replaced, if anything, is a placeholder of ours that no thread uses.
        let view = unsafe {
            (self.map)(
                handle,
                process,
                pointer(at),
                0,
                size as usize,
                kind,
                access.0,
                null_mut(),
                0,
            )
        };
        refused_if_null("MapViewOfFile3", size, view)
    }

    /// Turns a view into a placeholder.
    ///
    /// # Safety
    /// - It is a whole view of codeslab's, and no thread uses it, at the same time or later.
    pub(super) unsafe fn unmap(&self, at: Address, size: u64) -> Result<(), Refusal> {
        let process = this_process();
        // SAFETY: the view is ours and whole, and no thread uses it from now on.
        let answer = unsafe { (self.unmap)(process, pointer(at), win::MEM_PRESERVE_PLACEHOLDER) };
        refused_if_zero("UnmapViewOfFile2", size, answer)
    }
}

/// How reserved ranges are freed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Free {
    /// A whole reservation or placeholder goes back to the system.
    Release,
    /// Part of a placeholder becomes one of its own, or private memory becomes one.
    ToPlaceholder,
    /// Neighbouring placeholders become one.
    Coalesce,
    /// Private pages lose their memory and stay reserved.
    Decommit,
}

/// `GetCurrentProcess`: a handle that is one at any time. <https://learn.microsoft.com/en-us/windows/win32/api/processthreadsapi/nf-processthreadsapi-getcurrentprocess>
pub(super) fn this_process() -> HANDLE {
    // SAFETY: it takes nothing and tells a constant.
    unsafe { GetCurrentProcess() }
}

/// `VirtualFree`. <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-virtualfree>
///
/// # Safety
/// - The range is codeslab's and of the kind that `free` says, and no other thread changes it.
/// - No thread uses what it holds, at the same time or later.
pub(super) unsafe fn free(at: Address, size: u64, free: Free) -> Result<(), Refusal> {
    // The bindings lack it.
    const MEM_COALESCE_PLACEHOLDERS: u32 = 1;
    let (length, kind) = match free {
        Free::Release => (0, win::MEM_RELEASE),
        Free::ToPlaceholder => (size, win::MEM_RELEASE | win::MEM_PRESERVE_PLACEHOLDER),
        Free::Coalesce => (size, win::MEM_RELEASE | MEM_COALESCE_PLACEHOLDERS),
        Free::Decommit => (size, win::MEM_DECOMMIT),
    };
    // SAFETY: the range is ours, and no thread uses what is freed.
    let answer = unsafe { win::VirtualFree(pointer(at), length as usize, kind) };
    refused_if_zero("VirtualFree", size, answer)
}

/// Reserves address space in the way of systems without placeholders: at `at`, or anywhere if that is 0.
pub(super) fn reserve_plain(at: Address, size: u64) -> Result<Address, Refusal> {
    // SAFETY: reserving replaces nothing.
    let got = unsafe {
        win::VirtualAlloc(
            pointer(at),
            size as usize,
            win::MEM_RESERVE,
            win::PAGE_NOACCESS,
        )
    };
    refused_if_null("VirtualAlloc", size, got)
}

/// Gives reserved pages zeroed memory. <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-virtualalloc>
///
/// # Safety
/// - The range is part of one plain reservation, or of private memory, of codeslab's; it has no memory, and no other thread changes it.
pub(super) unsafe fn commit_plain(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    // SAFETY: the range is reserved and ours.
    let got = unsafe { win::VirtualAlloc(pointer(at), size as usize, win::MEM_COMMIT, access.0) };
    refused_if_null("VirtualAlloc", size, got).map(drop)
}

/// `VirtualProtect`. <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-virtualprotect>
///
/// # Safety
/// - The range is part of one allocation of private memory of codeslab's, and no other thread changes it.
/// - No thread uses it in a way that `access` forbids, at the same time or later.
pub(super) unsafe fn protect(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    let mut before = 0;
    // SAFETY: the range is private memory of ours, which no thread uses otherwise than it may afterwards.
    let answer =
        unsafe { win::VirtualProtect(pointer(at), size as usize, access.0, &raw mut before) };
    refused_if_zero("VirtualProtect", size, answer)
}

/// A run of pages with equal attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) range: Window,
    pub(super) is_free: bool,
}

/// `VirtualQuery`; `None` above what programs may have.
/// <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-virtualquery>
pub(super) fn query(at: Address) -> Option<Run> {
    let mut info = win::MEMORY_BASIC_INFORMATION::default();
    let size = size_of_val(&info);
    // SAFETY: `info` is a place for the answer, of that size; any address may be asked about.
    let answered = unsafe { win::VirtualQuery(pointer(at), &raw mut info, size) };
    if answered == 0 {
        return None;
    }
    let range = Window::of_range(
        Address::new(info.BaseAddress as u64),
        info.RegionSize as u64,
    )?;
    Some(Run {
        range,
        is_free: info.State == win::MEM_FREE,
    })
}

/// Memory that can be mapped more than once, backed by the paging file. It counts as committed as long as it is open or mapped.
#[derive(Debug)]
pub(super) struct Section {
    handle: Handle,
    size: u64,
}

impl Section {
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Makes one of zeroed memory, which may be mapped for execution and for writing, if never both at one address.
    /// <https://learn.microsoft.com/en-us/windows/win32/api/memoryapi/nf-memoryapi-createfilemappingw>
    pub(super) fn create(size: u64) -> Result<Self, Refusal> {
        let (high, low) = ((size >> 32) as u32, size as u32);
        // SAFETY: it has neither a file nor attributes nor a name.
        let handle = unsafe {
            win::CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                null(),
                win::PAGE_EXECUTE_READWRITE,
                high,
                low,
                null(),
            )
        };
        if handle.is_null() {
            return Err(last_refusal("CreateFileMappingW", size));
        }
        let handle = Handle(handle);
        Ok(Self { handle, size })
    }

    /// Maps it for writing wherever the system likes.
    pub(super) fn write_view(&self) -> Result<WriteView, Refusal> {
        // SAFETY: no address is asked for, so nothing is replaced, and the section is open.
        let view = unsafe {
            win::MapViewOfFile(self.handle.0, win::FILE_MAP_WRITE, 0, 0, self.size as usize)
        };
        match NonNull::new(view.Value.cast()) {
            Some(start) => Ok(WriteView { start }),
            None => Err(last_refusal("MapViewOfFile", self.size)),
        }
    }
}

/// A handle that is closed when it is dropped.
#[derive(Debug)]
struct Handle(HANDLE);

// SAFETY: handles are numbers that the system takes from any thread.
unsafe impl Send for Handle {}
// SAFETY: handles are numbers that the system takes from any thread.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and closed nowhere else.
        unsafe { CloseHandle(self.0) };
    }
}

/// A writable view of a whole section, for as long as it lives.
#[derive(Debug)]
pub(super) struct WriteView {
    start: NonNull<u8>,
}

// SAFETY: the view is memory of the process, and its users write where they have the bytes to themselves.
unsafe impl Send for WriteView {}
// SAFETY: the view is memory of the process, and its users write where they have the bytes to themselves.
unsafe impl Sync for WriteView {}

impl WriteView {
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for WriteView {
    fn drop(&mut self) {
        let view = win::MEMORY_MAPPED_VIEW_ADDRESS {
            Value: self.start.as_ptr().cast(),
        };
        // SAFETY: the view is whole, and those who wrote through it have borrowed it.
        unsafe { win::UnmapViewOfFile(view) };
    }
}

const fn pointer(at: Address) -> *mut c_void {
    at.value() as *mut c_void
}

fn refused_if_null(call: &'static str, size: u64, got: *mut c_void) -> Result<Address, Refusal> {
    if got.is_null() {
        Err(last_refusal(call, size))
    } else {
        Ok(Address::new(got as u64))
    }
}

fn refused_if_zero(call: &'static str, size: u64, answer: i32) -> Result<(), Refusal> {
    if answer == 0 {
        Err(last_refusal(call, size))
    } else {
        Ok(())
    }
}
