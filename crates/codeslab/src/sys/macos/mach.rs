//! The system calls: one thin function for each, with types in the place of flags and of values with two meanings. The other files of
//! this port call none of them; `rehearsal/mach.rs` has the same functions.
//!
//! What puts mappings where none are is safe; what replaces, changes, empties or removes mappings is not. Mach's own calls answer with a
//! `kern_return_t`. <https://developer.apple.com/documentation/kernel/mach>

use super::access::{Access, Advice, Region, Target};
use super::limits::{last_refusal, mach_refusal};
use crate::model::address::{Address, Window};
use crate::model::error::Refusal;
use crate::sys::dynamic_linker;
use std::ffi::{c_int, c_void};

type Port = u32;
type KernReturn = c_int;

const FIXED: c_int = 0;
const ANYWHERE: c_int = 1;
const OVERWRITE: c_int = 0x4000;

const INHERIT_SHARE: u32 = 0;
const INHERIT_COPY: u32 = 1;
const INHERIT_NONE: u32 = 2;

unsafe extern "C" {
    static mach_task_self_: Port;

    fn mach_vm_map(
        task: Port,
        at: *mut u64,
        size: u64,
        mask: u64,
        flags: c_int,
        object: Port,
        offset: u64,
        copy: c_int,
        access: c_int,
        most: c_int,
        inherit: u32,
    ) -> KernReturn;

    fn mach_vm_remap(
        task: Port,
        at: *mut u64,
        size: u64,
        mask: u64,
        flags: c_int,
        source_task: Port,
        source: u64,
        copy: c_int,
        access: *mut c_int,
        most: *mut c_int,
        inherit: u32,
    ) -> KernReturn;

    fn mach_vm_protect(
        task: Port,
        at: u64,
        size: u64,
        set_most: c_int,
        access: c_int,
    ) -> KernReturn;

    fn mach_vm_region(
        task: Port,
        at: *mut u64,
        size: *mut u64,
        flavor: c_int,
        info: *mut c_int,
        count: *mut u32,
        object: *mut Port,
    ) -> KernReturn;

    fn mach_vm_read_overwrite(
        task: Port,
        at: u64,
        size: u64,
        into: u64,
        have: *mut u64,
    ) -> KernReturn;

    fn task_info(task: Port, flavor: u32, info: *mut c_int, count: *mut u32) -> KernReturn;

    fn sys_icache_invalidate(start: *mut c_void, size: usize);
}

/// The process, as Mach names it to itself.
fn this_task() -> Port {
    // SAFETY: the C library sets it before the program begins, and it does not change.
    unsafe { mach_task_self_ }
}

/// sysconf; 0 if the system does not tell.
pub(super) fn page_bytes() -> u64 {
    // SAFETY: any name may be asked for.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(page).unwrap_or(0)
}

/// `mach_vm_map` without an object: address space without access wherever there is some, at a multiple of `align`.
pub(super) fn reserve(size: u64, align: u64) -> Result<Address, Refusal> {
    // SAFETY: the system chooses addresses at which nothing is mapped.
    unsafe { map_nothing(0, size, align - 1, ANYWHERE) }
}

/// The same exactly there, unless anything is mapped there already.
pub(super) fn reserve_at(at: Address, size: u64) -> Result<(), Refusal> {
    // SAFETY: without VM_FLAGS_OVERWRITE the system refuses where anything is mapped.
    unsafe { map_nothing(at.value(), size, 0, FIXED) }.map(drop)
}

/// # Safety
/// - `flags` do not replace what is mapped.
unsafe fn map_nothing(mut at: u64, size: u64, mask: u64, flags: c_int) -> Result<Address, Refusal> {
    let (none, all) = (Access::NONE.bits(), Access::ALL.bits());
    // SAFETY: `at` is a place for the answer, and nothing is replaced.
    let answer = unsafe {
        mach_vm_map(
            this_task(),
            &raw mut at,
            size,
            mask,
            flags,
            0,
            0,
            0,
            none,
            all,
            INHERIT_COPY,
        )
    };
    match answer {
        0 => Ok(Address::new(at)),
        refused => Err(mach_refusal("mach_vm_map", size, refused, flags == FIXED)),
    }
}

