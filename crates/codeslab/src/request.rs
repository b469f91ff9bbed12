//! What an embedder asks a [`CodeMemory`](crate::CodeMemory) for.

use crate::model::address::Window;
use crate::model::error::{Error, Result};
use crate::model::layout::Layout;

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
            self.common_window()
        }
    }

    fn common_window(&self) -> Result<Window> {
        let mut common = Window::ANYWHERE;
        for window in self.windows {
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
}
