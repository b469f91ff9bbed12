//! Replays a trace through codeslab: allocate, write, finalize, and keep everything.

use crate::allocator::unhardened;
use crate::measure;
use crate::report::Report;
use crate::trace::{self, Object};
use codeslab::{Allocation, CodeMemory, InFlightAllocation, Layout, Options, Protection, Request};
use std::error::Error;
use std::time::Instant;

const PROTECTIONS: [Protection; 3] = [
    Protection::ReadExecute,
    Protection::ReadOnly,
    Protection::ReadWrite,
];

/// `repetitions` replays of the trace in `path`, written in its place.
pub(crate) fn replay(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    replay_into(&unhardened()?, path, repetitions)
}

/// The same as it is by default: staged, constants written by a call.
pub(crate) fn replay_hardened(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    replay_into(&CodeMemory::new(Options::default())?, path, repetitions)
}

/// How many objects are published at once.
const BATCH: usize = 128;

/// The same in batches, written in their place.
pub(crate) fn replay_batches(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    replay_batches_into(&unhardened()?, path, repetitions)
}

/// The same in batches, as it is by default.
pub(crate) fn replay_batches_hardened(
    path: &str,
    repetitions: u32,
) -> Result<Report, Box<dyn Error>> {
    replay_batches_into(&CodeMemory::new(Options::default())?, path, repetitions)
}

/// The same as one allocation for each batch, which is freed as one, written in its place.
pub(crate) fn replay_together(path: &str, repetitions: u32) -> Result<Report, Box<dyn Error>> {
    let memory = unhardened()?;
    let place =
        |batch: Vec<Object>, source: &[u8]| Ok(vec![place_together(&memory, &batch, source)?]);
    replay_batched(&memory, path, repetitions, |object, _| Ok(*object), place)
}

fn replay_batches_into(
    memory: &CodeMemory,
    path: &str,
    repetitions: u32,
) -> Result<Report, Box<dyn Error>> {
    let begin = |object: &Object, source: &[u8]| write(memory, object, source);
    let publish = |batch: Vec<InFlightAllocation>, _: &[u8]| memory.finalize_all(batch);
    replay_batched(memory, path, repetitions, begin, publish)
}

/// Replays in batches: what `begin` makes of each object, `publish` finishes. A refusal is an error of the whole.
fn replay_batched<T>(
    memory: &CodeMemory,
    path: &str,
    repetitions: u32,
    begin: impl Fn(&Object, &[u8]) -> codeslab::Result<T>,
    publish: impl Fn(Vec<T>, &[u8]) -> codeslab::Result<Vec<Allocation>>,
) -> Result<Report, Box<dyn Error>> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut kept: Vec<Allocation> = Vec::new();
    let mut refusal = None;
    let mut left = trace::read(path)?.len() * repetitions as usize;
    let (mut report, _) = run(path, repetitions, |object, source| {
        left -= 1;
        batch.push(begin(object, source).ok()?);
        if batch.len() == BATCH || left == 0 {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            match publish(full, source) {
                Ok(published) => kept.extend(published),
                Err(error) => refusal = Some(error),
            }
        }
        Some(((), object.size()))
    })?;
    if let Some(error) = refusal {
        return Err(error.into());
    }
    report.blocks = Some(memory.stats().blocks);
    Ok(report)
}

fn replay_into(
    memory: &CodeMemory,
    path: &str,
    repetitions: u32,
) -> Result<Report, Box<dyn Error>> {
    let (mut report, _kept) = run(path, repetitions, |object, source| {
        let allocation = place(memory, object, source).ok()?;
        Some((allocation, object.size()))
    })?;
    report.blocks = Some(memory.stats().blocks);
    Ok(report)
}

/// `repetitions` replays of the trace in `path`, and what was placed. `place` takes an object and something to copy from; it
/// returns what has to be kept and how many bytes it copied, or `None` if it failed.
pub(crate) fn run<T>(
    path: &str,
    repetitions: u32,
    mut place: impl FnMut(&Object, &[u8]) -> Option<(T, usize)>,
) -> Result<(Report, Vec<T>), Box<dyn Error>> {
    let objects = trace::read(path)?;
    let source = trace::source(&objects);
    let mut kept = Vec::with_capacity(objects.len() * repetitions as usize);
    let mut report = Report::default();
    let (bytes_before, mappings_before) = (measure::memory_bytes(), measure::mappings());
    let start = Instant::now();
    for object in (0..repetitions).flat_map(|_| &objects) {
        report.objects += 1;
        match place(object, &source) {
            Some((placed, size)) => {
                kept.push(placed);
                report.content_bytes += size as u64;
            }
            None => report.failed += 1,
        }
    }
    report.elapsed = start.elapsed();
    report.memory_bytes = measure::growth(bytes_before, measure::memory_bytes());
    report.mappings = measure::growth(mappings_before, measure::mappings());
    Ok((report, kept))
}

fn place(memory: &CodeMemory, object: &Object, source: &[u8]) -> codeslab::Result<Allocation> {
    write(memory, object, source)?.finalize()
}

fn place_together(
    memory: &CodeMemory,
    objects: &[Object],
    source: &[u8],
) -> codeslab::Result<Allocation> {
    let mut layout = Layout::new();
    let mut sections = Vec::with_capacity(objects.len() * PROTECTIONS.len());
    for object in objects {
        for (part, protection) in object.parts.iter().zip(PROTECTIONS) {
            if part.size > 0 {
                let section = layout.add(protection, part.size as u64, part.align as u64)?;
                sections.push((section, part.size));
            }
        }
    }
    let mut in_flight = memory.allocate(&Request::new(&layout))?;
    for (section, size) in sections {
        in_flight.write(section, 0, &source[..size])?;
    }
    in_flight.finalize()
}

fn write(
    memory: &CodeMemory,
    object: &Object,
    source: &[u8],
) -> codeslab::Result<InFlightAllocation> {
    let mut layout = Layout::new();
    let mut sections = [None; 3];
    for ((part, protection), section) in object.parts.iter().zip(PROTECTIONS).zip(&mut sections) {
        if part.size > 0 {
            *section = Some(layout.add(protection, part.size as u64, part.align as u64)?);
        }
    }
    let mut in_flight = memory.allocate(&Request::new(&layout))?;
    for (part, section) in object.parts.iter().zip(sections) {
        if let Some(section) = section {
            in_flight.write(section, 0, &source[..part.size])?;
        }
    }
    Ok(in_flight)
}
