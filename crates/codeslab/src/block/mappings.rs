//! How many mappings a block has, for the budget.

use super::Block;
use crate::block::geometry::{Carving, Part, Parts};
use crate::model::error::Refusal;
use crate::model::protection::Protection;
use crate::slab::span::Span;
use crate::write::staging::needs_own_pages;

impl Block {
    /// Takes as many mappings from the budget as may be there when the parts that have no span yet have grown: each may cut a gap
    /// in two.
    pub(super) fn count_mappings_to_come(
        &mut self,
        parts: &Parts,
        spans: &Carving,
    ) -> Result<(), Refusal> {
        let is_missing =
            |(part, span): &(&Option<Part>, &Option<Span>)| part.is_some() && span.is_none();
        let growing = parts.iter().zip(spans).filter(is_missing).count() as u64;
        let view = u64::from(!self.pages.has_view());
        let own = self.mappings_per_request();
        self.count_up_to(self.most_mappings() + 2 * growing + view + own)
    }

    /// Takes from the budget what one more request may take where nothing has to grow.
    #[inline]
    pub(super) fn count_request_to_come(&mut self) -> Result<(), Refusal> {
        match self.mappings_per_request() {
            0 => Ok(()),
            own => self.count_up_to(self.most_mappings() + own),
        }
    }

    pub(super) fn count_up_to(&mut self, most: u64) -> Result<(), Refusal> {
        let missing = most.saturating_sub(self.counted_mappings);
        if missing > 0 {
            self.pages.backing().budget().map(missing)?;
            self.counted_mappings = most;
        }
        Ok(())
    }

    /// Gives back to the budget what is not there.
    pub(super) fn count_mappings(&mut self) {
        let most = self.most_mappings();
        let less = self.counted_mappings.saturating_sub(most);
        self.pages.backing().budget().unmap(less);
        self.counted_mappings -= less;
    }

    /// Mappings that the system keeps for it at most, also where requests have pages of their own with rights of their own.
    pub(super) fn most_mappings(&self) -> u64 {
        self.mappings() + self.requests * self.mappings_per_request()
    }

    /// Pages with rights of their own cut what is around them in two.
    pub(super) const fn mappings_per_request(&self) -> u64 {
        let writer = self.geometry.writer;
        let code = needs_own_pages(writer, Protection::ReadExecute) as u64;
        let constants = needs_own_pages(writer, Protection::ReadOnly) as u64;
        2 * (code + constants)
    }
}
