//! What JavaScript holds: an allocation or image, from the first byte to the last call.
//!
//! One handle serves all of its life. A handle for each stage would be cleaner to read, but each costs Node a finalizer,
//! which is most of what a short-lived allocation costs.

use crate::error::{Error, Result};
use crate::published::Published;
use codeslab::{InFlightAllocation, SectionId};
use std::cell::{Ref, RefCell};
use std::sync::Arc;

/// One thread's handle to an allocation or image.
pub struct CodeHandle(RefCell<Stage>);

enum Stage {
    Writing(Box<Writing>),
    Published(Arc<Published>),
    Abandoned,
}

/// An allocation that is being written, with its sections in the order in which JavaScript counts them.
pub(crate) struct Writing {
    pub(crate) allocation: InFlightAllocation,
    pub(crate) sections: Vec<SectionId>,
}

impl From<Writing> for CodeHandle {
    fn from(writing: Writing) -> Self {
        Self(RefCell::new(Stage::Writing(Box::new(writing))))
    }
}

impl From<Arc<Published>> for CodeHandle {
    fn from(published: Arc<Published>) -> Self {
        Self(RefCell::new(Stage::Published(published)))
    }
}

impl CodeHandle {
    /// What can be done with it.
    pub(crate) fn stage(&self) -> &'static str {
        match *self.0.borrow() {
            Stage::Writing(_) => "in flight",
            Stage::Published(_) => "finalized",
            Stage::Abandoned => "abandoned",
        }
    }

    /// Writes to an allocation in flight.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Writing) -> Result<T>) -> Result<T> {
        match &mut *self.0.borrow_mut() {
            Stage::Writing(writing) => write(writing),
            Stage::Published(_) => Err(Error::Finalized),
            Stage::Abandoned => Err(Error::Abandoned),
        }
    }

    /// Takes an allocation in flight out. What is not put back by [`CodeHandle::publish`] is abandoned.
    pub(crate) fn take(&self) -> Result<InFlightAllocation> {
        let mut stage = self.0.borrow_mut();
        match std::mem::replace(&mut *stage, Stage::Abandoned) {
            Stage::Writing(writing) => Ok(writing.allocation),
            Stage::Published(published) => {
                *stage = Stage::Published(published);
                Err(Error::Finalized)
            }
            Stage::Abandoned => Err(Error::Abandoned),
        }
    }

    /// Puts back what was taken, published.
    pub(crate) fn publish(&self, published: Published) {
        *self.0.borrow_mut() = Stage::Published(Arc::new(published));
    }

    /// What was published.
    pub(crate) fn published(&self) -> Result<Ref<'_, Arc<Published>>> {
        Ref::filter_map(self.0.borrow(), |stage| match stage {
            Stage::Published(published) => Some(published),
            Stage::Writing(_) | Stage::Abandoned => None,
        })
        .map_err(|_| Error::Abandoned)
    }
}
