//! Which slab has which page of a block, and what is carved from it, for threads that do not own the block: they take no lock and
//! wait for nothing.
//!
//! The block's owner notes pages as slabs grow, and changes the runs in an order in which a span that stays in use is found all
//! the while (see `slab::runs`). Block headers hold it, and the map that lookups by address read.

use crate::model::address::{Address, Window};
use crate::model::protection::Protection;
use crate::slab::runs::Runs;
use crate::slab::span::{Located, Span};
use crate::slab::spans::Spans;
use crate::sync::{Ordering, WordSource, Words};
use std::sync::Arc;

/// Two bits say which slab has a page: `Protection::index` + 1, or 0 for none.
const PAGES_PER_WORD: u64 = 32;

#[derive(Debug)]
pub(crate) struct PageMap {
    pub(crate) range: Window,
    page_bytes: u64,
    owners: Words,
    // By protection: those of the slab from which memory with it is carved.
    runs: [Arc<Runs>; 3],
}

impl PageMap {
    /// Of a block whose slabs have no pages yet. `None` if there is no memory for it.
    pub(crate) fn new(
        range: Window,
        page_bytes: u64,
        runs: [Arc<Runs>; 3],
        source: &mut WordSource,
    ) -> Option<Self> {
        let pages = range.size() / page_bytes;
        let words = pages.div_ceil(PAGES_PER_WORD) as usize;
        Some(Self {
            range,
            page_bytes,
            owners: source.take(words)?,
            runs,
        })
    }

    /// The runs of the slab from which memory with this protection is carved.
    pub(crate) fn runs(&self, protection: Protection) -> &Runs {
        &self.runs[protection.index()]
    }

    /// Where the span of a request with this protection is and how long.
    #[inline]
    pub(crate) fn span(&self, spans: &Spans, protection: Protection) -> Option<Span> {
        let offset = spans.offset(protection)?;
        Some(self.runs(protection).run_at(offset))
    }

    /// The same for all protections.
    #[inline]
    pub(crate) fn locate(&self, spans: &Spans) -> Located {
        let mut located = [None; 3];
        for protection in Protection::ALL {
            if let Some(offset) = spans.offset(protection) {
                located[protection.index()] = Some(self.runs(protection).run_at(offset));
            }
        }
        located
    }

    /// Does something with the runs and the beginning of each span of a request.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what to do is known at each call")]
    pub(crate) fn for_each(&self, spans: &Spans, act: impl Fn(&Runs, u64)) {
        for protection in Protection::ALL {
            if let Some(offset) = spans.offset(protection) {
                act(self.runs(protection), offset);
            }
        }
    }

    /// Notes that a slab has pages now.
    pub(crate) fn note_pages(&self, pages: Span, slab: Protection) {
        for page in pages.offset / self.page_bytes..pages.end() / self.page_bytes {
            let word = &self.owners[(page / PAGES_PER_WORD) as usize];
            let owner = (slab.index() as u64 + 1) << (page % PAGES_PER_WORD * 2);
            word.store(word.load(Ordering::Relaxed) | owner, Ordering::Relaxed);
        }
    }

    /// Notes that no slab has pages.
    pub(crate) fn clear(&self) {
        for word in &*self.owners {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Without that of the runs.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        (size_of::<Self>() + size_of_val(&*self.owners)) as u64
    }

    /// The slab whose page `offset` lies on.
    fn owner(&self, offset: u64) -> Option<Protection> {
        let page = offset / self.page_bytes;
        let word = self.owners.get((page / PAGES_PER_WORD) as usize)?;
        let owner = word.load(Ordering::Relaxed) >> (page % PAGES_PER_WORD * 2) & 3;
        let index = (owner as usize).checked_sub(1)?;
        Protection::ALL.get(index).copied()
    }

    /// The span in use that an address lies in, and its slab. Exact for spans that are in use all the while.
    pub(crate) fn used_at(&self, address: Address) -> Option<(Span, Protection)> {
        let offset = address.value().checked_sub(self.range.first().value())?;
        let slab = self.owner(offset)?;
        let span = self.runs(slab).used_at(offset)?;
        Some((span, slab))
    }
}
