//! Which blocks have a writable view. A few stay open while nothing is written, because a new view faults again on every page; the
//! one that was opened first is closed first.

use super::Blocks;

/// As many writable views are kept although nothing is written.
pub(super) const MOST_IDLE_VIEWS: usize = 4;

/// After as many calls to overwrite what is freed, a view is opened for it.
const MOST_CALLS: u32 = 8;

impl<H> Blocks<H> {
    /// Notes that a block has a writable view. It may have had one before that went with its pages.
    pub(super) fn note_view(&mut self, index: usize) {
        if !self.viewed.contains(&index) {
            self.viewed.push(index);
        }
    }

    /// A program that frees twice in a row in a block, or often, frees more: through a view that is cheaper than a call each time.
    pub(super) fn open_view_to_free(&mut self, index: usize) {
        self.freed_by_call += 1;
        if self.freed_last != index && self.freed_by_call <= MOST_CALLS {
            return;
        }
        self.freed_by_call = 0;
        self.close_views(MOST_IDLE_VIEWS);
        let has_many = self.viewed.len() > MOST_IDLE_VIEWS;
        // A refusal is no matter: what is freed is overwritten with a call then.
        if !has_many && self.block_mut(index).open_view().is_ok() {
            self.note_view(index);
        }
    }

    /// Drops the writable views that were opened first, all but `kept`, unless something is in flight.
    pub(crate) fn close_views(&mut self, kept: usize) {
        let many = self.viewed.len().saturating_sub(kept);
        if many == 0 || self.in_flight() > 0 {
            return;
        }
        for index in self.viewed.drain(..many) {
            if let Some(held) = self.all.get_mut(index).and_then(Option::as_mut) {
                // SAFETY: nothing that was carved from these blocks is in flight.
                unsafe { held.block.close_view() };
            }
        }
    }
}
