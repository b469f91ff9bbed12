//! What a process has of Windows: address space, committed memory, handles. For tests of what is taken and given back.
#![allow(unsafe_code)] // It asks the system.

use std::ffi::c_void;
use std::ptr::null;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_FREE, MEMORY_BASIC_INFORMATION, VirtualQuery,
};
use windows_sys::Win32::System::Threading::GetCurrentProcessId;

/// Every run of pages of the process that is not free.
#[must_use]
pub fn runs() -> Vec<MEMORY_BASIC_INFORMATION> {
    let mut at = null::<c_void>();
    let next = move || {
        loop {
            let mut info = MEMORY_BASIC_INFORMATION::default();
            // SAFETY: the answer has the size that is passed with it.
            if unsafe { VirtualQuery(at, &raw mut info, size_of_val(&info)) } == 0 {
                return None;
            }
            at = info.BaseAddress.wrapping_byte_add(info.RegionSize);
            if info.State != MEM_FREE {
                return Some(info);
            }
        }
    };
    std::iter::from_fn(next).collect()
}

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtQuerySystemInformation(class: i32, into: *mut c_void, size: u32, needed: *mut u32) -> i32;
}

/// How many handles of this process are open, as the list of all handles of the system says: `GetProcessHandleCount` is 0 on Wine.
///
/// Source: `SYSTEM_HANDLE_INFORMATION_EX`: a count, a word that is not used, and for each handle five words, of which the second is its process.
fn handles() -> usize {
    const EXTENDED_HANDLE_INFORMATION: i32 = 64;
    const TOO_SHORT: i32 = 0xc000_0004_u32.cast_signed();
    const HEAD: usize = 2;
    const ENTRY: usize = 5;
    const OWNER: usize = 1;
    let mut words = vec![0_u64; 1 << 16];
    loop {
        let (into, size) = (words.as_mut_ptr().cast(), size_of_val(&words[..]) as u32);
        let mut needed = 0;
        // SAFETY: there is room for so many bytes, and for the number of those that it would take.
        let status = unsafe {
            NtQuerySystemInformation(EXTENDED_HANDLE_INFORMATION, into, size, &raw mut needed)
        };
        if status != TOO_SHORT {
            assert_eq!(status, 0, "{status:#x}");
            break;
        }
        words.resize(words.len() * 2, 0);
    }
    // SAFETY: it takes nothing and gives a number.
    let own = u64::from(unsafe { GetCurrentProcessId() });
    let entries = words[HEAD..].chunks_exact(ENTRY).take(words[0] as usize);
    let count = entries.filter(|entry| entry[OWNER] == own).count();
    assert!(count > 0, "a process has handles");
    count
}

/// What the process has.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Bytes of address space that are not free.
    pub reserved: usize,
    /// Bytes of memory.
    pub committed: usize,
    /// Pieces of address space that were asked for one by one: reservations, placeholders, views, files.
    pub regions: usize,
    /// Open handles.
    pub handles: usize,
}

impl Usage {
    /// What it has now.
    #[must_use]
    pub fn now() -> Self {
        let runs = runs();
        let committed = runs.iter().filter(|run| run.State == MEM_COMMIT);
        // The runs of one region lie behind each other.
        let is_same =
            |pair: &&[MEMORY_BASIC_INFORMATION]| pair[0].AllocationBase == pair[1].AllocationBase;
        Self {
            reserved: runs.iter().map(|run| run.RegionSize).sum(),
            committed: committed.map(|run| run.RegionSize).sum(),
            regions: runs.len() - runs.windows(2).filter(is_same).count(),
            handles: handles(),
        }
    }

    /// Whether nothing is left of what came between; the heap and threads that ended keep some bytes.
    fn is_back_at(self, before: Self) -> bool {
        const KEPT: usize = 16 << 20;
        self.reserved.abs_diff(before.reserved) < KEPT
            && self.committed.abs_diff(before.committed) < KEPT
            && self.regions <= before.regions
            && self.handles <= before.handles
    }
}

/// Does some work a few times, and wants address space, its regions, committed memory and handles to be as they were before one of these times.
///
/// What is lost is lost each time. The heap grows as well, with the threads that happened to run at once, but soon enough not any more.
///
/// # Panics
/// If each time leaves something.
pub fn assert_ends_where_it_began(work: impl Fn()) {
    const TIMES: usize = 5;
    work();
    let mut seen = vec![Usage::now()];
    while seen.len() < TIMES {
        work();
        let before = seen[seen.len() - 1];
        let now = Usage::now();
        if now.is_back_at(before) {
            return;
        }
        seen.push(now);
    }
    panic!("{seen:#?}");
}
