//! The floor: what any allocator with two views has to pay.
//!
//! Bump pointers in blocks reserved in one go, an executable and a writable view of one memory file, private pages for data,
//! one copy per part, and nothing else: no metadata, no reuse, no limits, no errors per object. Most of its time is the
//! kernel handing out pages, so the ratio to it says what an allocator adds.
#![allow(
    unsafe_code,
    reason = "the floor is the bare system calls; codeslab's own wrappers are what is measured against it"
)]

use crate::replay;
use crate::report::Report;
use crate::trace::{Object, Part};
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

/// The same block size as codeslab's default, seven eighths of it for code and constants.
const BLOCK: usize = 16 << 20;
const CODE: usize = BLOCK / 8 * 7;
const DATA: usize = BLOCK - CODE;
const PAGE: usize = 4096;

/// `repetitions` replays of the trace in `path`. An object that it cannot place is an error of the whole.
pub(crate) fn replay(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    let mut floor = Floor::new()?;
    let mut refusal = None;
    let (mut report, _) = replay::run(path, repetitions, |object, source| {
        match floor.place(object, source) {
            Ok(()) => Some(((), object.size())),
            Err(error) => {
                refusal.get_or_insert(error);
                None
            }
        }
    })?;
    if let Some(error) = refusal {
        return Err(error.into());
    }
    report.blocks = Some(floor.blocks);
    Ok(report)
}

struct Floor {
    file: File,
    file_size: usize,
    code: Bump,
    data: Bump,
    blocks: u64,
}

/// Bytes that are handed out from the front. Empty until the first block.
#[derive(Default)]
struct Bump {
    view: &'static mut [u8],
    used: usize,
}

impl Floor {
    fn new() -> io::Result<Self> {
        Ok(Self {
            file: memory_file()?,
            file_size: 0,
            code: Bump::default(),
            data: Bump::default(),
            blocks: 0,
        })
    }

    fn place(&mut self, object: &Object, source: &[u8]) -> io::Result<()> {
        let [code, constants, data] = object.parts;
        let code_size = code.size + code.align + constants.size + constants.align;
        let data_size = data.size + data.align;
        if self.code.free() < code_size || self.data.free() < data_size {
            self.open_block(code_size, data_size)?;
        }
        self.code.copy(code, source);
        self.code.copy(constants, source);
        self.data.copy(data, source);
        Ok(())
    }

    fn open_block(&mut self, code_size: usize, data_size: usize) -> io::Result<()> {
        let code_size = CODE.max(code_size.next_multiple_of(PAGE));
        let data_size = DATA.max(data_size.next_multiple_of(PAGE));
        let block = reserve(code_size + data_size)?;
        let offset = self.file_size;
        self.file_size += code_size;
        self.file.set_len(self.file_size as u64)?;
        map_executable(block, code_size, &self.file, offset)?;
        let finished = std::mem::replace(
            &mut self.code,
            Bump::new(map_writable(code_size, &self.file, offset)?),
        );
        unmap(finished.view)?;
        self.data = Bump::new(open_data(block.wrapping_add(code_size), data_size)?);
        self.blocks += 1;
        Ok(())
    }
}

impl Bump {
    fn new(view: &'static mut [u8]) -> Self {
        Self { view, used: 0 }
    }

    fn free(&self) -> usize {
        self.view.len() - self.used
    }

    fn copy(&mut self, part: Part, source: &[u8]) {
        if part.size == 0 {
            return;
        }
        let start = self.used.next_multiple_of(part.align);
        self.used = start + part.size;
        self.view[start..self.used].copy_from_slice(&source[..part.size]);
    }
}

fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"floor".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was opened above, and nothing else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

fn reserve(size: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: no address is asked for, so no existing mapping is touched.
    checked(unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) })
}

fn map_executable(block: *mut u8, size: usize, file: &File, offset: usize) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: `size` bytes at `block` were reserved by the caller and nothing is in them yet.
    let at = unsafe {
        libc::mmap(
            block.cast(),
            size,
            protection,
            flags,
            file.as_raw_fd(),
            offset.cast_signed() as libc::off_t,
        )
    };
    checked(at).map(drop)
}

fn map_writable(size: usize, file: &File, offset: usize) -> io::Result<&'static mut [u8]> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: no address is asked for, so no existing mapping is touched.
    let at = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            protection,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            offset.cast_signed() as libc::off_t,
        )
    };
    let at = checked(at)?;
    // SAFETY: the file has `size` bytes at `offset`, all zero; the view is new, and only `unmap` ends it.
    Ok(unsafe { std::slice::from_raw_parts_mut(at, size) })
}

fn open_data(at: *mut u8, size: usize) -> io::Result<&'static mut [u8]> {
    // SAFETY: the caller reserved these pages, and nothing is in them yet.
    let status = unsafe { libc::mprotect(at.cast(), size, libc::PROT_READ | libc::PROT_WRITE) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: anonymous pages are zero, these are writable now and are never unmapped.
    Ok(unsafe { std::slice::from_raw_parts_mut(at, size) })
}

fn unmap(view: &'static mut [u8]) -> io::Result<()> {
    if view.is_empty() {
        return Ok(());
    }
    // SAFETY: the view came from `map_writable`, and this is its only reference, given up here.
    match unsafe { libc::munmap(view.as_mut_ptr().cast(), view.len()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn checked(at: *mut libc::c_void) -> io::Result<*mut u8> {
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(at.cast())
}
