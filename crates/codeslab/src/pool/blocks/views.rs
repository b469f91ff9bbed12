//! Which blocks have a writable view.

use super::Blocks;

/// As many writable views are kept although nothing is written: a new view faults again on every page.
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

    /// Whoever frees twice in a row in a block, or often, frees more: through a view that is cheaper than a call each time.
    pub(super) fn open_view_to_free(&mut self, index: usize, is_idle: impl FnOnce(&Self) -> bool) {
        self.freed_by_call += 1;
        if self.freed_last != index && self.freed_by_call <= MOST_CALLS {
            return;
        }
        self.freed_by_call = 0;
        if self.has_many_views() && is_idle(self) {
            self.close_first_views();
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

    /// Drops the writable views that were opened first, until few are left. Nothing is in flight.
    pub(crate) fn close_first_views(&mut self) {
        let many = self.viewed.len().saturating_sub(MOST_IDLE_VIEWS);
        let first: Vec<usize> = self.viewed.drain(..many).collect();
        self.close(first);
    }

    /// Drops all writable views. Nothing is in flight.
    pub(crate) fn close_views(&mut self) {
        let all = std::mem::take(&mut self.viewed);
        self.close(all);
    }

    fn close(&mut self, views: Vec<usize>) {
        for index in views {
            if let Some(held) = self.all.get_mut(index).and_then(Option::as_mut) {
                held.block.close_view();
            }
        }
    }
}
