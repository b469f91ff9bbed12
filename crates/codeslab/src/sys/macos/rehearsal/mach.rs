//! The calls of `mach.rs`, made of those of Linux. What macOS refuses is refused (`rules`):
//!
//! - Memory of `MAP_JIT` is mapped where the system likes, and takes no mapping's place unless it is mapped a second time.
//! - No other memory is writable and executable; and that keeps its rights once it is.
//! - It *is* writable for as long as a thread is switched to writing: others write to it as well meanwhile, which a Mac's would not. When none
//!   is, a store to it faults.
//! - Pages are given back if they are writable, or of `MAP_JIT`. The latter stay what they were: the port must not count on zeros.
//! - What is mapped a second time is shared memory of Linux, which a forked child shares.

use super::access::{Access, Advice, Region, Target};
use super::limits::{last_refusal, mach_refusal};
use super::rules::{IS_WRITING, Rehearsed, Rules};
use crate::model::address::{Address, Window};
use crate::model::error::{Limit, Refusal};
use crate::sys::arch::{Native, Processor};
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
const SHARED: c_int = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
const NO_SPACE: i32 = 3;

fn window(at: Address, size: u64) -> Window {
    Window::of_range(at, size).expect("a range")
}

fn start(at: Address) -> *mut c_void {
    at.value() as *mut c_void
}

fn refused_unless(is_done: bool, call: &'static str, size: u64) -> Result<(), Refusal> {
    is_done
        .then_some(())
        .ok_or_else(|| last_refusal(call, size))
}

/// What the rules refuse.
const fn forbidden(call: &'static str, size: u64) -> Refusal {
    Refusal {
        call,
        errno: libc::EACCES,
        size,
        limit: Limit::Policy,
    }
}

/// # Safety
/// - With `MAP_FIXED`: what is replaced is codeslab's own, and not used any more.
unsafe fn mmap(at: Address, size: u64, access: Access, flags: c_int) -> Result<Address, Refusal> {
    // SAFETY: what is replaced, if anything, is codeslab's own and not used.
    let got = unsafe { libc::mmap(start(at), size as usize, access.bits(), flags, -1, 0) };
    if got == libc::MAP_FAILED {
        return Err(last_refusal("mmap", size));
    }
    Ok(Address::new(got as u64))
}

pub(super) fn page_bytes() -> u64 {
    match Rehearsed::of_process() {
        Rehearsed::Intel => 4 << 10,
        _ => 16 << 10,
    }
}

/// Memory without access of one kind, near `hint`, at a multiple of `align`.
fn anywhere(hint: Address, size: u64, align: u64, kind: c_int) -> Result<Address, Refusal> {
    if hint.value() > 0 {
        // SAFETY: with this flag nothing is replaced.
        let exact = unsafe { mmap(hint, size, Access::NONE, kind | libc::MAP_FIXED_NOREPLACE) };
        if exact.is_ok() {
            return exact;
        }
    }
    let padded = size.checked_add(align);
    let padded = padded.ok_or_else(|| mach_refusal("mach_vm_map", size, NO_SPACE, false))?;
    // SAFETY: nothing is replaced.
    let got = unsafe { mmap(Address::new(0), padded, Access::NONE, kind) }?;
    let at = Address::new(got.value().next_multiple_of(align));
    let head = at.distance(got);
    for (part, size) in [(got, head), (Address::new(at.value() + size), align - head)] {
        if size > 0 {
            // SAFETY: it is part of what was mapped just now, and its address was told to no other code.
            unsafe { libc::munmap(start(part), size as usize) };
        }
    }
    Ok(at)
}

pub(super) fn reserve(size: u64, align: u64) -> Result<Address, Refusal> {
    anywhere(Address::new(0), size, align, PRIVATE)
}

pub(super) fn reserve_at(at: Address, size: u64) -> Result<(), Refusal> {
    // SAFETY: with this flag nothing is replaced.
    let got = unsafe { mmap(at, size, Access::NONE, PRIVATE | libc::MAP_FIXED_NOREPLACE) };
    match got {
        Err(refusal) if refusal.errno == libc::EEXIST => {
            Err(mach_refusal("mach_vm_map", size, NO_SPACE, true))
        }
        got => got.map(drop),
    }
}

pub(super) fn reserve_jit(hint: Address, size: u64) -> Result<Address, Refusal> {
    if Rehearsed::of_process() == Rehearsed::Unentitled {
        return Err(Refusal {
            errno: libc::EINVAL,
            limit: Limit::Unknown,
            ..forbidden("mmap", size)
        });
    }
    let mut rules = Rules::lock();
    let at = anywhere(hint, size, page_bytes(), SHARED)?;
    rules.jit.insert(window(at, size));
    Ok(at)
}

