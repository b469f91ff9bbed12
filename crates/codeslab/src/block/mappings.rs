//! How many mappings a block has, for the budget. The kernel merges neighbours and splits where rights change, so what a growing
//! slab or a request will cost is bounded before, taken from the budget, and what was not needed given back afterwards.

use super::Block;
use crate::model::error::Refusal;
use crate::model::protection::Protection;

impl Block {
    /// Mappings that the system keeps for it at most, but for those of pages with rights of their own: neighbouring blocks may
    /// share some.
    pub(crate) fn mappings(&self) -> u64 {
        let slabs: usize = self.slabs.iter().map(|slab| slab.extents().len()).sum();
        let view = if self.pages.has_view() {
            self.pages.view_mappings()
        } else {
            0
        };
        (slabs + self.pages.uncommitted().len()) as u64 + view
    }

    /// Pages with rights of their own cut what is around them in two.
    fn mappings_per_request(&self) -> u64 {
        let slabs = [Protection::ReadExecute, Protection::ReadOnly];
        let own = slabs.map(|slab| u64::from(self.geometry.has_own_pages(slab)));
        2 * own.iter().sum::<u64>()
    }

    /// Takes from the budget what one more request may take where nothing has to grow.
    #[inline]
    pub(super) fn count_request_to_come(&mut self) -> Result<(), Refusal> {
        if self.geometry.needs_view {
            return Ok(());
        }
        self.count_ahead(0)
    }

    /// Takes from the budget what is missing if one more request is carved and `more` mappings are made.
    pub(super) fn count_ahead(&mut self, more: u64) -> Result<(), Refusal> {
        let most = self.mappings() + (self.requests + 1) * self.mappings_per_request() + more;
        let missing = most.saturating_sub(self.counted_mappings);
        if missing > 0 {
            self.pages.backing().budget.mappings.take(missing)?;
            self.counted_mappings = most;
        }
        Ok(())
    }

    /// Gives back to the budget what is not there.
    pub(super) fn count_mappings(&mut self) {
        let most = self.mappings() + self.requests * self.mappings_per_request();
        let less = self.counted_mappings.saturating_sub(most);
        if less > 0 {
            self.pages.backing().budget.mappings.give_back(less);
            self.counted_mappings -= less;
        }
    }
}
