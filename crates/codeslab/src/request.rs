//! What an embedder asks a [`CodeMemory`](crate::CodeMemory) for.

use crate::model::address::Window;
use crate::model::error::{Error, Result};
use crate::model::layout::Layout;
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

    /// What all windows have in common.
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

    /// One layout for all of them: in each segment one behind the other, so that they can be divided where granules begin. And how many
    /// bytes of each segment come before what each of them has there: all, where it has nothing.
    pub(crate) fn combine(
        requests: &[Self],
        granule: impl Fn(Protection) -> u64,
    ) -> Result<(Layout, Vec<[u64; 3]>)> {
        let (mut all, mut starts) = (Layout::new(), Vec::with_capacity(requests.len()));
        for request in requests {
            if request.layout.size() == 0 {
                return Err(Error::EmptyRequest);
            }
            let mut before = [u64::MAX; 3];
            for (protection, segment) in request.layout.segments() {
                let align = segment.align.max(granule(protection));
                let id = all.add(protection, segment.size, align)?;
                before[protection.index()] = all.section(id).offset;
            }
            starts.push(before);
        }
        Ok((all, starts))
    }
}
