//! Carving what is there: where no slab has to grow.

use super::{Block, STEP};
use crate::block::geometry::{Part, Parts, Spans};
use crate::block::place::Round;

impl Block {
    /// Carves all parts out of what is there, if nothing has to be asked of the system: so it is most often. What comes back stays in
    /// registers, unlike what [`Block::carve`] gives.
    pub(crate) fn carve_ready(&mut self, parts: &Parts) -> Option<Round> {
        if self.is_open() {
            self.carve_present(parts)
        } else {
            None
        }
    }

    /// The same where the view may have to be opened: after there is something to write.
    pub(crate) fn carve_hole(&mut self, parts: &Parts) -> Option<Round> {
        let round = self.carve_present(parts)?;
        if self.open_view().is_err() {
            self.uncarve_clean(&round.spans());
            self.count_mappings();
            return None;
        }
        Some(round)
    }

    fn carve_present(&mut self, parts: &Parts) -> Option<Round> {
        let is_hopeless = parts.iter().flatten().any(|part| self.is_hopeless(*part));
        if is_hopeless || self.count_request_to_come().is_err() {
            return None;
        }
        let mut spans = [None; 3];
        let mut is_ready = true;
        for (part, span) in parts.iter().zip(&mut spans) {
            if let (Some(part), true) = (part, is_ready) {
                *span = self.slabs[part.slab.index()].carve(part.size, part.align);
                is_ready = span.is_some_and(|span| self.chunks.absent_under(span).is_none());
            }
        }
        let round = Round::of(&Spans::of(&spans)).filter(|_| is_ready);
        self.requests += u64::from(round.is_some());
        if round.is_none() {
            self.uncarve(parts, &spans);
            self.count_mappings();
        }
        round
    }

    /// Whether much was freed in the slabs that a request needs: an eighth of each is more than what is left over at their ends.
    pub(crate) fn has_holes(&self, parts: &Parts) -> bool {
        let has_holes = |part: &Part| {
            let slab = self.slab(part.slab);
            let committed = slab.extents().bytes();
            committed - slab.used_bytes() > (committed / 8).max(2 * STEP)
        };
        parts.iter().flatten().all(has_holes)
    }
}
