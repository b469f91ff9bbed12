//! Requests that are freed and not used again before the embedder says that no thread is in them any more: before the end of a grace period
//! that began in or after the epoch in which they were freed.

use super::{Blocks, Contents};
use crate::slab::runs::Runs;
use crate::slab::spans::Spans;

/// A request that waits.
#[derive(Debug)]
pub(super) struct Quarantined {
    epoch: u64,
    index: usize,
    spans: Spans,
    contents: Contents,
}

impl<H> Blocks<H> {
    /// Leaves spans that are freed where they are until a grace period of this epoch or a later one ends.
    ///
    /// # Safety
    /// The spans are carved from the block with this index, and they are as `contents` says.
    pub(crate) unsafe fn quarantine(
        &mut self,
        index: usize,
        spans: Spans,
        contents: Contents,
        epoch: u64,
    ) {
        if contents == Contents::Clean {
            self.block(index)
                .page_map()
                .for_each(&spans, Runs::mark_freed);
        }
        // Without memory to remember them they are not used again at all.
        if self.quarantined.try_reserve(1).is_ok() {
            self.quarantined.push_back(Quarantined {
                epoch,
                index,
                spans,
                contents,
            });
        } else {
            self.ended += 1;
        }
    }

    /// Frees what was freed in this epoch or before.
    pub(crate) fn end_grace_period(&mut self, epoch: u64) {
        // Threads that free at the same time may have read the epoch in another order than they came here.
        // What goes on waiting goes to the end, which takes no memory that was not there.
        for _ in 0..self.quarantined.len() {
            let Some(waiting) = self.quarantined.pop_front() else {
                return;
            };
            if waiting.epoch > epoch {
                self.quarantined.push_back(waiting);
                continue;
            }
            // SAFETY: `quarantine` was told that they are carved from that block and as `contents` says; nothing changed them.
            unsafe { self.free(waiting.index, waiting.spans, waiting.contents) };
        }
    }

    /// Bytes of what waits.
    pub(super) fn quarantined_bytes(&self) -> u64 {
        let waiting = self.quarantined.iter();
        let located = waiting.flat_map(|one| self.block(one.index).page_map().locate(&one.spans));
        located.flatten().map(|span| span.size).sum()
    }
}
