//! asmjit's `JitAllocator`, as the crate `jit-allocator2` has it in Rust, with its defaults: two views, three pools, and freed code
//! overwritten. It knows neither data nor distances, and has no lock of its own.

use crate::allocator::{Allocator, SharedAllocator};
use crate::replay;
use crate::report::Report;
use crate::trace::Object;
use ::jit_allocator2::allocator::{JitAllocator, JitAllocatorOptions};
use ::jit_allocator2::virtual_memory::flush_instruction_cache;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// One that a single thread uses.
pub(crate) struct Unlocked(Box<JitAllocator>);

/// One that threads share: behind a lock, because it cannot be shared otherwise.
#[derive(Clone)]
pub(crate) struct Locked(Arc<Mutex<Unlocked>>);

/// The executable address of an allocation.
pub(crate) struct Placed(*const u8);

// SAFETY: it is a number to everybody but the allocator that made it.
unsafe impl Send for Placed {}

impl Allocator for Unlocked {
    type Request = usize;
    type Placed = Placed;

    fn open() -> Result<Self, Box<dyn Error>> {
        Ok(Self(JitAllocator::new(JitAllocatorOptions::default())))
    }

    fn request(size: usize) -> Result<usize, Box<dyn Error>> {
        Ok(size)
    }

    fn place(&mut self, &size: &usize, content: &[u8]) -> Option<Placed> {
        let (executable, writable) = self.0.alloc(size).ok()?;
        assert!(content.len() <= size, "{} bytes into {size}", content.len());
        // SAFETY: there are `size` bytes at `writable`, at least as many as in `content`, and they are this request's alone.
        unsafe { writable.copy_from_nonoverlapping(content.as_ptr(), content.len()) };
        flush_instruction_cache(executable, content.len());
        Some(Placed(executable))
    }

    fn address(placed: &Placed) -> u64 {
        placed.0.addr() as u64
    }

    fn free(&mut self, Placed(executable): Placed) {
        // SAFETY: `alloc` returned it, and it is given up here. A refusal would be a leak, which the figures show.
        let _ = unsafe { self.0.release(executable) };
    }
}

impl Locked {
    fn with<T>(&self, act: impl FnOnce(&mut Unlocked) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Allocator for Locked {
    type Request = usize;
    type Placed = Placed;

    fn open() -> Result<Self, Box<dyn Error>> {
        Ok(Self(Arc::new(Mutex::new(Unlocked::open()?))))
    }

    fn request(size: usize) -> Result<usize, Box<dyn Error>> {
        Unlocked::request(size)
    }

    fn place(&mut self, request: &usize, content: &[u8]) -> Option<Placed> {
        self.with(|allocator| allocator.place(request, content))
    }

    fn address(placed: &Placed) -> u64 {
        Unlocked::address(placed)
    }

    fn free(&mut self, placed: Placed) {
        self.with(|allocator| allocator.free(placed));
    }
}

impl SharedAllocator for Locked {
    fn handle(&self) -> Self {
        self.clone()
    }
}

/// Replays the code and the constants of a trace, the constants right behind the code. It has no place for data.
pub(crate) fn replay(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    let mut allocator = Unlocked::open()?;
    let (report, _kept) = replay::run(path, repetitions, |object, source| {
        place(&mut allocator, object, source)
    })?;
    Ok(report)
}

fn place(
    allocator: &mut Unlocked,
    object: &Object,
    source: &[u8],
) -> Option<(Option<Placed>, usize)> {
    let [code, constants, _] = object.parts;
    let size = code.size.next_multiple_of(constants.align) + constants.size;
    if size == 0 {
        return Some((None, 0));
    }
    let (executable, writable) = allocator.0.alloc(size).ok()?;
    let constants_at = size - constants.size;
    for (part, at) in [(code, 0), (constants, constants_at)] {
        // SAFETY: there are `size` bytes at `writable`, and the part ends at or before that.
        let to = unsafe { writable.add(at) };
        // SAFETY: as above; the source has as many bytes as the largest part.
        unsafe { to.copy_from_nonoverlapping(source.as_ptr(), part.size) };
    }
    flush_instruction_cache(executable, size);
    Some((Some(Placed(executable)), code.size + constants.size))
}