pub(super) fn map_source(hint: Address, size: u64) -> Result<Address, Refusal> {
    let at = anywhere(hint, size, page_bytes(), SHARED)?;
    // SAFETY: the range was mapped just now, and children have no use for it.
    unsafe { libc::madvise(start(at), size as usize, libc::MADV_DONTFORK) };
    Ok(at)
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn map_over(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    if access == Access::ALL {
        return Err(forbidden("mmap", size));
    }
    let mut rules = Rules::lock();
    // SAFETY: what is replaced is codeslab's own and not used any more.
    unsafe { mmap(at, size, access, PRIVATE | libc::MAP_FIXED) }?;
    rules.forget(window(at, size));
    Ok(())
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn remap(source: Address, size: u64, target: Target) -> Result<Address, Refusal> {
    let mut rules = Rules::lock();
    let is_jit = rules.jit.cover(window(source, size));
    let at = match target {
        Target::Over(at) => at,
        Target::From(hint) => anywhere(hint, size, page_bytes(), PRIVATE)?,
    };
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: without an old size the source stays; what is replaced is codeslab's own and not used any more, or was mapped just now.
    let got = unsafe { libc::mremap(start(source), 0, size as usize, flags, start(at)) };
    refused_unless(got != libc::MAP_FAILED, "mach_vm_remap", size)?;
    rules.forget(window(at, size));
    if is_jit {
        rules.jit.insert(window(at, size));
    }
    let inherit = match target {
        Target::Over(_) => libc::MADV_DOFORK,
        Target::From(_) => libc::MADV_DONTFORK,
    };
    // SAFETY: the range was mapped just now; children run what is in the one and have no use for the other.
    unsafe { libc::madvise(start(at), size as usize, inherit) };
    Ok(at)
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn unmap(at: Address, size: u64) -> Result<(), Refusal> {
    let mut rules = Rules::lock();
    // SAFETY: the range is codeslab's own, and not used any more.
    let answer = unsafe { libc::munmap(start(at), size as usize) };
    refused_unless(answer == 0, "munmap", size)?;
    rules.forget(window(at, size));
    Ok(())
}

/// What memory that may be both is for Linux: both, if a thread is writing.
const fn both_now(rules: &Rules) -> Access {
    if rules.writing > 0 {
        Access::ALL
    } else {
        Access::READ_EXECUTE
    }
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn protect(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    let (mut rules, range) = (Rules::lock(), window(at, size));
    let is_writable = access.bits() & libc::PROT_WRITE != 0;
    let is_both = access == Access::ALL;
    if rules.both.touch(range)
        || (is_both && !rules.jit.cover(range))
        || (is_writable && rules.restricted.touch(range))
    {
        return Err(forbidden("mprotect", size));
    }
    let now = if is_both { both_now(&rules) } else { access };
    // SAFETY: the range is codeslab's own, and not used otherwise than it may be afterwards.
    let answer = unsafe { libc::mprotect(start(at), size as usize, now.bits()) };
    refused_unless(answer == 0, "mprotect", size)?;
    if is_both {
        rules.both.insert(range);
    }
    Ok(())
}

/// # Safety
/// Those of the call on macOS.
#[expect(clippy::unnecessary_wraps, reason = "macOS may refuse it")]
pub(super) unsafe fn restrict(at: Address, size: u64, access: Access) -> Result<(), Refusal> {
    if access.bits() & libc::PROT_WRITE == 0 {
        Rules::lock().restricted.insert(window(at, size));
    }
    Ok(())
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn advise(at: Address, size: u64, advice: Advice) -> Result<(), Refusal> {
    let (mut rules, range) = (Rules::lock(), window(at, size));
    if advice == Advice::Reuse || rules.jit.cover(range) {
        return Ok(());
    }
    let region = region_of(&mut rules, at);
    let is_writable = region.is_some_and(|region| region.access == Access::READ_WRITE);
    if !is_writable {
        return Err(forbidden("madvise", size));
    }
    // SAFETY: the range is codeslab's own, and what it holds is given up.
    let answer = unsafe { libc::madvise(start(at), size as usize, libc::MADV_REMOVE) };
    refused_unless(answer == 0, "madvise", size)
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn touched(at: Address, size: u64, page: u64) -> Option<Vec<bool>> {
    const OWN_PAGE: u64 = 4 << 10;
    let mut states = vec![0_u8; (size / OWN_PAGE) as usize];
    // SAFETY: the range is mapped, and there is a byte for each page of 4 KiB; where pages are larger, for fewer.
    let answer = unsafe { libc::mincore(start(at), size as usize, states.as_mut_ptr()) };
    let pages = states.chunks((page / OWN_PAGE) as usize);
    (answer == 0).then(|| {
        pages
            .map(|page| page.iter().any(|state| *state != 0))
            .collect()
    })
}

pub(super) fn region_from(at: Address) -> Option<Region> {
    region_of(&mut Rules::lock(), at)
}

fn region_of(rules: &mut Rules, at: Address) -> Option<Region> {
    let region = ask_kernel(rules.maps()?, at)?;
    let access = if rules.both.touch(region.range) {
        Access::ALL
    } else {
        region.access
    };
    Some(Region { access, ..region })
}

/// ioctl with `PROCMAP_QUERY` (Linux 6.11); else the whole list is read.
/// <https://man7.org/linux/man-pages/man2/PROCMAP_QUERY.2const.html>
fn ask_kernel(maps: &File, at: Address) -> Option<Region> {
    const WORDS: usize = 13;
    const PROCMAP_QUERY: u64 = 0xc000_0000 | (8 * WORDS as u64) << 16 | (b'f' as u64) << 8 | 0x11;
    const COVERING_OR_NEXT_VMA: u64 = 0x10;
    // Size, flags and address; the kernel writes the first byte, the end and the flags of what it finds behind them.
    let mut query = [0_u64; WORDS];
    query[..3].copy_from_slice(&[8 * WORDS as u64, COVERING_OR_NEXT_VMA, at.value()]);
    let (descriptor, place) = (maps.as_raw_fd(), query.as_mut_ptr());
    // SAFETY: the descriptor is open, and the place has as many bytes as it says.
    let answer = unsafe { libc::ioctl(descriptor, PROCMAP_QUERY as libc::Ioctl, place) };
    if answer == 0 {
        let range = Window::new(Address::new(query[3]), Address::new(query[4] - 1))?;
        let access = Access::from_bits(query[5] as i32);
        return Some(Region { range, access });
    }
    let list = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut regions = list.lines().filter_map(parse);
    regions.find(|region| region.range.last() >= at)
}

/// `7f00c0d00000-7f00c0e00000 r-xp …`
fn parse(line: &str) -> Option<Region> {
    let mut fields = line.split(' ');
    let (first, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let last = Address::new(number(end)?.checked_sub(1)?);
    let bit = |letter, bit| if rights.contains(letter) { bit } else { 0 };
    let bits = bit('r', libc::PROT_READ) | bit('w', libc::PROT_WRITE) | bit('x', libc::PROT_EXEC);
    Some(Region {
        range: Window::new(Address::new(number(first)?), last)?,
        access: Access::from_bits(bits),
    })
}

pub(super) fn read(at: u64, into: &mut [u8]) -> bool {
    let memory = File::open("/proc/self/mem");
    memory.is_ok_and(|memory| memory.read_exact_at(into, at).is_ok())
}

pub(super) fn address_space_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .next()
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) << 12
}

/// # Safety
/// Those of the call on macOS.
pub(super) unsafe fn invalidate_instructions(at: Address, size: u64) {
    // SAFETY: the range is mapped.
    unsafe { Native::synchronize_instructions(&[(at, size)]) };
}

/// The switch: all memory that may be both is for Linux what the threads that are writing need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switch(());

impl Switch {
    pub(super) fn of_process() -> Option<Self> {
        (Rehearsed::of_process() != Rehearsed::Intel).then_some(Self(()))
    }

    /// # Safety
    /// Those of the call on macOS.
    #[expect(clippy::unused_self, reason = "as on macOS")]
    pub(super) unsafe fn set_writable(self, is_writable: bool) {
        if IS_WRITING.replace(is_writable) == is_writable {
            return;
        }
        let mut rules = Rules::lock();
        let before = rules.writing;
        rules.writing = if is_writable { before + 1 } else { before - 1 };
        if before + rules.writing == 1 {
            let now = both_now(&rules);
            for range in rules.both.iter() {
                let size = range.last().distance(range.first()) + 1;
                // Not by the C library's function, which tests make refuse: no switch of a processor does that.
                let (at, bits) = (start(range.first()), now.bits());
                // SAFETY: the range is codeslab's own; it stays executable, and is not written any more when it is no longer writable.
                unsafe { libc::syscall(libc::SYS_mprotect, at, size as usize, bits) };
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Status,
    Entitlements,
}

pub(super) fn ask_signature(question: Question, answer: &mut [u8]) -> bool {
    /// A hardened runtime, without and with its entitlement.
    const RUNTIME: u32 = 0x1_0000;
    const JIT: &str = "<key>com.apple.security.cs.allow-jit</key><true/>";
    let rehearsed = Rehearsed::of_process();
    let is_hardened = matches!(rehearsed, Rehearsed::Hardened | Rehearsed::Unentitled);
    let told = match question {
        Question::Status => if is_hardened { RUNTIME } else { 0 }.to_ne_bytes().to_vec(),
        Question::Entitlements if rehearsed != Rehearsed::Hardened => return false,
        Question::Entitlements => {
            let length = (8 + JIT.len()) as u32;
            let head = [0xfade_7171_u32.to_be_bytes(), length.to_be_bytes()];
            [head.as_flattened(), JIT.as_bytes()].concat()
        }
    };
    answer[..told.len()].copy_from_slice(&told);
    true
}