/// mmap with `MAP_JIT` and without access, wherever the system likes, or near `hint`. It cannot be told to be exact.
/// <https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/mmap.2.html>
pub(super) fn reserve_jit(hint: Address, size: u64) -> Result<Address, Refusal> {
    // SAFETY: without MAP_FIXED the system chooses addresses at which nothing is mapped.
    unsafe { mmap(hint, size, Access::NONE, libc::MAP_JIT) }
}

/// Memory without access that is to be mapped again elsewhere, near `hint`. Forked children do not get it.
pub(super) fn map_source(hint: Address, size: u64) -> Result<Address, Refusal> {
    // SAFETY: without MAP_FIXED the system chooses addresses at which nothing is mapped.
    let at = unsafe { mmap(hint, size, Access::NONE, 0) }?;
    // SAFETY: the range was mapped just now. Should it be refused, children get a copy that no code of theirs knows.
    unsafe {
        libc::minherit(
            at.value() as *mut c_void,
            size as usize,
            INHERIT_NONE.cast_signed(),
        )
    };
    Ok(at)
}

/// mmap with `MAP_FIXED`: fresh private memory exactly there, in place of what is mapped there now. Refused, it leaves that.
///
/// # Safety
/// - The range is mapped by this process for codeslab, in a reservation that is not released.
/// - No other thread changes mappings in it at the same time.
/// - No thread uses what is mapped there now, at the same time or later.
pub(super) unsafe fn map_over(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    // SAFETY: what is replaced is codeslab's own, which no thread changes or uses meanwhile, nor what was there later.
    unsafe { mmap(at, size, access, libc::MAP_FIXED) }.map(drop)
}

/// # Safety
/// - With `MAP_FIXED` in `flags`: the three obligations of [`map_over`].
unsafe fn mmap(at: Address, size: u64, access: Access, flags: c_int) -> Result<Address, Refusal> {
    const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
    let (hint, length) = (at.value() as *mut c_void, size as usize);
    // SAFETY: with MAP_FIXED, what is replaced is codeslab's own and neither used nor changed by another thread; without it, nothing is.
    let got = unsafe { libc::mmap(hint, length, access.bits(), flags | PRIVATE, -1, 0) };
    if got == libc::MAP_FAILED {
        Err(last_refusal("mmap", size))
    } else {
        Ok(Address::new(got as u64))
    }
}

/// `mach_vm_remap`: maps memory of this process once more, with the rights that it has where it is. What is `MAP_JIT` stays that.
///
/// # Safety
/// - The source is mapped by this process for codeslab until the function returns.
/// - [`Target::Over`]: the three obligations of [`map_over`].
pub(super) unsafe fn remap(source: Address, size: u64, target: Target) -> Result<Address, Refusal> {
    let (start, flags, inherit) = match target {
        Target::Over(at) => (at, FIXED | OVERWRITE, INHERIT_SHARE),
        Target::From(at) => (at, ANYWHERE, INHERIT_NONE),
    };
    let (mut at, task) = (start.value(), this_task());
    let (mut access, mut most) = (0, 0);
    let (rights, most) = (&raw mut access, &raw mut most);
    // SAFETY: the source is mapped, and what is replaced is codeslab's own and neither used nor changed by another thread. The others are
    // places for answers.
    let answer = unsafe {
        mach_vm_remap(
            task,
            &raw mut at,
            size,
            0,
            flags,
            task,
            source.value(),
            0,
            rights,
            most,
            inherit,
        )
    };
    match (answer, target) {
        (0, _) => Ok(Address::new(at)),
        // Above that there is nothing, or the system keeps ranges apart: then wherever it likes.
        (_, Target::From(hint)) if hint.value() > 0 => {
            // SAFETY: the source is mapped, and nothing is replaced.
            unsafe { remap(source, size, Target::From(Address::new(0))) }
        }
        (refused, _) => Err(mach_refusal("mach_vm_remap", size, refused, false)),
    }
}

