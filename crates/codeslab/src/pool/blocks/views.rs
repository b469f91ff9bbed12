//! Which blocks have a writable view. A few stay open while nothing is written, because a new view faults again on every page; the
//! one that was opened first is closed first.

use super::Blocks;

/// As many writable views are kept although nothing is written.
const MOST_IDLE_VIEWS: usize = 4;

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
    /// `is_idle` tells whether nothing of the shard is in flight.
    pub(super) fn open_view_to_free(&mut self, index: usize, is_idle: impl FnOnce(&Self) -> bool) {
        self.freed_by_call += 1;
        if self.freed_last != index && self.freed_by_call <= MOST_CALLS {
            return;
        }
        self.freed_by_call = 0;
        if self.has_many_views() && is_idle(self) {
            // SAFETY: nothing is in flight.
            unsafe { self.close_first_views() };
        }
        // A refusal is no matter: what is freed is overwritten with a call then.
        if !self.has_many_views() && self.block_mut(index).open_view().is_ok() {
            self.note_view(index);
        }
    }

    /// Whether more writable views are open than are kept while nothing is written.
    pub(crate) fn has_many_views(&self) -> bool {
        self.viewed.len() > MOST_IDLE_VIEWS
    }

    /// Drops the writable views that were opened first, until few are left.
    ///
    /// # Safety
    /// Nothing that was carved from these blocks is in flight.
    pub(crate) unsafe fn close_first_views(&mut self) {
        let many = self.viewed.len().saturating_sub(MOST_IDLE_VIEWS);
        // SAFETY: nothing is in flight.
        unsafe { self.close_oldest(many) };
    }

    /// Drops all writable views.
    ///
    /// # Safety
    /// Nothing that was carved from these blocks is in flight.
    pub(crate) unsafe fn close_views(&mut self) {
        // SAFETY: nothing is in flight.
        unsafe { self.close_oldest(self.viewed.len()) };
    }

    /// # Safety
    /// Nothing that was carved from these blocks is in flight.
    unsafe fn close_oldest(&mut self, count: usize) {
        for index in self.viewed.drain(..count) {
            if let Some(held) = self.all.get_mut(index).and_then(Option::as_mut) {
                // SAFETY: nothing is in flight, so nothing of this block.
                unsafe { held.block.close_view() };
            }
        }
    }
}
