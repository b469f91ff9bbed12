//! Replays a trace through codeslab: allocate, write, finalize, and keep everything.

use crate::allocator::unhardened;
use crate::measure;
use crate::report::Report;
use crate::trace::{self, Object};
use codeslab::{
    Allocation, CodeMemory, InFlightAllocation, Layout, Options, Protection, Request, SectionId,
};
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

/// How many objects are placed and published at once in batches.
const BATCH: usize = 128;

/// The same in batches.
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

fn replay_batches_into(
    memory: &CodeMemory,
    path: &str,
    repetitions: u32,
) -> Result<Report, Box<dyn Error>> {
    let (mut report, _kept) = run_in_batches(path, repetitions, BATCH, |objects, source| {
        let placed = place_together(memory, objects, source).ok()?;
        Some((placed, objects.iter().map(Object::size).sum()))
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
    run_in_batches(path, repetitions, 1, |objects, source| {
        let (placed, size) = place(objects.first()?, source)?;
        Some((Some(placed), size))
    })
}

/// The same for many objects at once, of which all are placed or none.
fn run_in_batches<T, P: IntoIterator<Item = T>>(
    path: &str,
    repetitions: u32,
    batch: usize,
    mut place: impl FnMut(&[Object], &[u8]) -> Option<(P, usize)>,
) -> Result<(Report, Vec<T>), Box<dyn Error>> {
    let objects = trace::read(path)?;
    let source = trace::source(&objects);
    let mut kept = Vec::with_capacity(objects.len() * repetitions as usize);
    let mut report = Report::default();
    let (bytes_before, mappings_before) = (measure::memory_bytes(), measure::mappings());
    let start = Instant::now();
    for objects in (0..repetitions).flat_map(|_| objects.chunks(batch)) {
        report.objects += objects.len() as u64;
        match place(objects, &source) {
            Some((placed, size)) => {
                kept.extend(placed);
                report.content_bytes += size as u64;
            }
            None => report.failed += objects.len() as u64,
        }
    }
    report.elapsed = start.elapsed();
    report.memory_bytes = measure::growth(bytes_before, measure::memory_bytes());
    report.mappings = measure::growth(mappings_before, measure::mappings());
    Ok((report, kept))
}

fn place(memory: &CodeMemory, object: &Object, source: &[u8]) -> codeslab::Result<Allocation> {
    let (layout, sections) = lay_out(object)?;
    let mut in_flight = memory.allocate(&Request::new(&layout))?;
    write(&mut in_flight, object, &sections, source)?;
    in_flight.finalize()
}

fn place_together(
    memory: &CodeMemory,
    objects: &[Object],
    source: &[u8],
) -> codeslab::Result<Vec<Allocation>> {
    let laid_out: codeslab::Result<Vec<_>> = objects.iter().map(lay_out).collect();
    let laid_out = laid_out?;
    let requests: Vec<_> = laid_out
        .iter()
        .map(|(layout, _)| Request::new(layout))
        .collect();
    let mut in_flight = memory.allocate_together(&requests)?;
    let parts = in_flight.iter_mut().zip(&laid_out).zip(objects);
    for ((part, (_, sections)), object) in parts {
        write(part, object, sections, source)?;
    }
    memory.finalize_all(in_flight)
}

/// The section of each protection, if the object has it.
type Sections = [Option<SectionId>; 3];

fn lay_out(object: &Object) -> codeslab::Result<(Layout, Sections)> {
    let (mut layout, mut sections) = (Layout::new(), [None; 3]);
    for ((part, protection), section) in object.parts.iter().zip(PROTECTIONS).zip(&mut sections) {
        if part.size > 0 {
            *section = Some(layout.add(protection, part.size as u64, part.align as u64)?);
        }
    }
    Ok((layout, sections))
}

fn write(
    in_flight: &mut InFlightAllocation,
    object: &Object,
    sections: &Sections,
    source: &[u8],
) -> codeslab::Result<()> {
    for (part, section) in object.parts.iter().zip(sections) {
        if let Some(section) = section {
            in_flight.write(*section, 0, &source[..part.size])?;
        }
    }
    Ok(())
}