/// munmap.
///
/// # Safety
/// - The range was mapped by this process for codeslab, which has not unmapped it.
/// - No thread uses it, at the same time or later.
pub(super) unsafe fn unmap(at: Address, size: u64) -> Result<(), Refusal> {
    // SAFETY: the range is mapped and codeslab's own, and no thread uses it from now on.
    let answer = unsafe { libc::munmap(at.value() as *mut c_void, size as usize) };
    refused_unless_zero("munmap", size, answer)
}

/// mprotect.
///
/// # Safety
/// - The range is mapped by this process for codeslab.
/// - No other thread changes mappings in it at the same time.
/// - No thread uses it in a way that `access` forbids, at the same time or later.
pub(super) unsafe fn protect(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    let start = at.value() as *mut c_void;
    // SAFETY: the range is codeslab's own, whose mappings no other thread changes, and which no thread uses otherwise than it may afterwards.
    let answer = unsafe { libc::mprotect(start, size as usize, access.bits()) };
    refused_unless_zero("mprotect", size, answer)
}

/// `mach_vm_protect` of the most that the mapping may be used for, from now on.
///
/// # Safety
/// - The range is mapped by this process for codeslab, for no more than `access`.
/// - No other thread changes mappings in it at the same time.
pub(super) unsafe fn restrict(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    // SAFETY: the range is codeslab's own, no other thread changes its mappings, and what it is used for it may be used for.
    let answer = unsafe { mach_vm_protect(this_task(), at.value(), size, 1, access.bits()) };
    match answer {
        0 => Ok(()),
        refused => Err(mach_refusal("mach_vm_protect", size, refused, false)),
    }
}

/// madvise. Pages that are to be reusable have to be writable, or of `MAP_JIT`.
///
/// # Safety
/// - The range is mapped by this process for codeslab until the function returns.
/// - With [`Advice::Reusable`]: no thread uses it at the same time, nor relies later on what it holds.
pub(super) unsafe fn advise(at: Address, size: u64, advice: Advice) -> Result<(), Refusal> {
    let advice = match advice {
        Advice::Reusable => libc::MADV_FREE_REUSABLE,
        Advice::Reuse => libc::MADV_FREE_REUSE,
    };
    let start = at.value() as *mut c_void;
    // SAFETY: the range is mapped and ours; what is reusable is neither used nor relied on.
    let answer = unsafe { libc::madvise(start, size as usize, advice) };
    refused_unless_zero("madvise", size, answer)
}

/// mincore: which of these pages have ever been touched, in memory or not. None where the system does not tell.
///
/// # Safety
/// - The range is mapped by this process for codeslab until the function returns.
pub(super) unsafe fn touched(at: Address, size: u64, page: u64) -> Option<Vec<bool>> {
    let mut states = vec![0_u8; (size / page) as usize];
    let (start, place) = (at.value() as *const c_void, states.as_mut_ptr().cast());
    // SAFETY: the range is mapped, and there is a byte for each of its pages.
    let answer = unsafe { libc::mincore(start, size as usize, place) };
    (answer == 0).then(|| states.into_iter().map(|state| state != 0).collect())
}

/// `mach_vm_region`: the lowest mapping that ends above `at`, with what it may be used for.
pub(super) fn region_from(at: Address) -> Option<Region> {
    /// `VM_REGION_BASIC_INFO_64`; its first word is the protection.
    const BASIC_INFO: c_int = 9;
    const WORDS: usize = 9;
    let (mut start, mut size, mut object) = (at.value(), 0, 0);
    let (mut info, mut count) = ([0; WORDS], WORDS as u32);
    // SAFETY: each is a place for an answer, and `info` has as many words as it says.
    let answer = unsafe {
        mach_vm_region(
            this_task(),
            &raw mut start,
            &raw mut size,
            BASIC_INFO,
            info.as_mut_ptr(),
            &raw mut count,
            &raw mut object,
        )
    };
    let range = Window::of_range(Address::new(start), size).filter(|_| answer == 0)?;
    let access = Access::from_bits(info[0]);
    Some(Region { range, access })
}

