//! What an embedder asks a [`CodeMemory`](crate::CodeMemory) for.

use crate::model::address::Window;
use crate::model::error::{Error, Result};
use crate::model::layout::{Layout, Segment};
use crate::model::protection::Protection;

/// What is asked of a [`CodeMemory`](crate::CodeMemory): bytes, and the windows in which all of them have to lie.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(crate) layout: &'a Layout,
    windows: &'a [Window],
}

impl<'a> Request<'a> {
    /// A request for `layout`, anywhere within reach of itself.
    #[must_use]
    pub const fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            windows: &[],
        }
    }

    /// The same, and every byte of it must lie in each of `windows`.
    #[must_use]
    pub const fn within(self, windows: &'a [Window]) -> Self {
        Self { windows, ..self }
    }

    #[inline]
    pub(crate) fn window(&self) -> Result<Window> {
        if self.windows.is_empty() {
            Ok(Window::ANYWHERE)
        } else {
            Self::common_window(&[*self])
        }
    }

    /// What all windows of all requests have in common.
    pub(crate) fn common_window(requests: &[Self]) -> Result<Window> {
        let mut common = Window::ANYWHERE;
        for window in requests.iter().flat_map(|request| request.windows) {
            common = common
                .intersect(*window)
                .ok_or_else(|| Error::ConflictingWindows {
                    first: common,
                    second: *window,
                    distance: common
                        .first()
                        .max(window.first())
                        .distance(common.last().min(window.last())),
                })?;
        }
        Ok(common)
    }

    /// One layout for all of them, one behind the other in each segment, and where each begins there: see
    /// [`Block::divide`](crate::block::Block::divide). `padding` is how many times the alignment of each is left free before it.
    pub(crate) fn combine(
        requests: &[Self],
        granule: impl Fn(Protection) -> u64,
        padding: u64,
    ) -> Result<(Layout, Vec<[u64; 3]>)> {
        let mut starts = Vec::with_capacity(requests.len());
        let mut all = [Segment { size: 0, align: 1 }; 3];
        for request in requests {
            if request.layout.size() == 0 {
                return Err(Error::EmptyRequest);
            }
            let mut before = [u64::MAX; 3];
            for (protection, segment) in request.layout.segments() {
                let (index, align) = (protection.index(), segment.align.max(granule(protection)));
                let whole = &mut all[index];
                let padding = if starts.is_empty() { 0 } else { padding };
                // What is too large for a layout is too large for this, and found when that is made.
                let start = whole.size.saturating_add(padding.saturating_mul(align));
                before[index] = start
                    .checked_next_multiple_of(align)
                    .unwrap_or(u64::MAX - 1);
                whole.size = before[index].saturating_add(segment.size);
                whole.align = whole.align.max(align);
            }
            starts.push(before);
        }
        let mut layout = Layout::new();
        for (protection, whole) in Protection::ALL.into_iter().zip(all) {
            layout.add(protection, whole.size, whole.align)?;
        }
        Ok((layout, starts))
    }
}
