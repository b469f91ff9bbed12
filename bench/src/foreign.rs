//! Finds places, and opens blocks, where the rest of the process has mapped tens of thousands of pages.
#![allow(
    unsafe_code,
    reason = "the mappings of others are made with bare system calls; codeslab's wrappers are what is measured"
)]

use crate::report::{Report, float};
use codeslab::{Address, CodeMemory, Layout, Options, Protection, Request, Window};
use std::error::Error;
use std::time::Instant;
use std::{io, ptr};

/// Mappings in the middle of each window: one page each, of alternating protection so that the system cannot join them.
const CROWD: usize = 1000;
const PAGE: usize = 4096;
/// From the middle of one window to the middle of the next.
const SPACING: u64 = 256 << 20;
/// How far a window reaches from its middle. There is no other free space in it than beside the crowd.
const WINDOW_REACH: u64 = 64 << 20;

/// `crowds` crowds of a thousand foreign mappings, and as many requests, each of which has to lie around one of them, where this
/// memory has no block yet. The figure is the median of those, opening the block included.
pub(crate) fn place_among(_: &str, crowds: u32) -> Result<Report, Box<dyn Error>> {
    among(crowds, place_in_windows)
}

/// The same as far as finding and claiming the address space goes: no block is opened.
pub(crate) fn claim_among(_: &str, crowds: u32) -> Result<Report, Box<dyn Error>> {
    among(crowds, claim_in_windows)
}

fn among(
    crowds: u32,
    measure: impl Fn(&[Window]) -> Result<Report, Box<dyn Error>>,
) -> Result<Report, Box<dyn Error>> {
    let windows = reserve_windows(crowds)?;
    for window in &windows {
        crowd(window.center())?;
    }
    let mut report = measure(&windows)?;
    report.add("foreign_mappings", float(u64::from(crowds) * CROWD as u64));
    Ok(report)
}

/// The same with nothing in the way: what opening the block takes. It is not done in the same process, because the C library's
/// heap, which holds the metadata, learns from what it is asked for.
pub(crate) fn place_alone(_: &str, windows: u32) -> Result<Report, Box<dyn Error>> {
    place_in_windows(&reserve_windows(windows)?)
}

/// A request in each window.
fn place_in_windows(windows: &[Window]) -> Result<Report, Box<dyn Error>> {
    let memory = CodeMemory::new(Options::default())?;
    let mut layout = Layout::new();
    layout.add(Protection::ReadExecute, 256, 16)?;
    let mut kept = Vec::with_capacity(windows.len() + 1);
    // The first block of a memory finds more to set up than a place.
    kept.push(memory.allocate(&Request::new(&layout))?);
    in_each(windows, |window| {
        kept.push(memory.allocate(&Request::new(&layout).within(&[window]))?);
        Ok(())
    })
}

/// Address space for a block in each window.
fn claim_in_windows(windows: &[Window]) -> Result<Report, Box<dyn Error>> {
    let memory = CodeMemory::new(Options::default())?;
    memory.reserve(Window::ANYWHERE)?;
    let before = memory.stats().reserved_bytes;
    let report = in_each(windows, |window| memory.reserve(window))?;
    let claimed = memory.stats().reserved_bytes - before;
    assert!(
        claimed >= windows.len() as u64 * memory.configuration().block_size,
        "{claimed} bytes are not a block in each window"
    );
    Ok(report)
}

/// The median of the times of an action in each window.
fn in_each(
    windows: &[Window],
    mut action: impl FnMut(Window) -> codeslab::Result<()>,
) -> Result<Report, Box<dyn Error>> {
    let mut failed = 0;
    let mut times = Vec::with_capacity(windows.len());
    for window in windows {
        let start = Instant::now();
        let done = action(*window);
        times.push(start.elapsed());
        failed += u64::from(done.is_err());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Report {
        objects: windows.len() as u64,
        failed,
        elapsed: median * u32::try_from(windows.len())?,
        ..Report::default()
    })
}

/// Windows in address space that was free a moment ago.
fn reserve_windows(count: u32) -> io::Result<Vec<Window>> {
    let size = SPACING as usize * count as usize;
    let start = map(ptr::null_mut(), size, libc::PROT_NONE)?;
    // SAFETY: it was mapped above, and no other code has its address.
    if unsafe { libc::munmap(start.cast(), size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let middle = |index| start.addr() as u64 + u64::from(index) * SPACING + SPACING / 2;
    let window = |index| Window::around(Address::new(middle(index)), WINDOW_REACH);
    Ok((0..count).map(window).collect())
}

/// Maps a crowd around an address.
fn crowd(center: Address) -> io::Result<()> {
    let size = CROWD * PAGE;
    let start = (center.value() as usize - size / 2) & !(PAGE - 1);
    let start = map(ptr::without_provenance_mut(start), size, libc::PROT_NONE)?;
    for page in (0..CROWD).step_by(2) {
        let page = start.wrapping_add(page * PAGE);
        // SAFETY: it is a page that was mapped above and that nothing uses.
        if unsafe { libc::mprotect(page.cast(), PAGE, libc::PROT_READ) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Maps `size` bytes without content at `at`, or anywhere if that is null.
fn map(at: *mut u8, size: usize, protection: i32) -> io::Result<*mut u8> {
    let fixed = if at.is_null() {
        0
    } else {
        libc::MAP_FIXED_NOREPLACE
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    // SAFETY: nothing that exists is replaced.
    let mapped = unsafe { libc::mmap(at.cast(), size, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(mapped.cast())
}