/// `mach_vm_read_overwrite` of memory in one page: all of it or nothing.
pub(super) fn read(at: u64, into: &mut [u8]) -> bool {
    let (place, mut have) = (into.as_mut_ptr() as u64, 0);
    let size = into.len() as u64;
    // SAFETY: any address may be asked for, and the place has room for so many bytes.
    let answer = unsafe { mach_vm_read_overwrite(this_task(), at, size, place, &raw mut have) };
    answer == 0 && have == size
}

/// Bytes of address space that the process has now; 0 where the system does not tell.
pub(super) fn address_space_bytes() -> u64 {
    /// `MACH_TASK_BASIC_INFO`, which begins with the virtual size in two words.
    const BASIC_INFO: u32 = 20;
    const WORDS: usize = 12;
    let (mut info, mut count) = ([0_i32; WORDS], WORDS as u32);
    // SAFETY: each is a place for an answer, and `info` has as many words as it says.
    unsafe { task_info(this_task(), BASIC_INFO, info.as_mut_ptr(), &raw mut count) };
    u64::from(info[0].cast_unsigned()) | u64::from(info[1].cast_unsigned()) << 32
}

/// `sys_icache_invalidate`: fetches of all processors see what was written there. Cleans the data cache, too.
///
/// # Safety
/// - The range is mapped, readable or executable, until the function returns.
pub(super) unsafe fn invalidate_instructions(at: Address, size: u64) {
    // SAFETY: the range is mapped. It is cleaned by address, which is no more than reading.
    unsafe { sys_icache_invalidate(at.value() as *mut c_void, size as usize) };
}

/// The switch between writing to memory of `MAP_JIT` and executing it, which each thread has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switch(unsafe extern "C" fn(c_int));

impl Switch {
    /// The switch of this process, if its processor and system have one. They are looked up: macOS has them from version 11 on.
    /// <https://keith.github.io/xcode-man-pages/pthread_jit_write_protect_np.3.html>
    pub(super) fn of_process() -> Option<Self> {
        let is_supported = dynamic_linker::symbol(c"pthread_jit_write_protect_supported_np")?;
        let switch = dynamic_linker::symbol(c"pthread_jit_write_protect_np")?;
        // SAFETY: what the process calls so is the C library's function of that name, whose type this is.
        let is_supported: unsafe extern "C" fn() -> c_int =
            unsafe { std::mem::transmute(is_supported.value() as usize) };
        // SAFETY: what the process calls so is the C library's function of that name, whose type this is.
        let switch: unsafe extern "C" fn(c_int) =
            unsafe { std::mem::transmute(switch.value() as usize) };
        // SAFETY: it may be called at any time.
        (unsafe { is_supported() } != 0).then_some(Self(switch))
    }

    /// Lets this thread write to memory of `MAP_JIT`, or else execute it.
    ///
    /// # Safety
    /// - Until it is switched back, this thread executes nothing in memory of `MAP_JIT`.
    pub(super) unsafe fn set_writable(self, is_writable: bool) {
        // SAFETY: the process has the switch, and this thread executes nothing that it could not.
        unsafe { (self.0)(c_int::from(!is_writable)) };
    }
}

/// What is asked of `csops`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// The flags of the signature.
    Status = 0,
    /// The entitlements.
    Entitlements = 7,
}

/// `csops` about this process: whether it answered all that the place has room for. It is looked up, because no header declares it.
pub(super) fn ask_signature(question: Question, answer: &mut [u8]) -> bool {
    let Some(csops) = dynamic_linker::symbol(c"csops") else {
        return false;
    };
    // SAFETY: what the process calls so is the C library's function of that name, whose type this is.
    let csops: unsafe extern "C" fn(i32, u32, *mut c_void, usize) -> c_int =
        unsafe { std::mem::transmute(csops.value() as usize) };
    let (place, room) = (answer.as_mut_ptr().cast(), answer.len());
    let process = std::process::id().cast_signed();
    // SAFETY: the place has as much room as it says.
    unsafe { csops(process, question as u32, place, room) == 0 }
}

fn refused_unless_zero(call: &'static str, size: u64, answer: c_int) -> Result<(), Refusal> {
    if answer == 0 {
        Ok(())
    } else {
        Err(last_refusal(call, size))
    }
}
