//! What JavaScript holds: an allocation or image, from the first byte to the last call.
//!
//! One handle serves all of its life. A handle for each stage would be cleaner to read, but each costs Node a finalizer,
//! which is most of what a short-lived allocation costs. Where sections are and what they may be used for is kept here, too:
//! what JavaScript says of that is not asked.

use crate::error::{Error, Result};
use crate::load::Weight;
use crate::published::{Content, Published};
use crate::tools::Names;
use codeslab::{Address, Allocation, InFlightAllocation, Protection, SectionId};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// One thread's handle to an allocation or image.
#[derive(Debug)]
pub struct CodeHandle {
    stage: RefCell<Stage>,
    /// Those of an allocation, in the order in which JavaScript counts them.
    sections: Box<[Section]>,
    weight: Rc<Weight>,
    /// Of the sections, if debuggers or profilers are told of them.
    names: RefCell<Option<Box<Names>>>,
}

#[derive(Debug)]
enum Stage {
    // Boxed: it is large, and short-lived.
    Writing(Box<InFlightAllocation>),
    Published(Arc<Published>),
    Abandoned,
}

/// A section of an allocation.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) id: SectionId,
    pub(crate) address: Address,
    pub(crate) protection: Protection,
    /// It may become smaller in flight.
    pub(crate) size: Cell<u64>,
}

impl Section {
    /// Where its code is and how many bytes it has, if it is code.
    fn code(&self) -> Option<(Address, u64)> {
        let is_code = self.protection == Protection::ReadExecute;
        is_code.then(|| (self.address, self.size.get()))
    }
}

impl CodeHandle {
    /// The handle of an allocation in flight.
    pub(crate) fn in_flight(
        allocation: InFlightAllocation,
        sections: Box<[Section]>,
        weight: Weight,
    ) -> Self {
        Self {
            stage: RefCell::new(Stage::Writing(Box::new(allocation))),
            sections,
            weight: Rc::new(weight),
            names: RefCell::default(),
        }
    }

    /// A handle to an image.
    pub(crate) fn image(image: Arc<Published>, weight: Weight) -> Self {
        Self {
            stage: RefCell::new(Stage::Published(image)),
            sections: Box::default(),
            weight: Rc::new(weight),
            names: RefCell::default(),
        }
    }

    /// A handle to an allocation with these sections, published by another thread.
    pub(crate) fn opened(
        allocation: Arc<Published>,
        sections: Box<[Section]>,
        weight: Weight,
    ) -> Self {
        Self {
            sections,
            ..Self::image(allocation, weight)
        }
    }

    /// Those of an allocation, in the order in which JavaScript counts them.
    pub(crate) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// What can be done with it.
    pub(crate) fn stage(&self) -> &'static str {
        match *self.stage.borrow() {
            Stage::Writing(_) => "in flight",
            Stage::Published(_) => "finalized",
            Stage::Abandoned => "abandoned",
        }
    }

    /// A section by its number.
    pub(crate) fn section(&self, number: u32) -> Result<&Section> {
        let unknown = Error::UnknownSection { number };
        self.sections.get(number as usize).ok_or(unknown)
    }

    /// What V8 is told that it weighs.
    pub(crate) fn weight(&self) -> &Rc<Weight> {
        &self.weight
    }

    /// Writes to an allocation in flight.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&mut InFlightAllocation) -> Result<T>,
    ) -> Result<T> {
        match &mut *self.stage.borrow_mut() {
            Stage::Writing(allocation) => write(allocation),
            Stage::Published(_) => Err(Error::Finalized),
            Stage::Abandoned => Err(Error::Abandoned),
        }
    }

    /// Takes an allocation in flight out. What is not put back by [`CodeHandle::publish`] is abandoned.
    pub(crate) fn take(&self) -> Result<InFlightAllocation> {
        let mut stage = self.stage.borrow_mut();
        match std::mem::replace(&mut *stage, Stage::Abandoned) {
            Stage::Writing(allocation) => Ok(*allocation),
            Stage::Published(published) => {
                *stage = Stage::Published(published);
                Err(Error::Finalized)
            }
            Stage::Abandoned => Err(Error::Abandoned),
        }
    }

    /// Names the sections for debuggers and profilers.
    pub(crate) fn set_names(&self, names: Names) {
        self.names.replace(Some(Box::new(names)));
    }

    /// Puts back what was taken, published, and tells debuggers and profilers of it.
    pub(crate) fn publish(&self, allocation: Allocation) {
        let names = self.names.take();
        let told = names
            .as_ref()
            .map(|names| names.tell(self.sections.iter().map(Section::code)));
        let told = told.into_iter().collect();
        let published = Arc::new(Published::new(Content::allocation(allocation), told));
        for (section, name) in self
            .sections
            .iter()
            .zip(names.iter().flat_map(|names| names.given()))
        {
            published.name(section.address, section.size.get(), name);
        }
        *self.stage.borrow_mut() = Stage::Published(published);
    }

    /// What was published. (A count and not a borrow, because throwing runs JavaScript, which may use this very handle.)
    pub(crate) fn published(&self) -> Result<Arc<Published>> {
        match &*self.stage.borrow() {
            Stage::Published(published) => Ok(Arc::clone(published)),
            Stage::Writing(_) | Stage::Abandoned => Err(Error::Abandoned),
        }
    }
}
