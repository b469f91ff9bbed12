//! The manager on the fake platform: roll-back, placement and writers, with failures that no real system gives on demand.

mod guards;
mod lifecycle;
mod placement;
mod rollback;
mod sealed;
mod searching;
mod small;
mod space;
mod together;

use crate::memory::CodeMemory;
use crate::model::address::{Address, Window};
use crate::model::error::{Error, Limit};
use crate::model::layout::{Layout, SectionId};
use crate::model::options::{Constants, Options, Sealing};
use crate::model::protection::Protection;
use crate::model::stats::Stats;
use crate::model::writer::Writer;
use crate::request::Request;
use crate::sys::fake::{Fake, Script};
use crate::sys::{Platform, Seal};
use std::sync::Arc;

const MIB: u64 = 1 << 20;

const GIB: u64 = 1 << 30;

/// Every kind of system: page size and mapping granularity.
#[cfg(not(miri))]
const SYSTEMS: [(u64, u64); 4] = [(4096, 4096), (4096, 65536), (16384, 16384), (65536, 65536)];
/// Miri is slow, and these two take every way through the code.
#[cfg(miri)]
const SYSTEMS: [(u64, u64); 2] = [(4096, 4096), (4096, 65536)];

fn open(fake: &Arc<Fake>, options: &Options) -> CodeMemory {
    let mut options = options.clone();
    // Miri looks at every word of a block's bitmaps whenever a reference to them is made.
    if cfg!(miri) {
        options.block_size.get_or_insert(MIB / 4);
    }
    CodeMemory::on(Arc::clone(fake) as Arc<dyn Platform>, &options).expect("valid options")
}

fn writer(writer: Writer) -> Options {
    Options {
        writer: Some(writer),
        ..Options::default()
    }
}

/// The writer of two views that writes everything in its place.
fn unhardened() -> Options {
    Options {
        hardened: false,
        ..writer(Writer::DualMapping)
    }
}

/// Every way to write.
fn ways_to_write() -> Vec<Options> {
    let hardened = Writer::ALL.into_iter().map(writer);
    hardened.chain([unhardened()]).collect()
}

/// Blocks that are soon full.
fn small_blocks(kind: Writer) -> Options {
    Options {
        block_size: Some(MIB),
        ..writer(kind)
    }
}

/// Code, constants and data of these sizes.
fn layout(sizes: [u64; 3]) -> (Layout, [SectionId; 3]) {
    let mut layout = Layout::new();
    let sections = std::array::from_fn(|index| {
        layout
            .add(Protection::ALL[index], sizes[index], 16)
            .expect("a section")
    });
    (layout, sections)
}

/// Everything that must be as before when nothing is left behind.
fn holdings(stats: &Stats) -> (u64, u64, u64) {
    (stats.used_bytes, stats.live, stats.in_flight)
}
