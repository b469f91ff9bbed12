//! Cranelift's `ArenaMemoryProvider`: pages of one reservation, handed out from the front and never taken back one by one.
//!
//! Finalizing makes a whole page executable, so either every object gets pages of its own, or none can run before the last one is
//! there. Both are measured. Where the system refuses to change a protection, the provider panics: a failed object here.

use crate::report::Report;
use crate::sizes::{self, sizes};
use crate::trace::{Object, Part};
use crate::{measure, replay};
use cranelift_jit::{ArenaMemoryProvider, BranchProtection, JITMemoryProvider};
use std::error::Error;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

/// Address space of an arena: as much as a short displacement spans.
const RESERVED: usize = 2 << 30;

/// Asks an arena for bytes with an alignment.
type Allocate = fn(&mut ArenaMemoryProvider, usize, u64) -> io::Result<*mut u8>;

/// Code, constants and data, in the order of a trace.
const ALLOCATE: [Allocate; 3] = [
    ArenaMemoryProvider::allocate_readexec,
    ArenaMemoryProvider::allocate_readonly,
    ArenaMemoryProvider::allocate_readwrite,
];

/// Replays a trace; every object can run before the next one comes.
pub(crate) fn replay_one_by_one(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    // What it has to say about itself would be said thousands of times.
    panic::set_hook(Box::new(|_| {}));
    let mut arena = ArenaMemoryProvider::new_with_size(RESERVED)?;
    let (report, _) = replay::run(path, repetitions, |object, source| {
        place(&mut arena, object, source)?;
        finalize(&mut arena)?;
        Some(((), object.size()))
    })?;
    Ok(report)
}

/// Replays a trace; the objects can run once all of them are there.
pub(crate) fn replay_at_once(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    let mut arena = ArenaMemoryProvider::new_with_size(RESERVED)?;
    let (mut report, _) = replay::run(path, repetitions, |object, source| {
        place(&mut arena, object, source)?;
        Some(((), object.size()))
    })?;
    let mappings = measure::mappings();
    let start = Instant::now();
    finalize(&mut arena).ok_or("the arena cannot be finalized")?;
    report.elapsed += start.elapsed();
    let more = measure::growth(mappings, measure::mappings());
    report.mappings = report.mappings.zip(more).map(|(some, more)| some + more);
    Ok(report)
}

/// `count` pieces of code of 64 to 1,024 bytes, which can run once all of them are there.
pub(crate) fn keep_at_once(_: &str, count: u32) -> Result<Report, Box<dyn Error>> {
    let source = sizes::source();
    let mut arena = ArenaMemoryProvider::new_with_size(RESERVED)?;
    let mut report = Report {
        objects: u64::from(count),
        ..Report::default()
    };
    let before = measure::memory_bytes();
    let start = Instant::now();
    for size in sizes().take(count as usize) {
        let code = Part { size, align: 16 };
        match place_part(&mut arena, code, ALLOCATE[0], &source) {
            Some(()) => report.content_bytes += size as u64,
            None => report.failed += 1,
        }
    }
    finalize(&mut arena).ok_or("the arena cannot be finalized")?;
    report.elapsed = start.elapsed();
    report.memory_bytes = measure::growth(before, measure::memory_bytes());
    Ok(report)
}

fn place(arena: &mut ArenaMemoryProvider, object: &Object, source: &[u8]) -> Option<()> {
    object
        .parts
        .into_iter()
        .zip(ALLOCATE)
        .filter(|(part, _)| part.size > 0)
        .try_for_each(|(part, allocate)| place_part(arena, part, allocate, source))
}

fn place_part(
    arena: &mut ArenaMemoryProvider,
    part: Part,
    allocate: Allocate,
    source: &[u8],
) -> Option<()> {
    let attempt = AssertUnwindSafe(|| allocate(arena, part.size, part.align as u64));
    let at = panic::catch_unwind(attempt).ok()?.ok()?;
    // SAFETY: there are as many bytes at `at`, writable until they are finalized; the source has as many as the largest part.
    unsafe { at.copy_from_nonoverlapping(source.as_ptr(), part.size) };
    Some(())
}

fn finalize(arena: &mut ArenaMemoryProvider) -> Option<()> {
    let attempt = AssertUnwindSafe(|| {
        let finalized = JITMemoryProvider::finalize(arena, BranchProtection::None);
        finalized.ok()
    });
    panic::catch_unwind(attempt).ok()?
}
