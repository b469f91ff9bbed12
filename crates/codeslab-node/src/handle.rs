//! What JavaScript holds: an allocation or image, from the first byte to the last call.
//!
//! One handle serves all of its life. A handle for each stage would be cleaner to read, but each costs Node a finalizer,
//! which is most of what a short-lived allocation costs. Where sections are and what they may be used for is kept here, too:
//! what JavaScript says of that is not asked.

use crate::error::{Error, Result};
use crate::load::{Load, SharedWeight, Weight};
use crate::published::{self, Published};
use crate::sections::{Few, Section, Sections};
use crate::tools::Names;
use codeslab::{Allocation, InFlightAllocation};
use std::any::Any;
use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

/// What errors call an allocation.
const ALLOCATION: &str = "allocation";

/// One thread's handle to an allocation or image.
#[derive(Debug)]
pub struct CodeHandle {
    stage: RefCell<Stage>,
    /// Those of an allocation, in the order in which JavaScript counts them.
    sections: Sections,
    weight: SharedWeight,
}

#[derive(Debug)]
enum Stage {
    // Boxed: it is large, and short-lived.
    Writing(Box<Writing>),
    /// Published, and known to this handle alone. What is called, shared or looked at becomes [`Stage::Published`], which takes more
    /// memory than all the rest: most of what is placed is data, or called by other code.
    Placed(Allocation),
    Published(Arc<Published>),
    Abandoned,
    /// It was an allocation that was [`Stage::Placed`].
    Freed,
}

/// An allocation in flight.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) allocation: InFlightAllocation,
    /// Of the sections, if debuggers or profilers are told of them.
    pub(crate) names: Option<Names>,
}

/// An allocation that is published and that nothing has looked at since: there may be a million.
#[derive(Debug)]
pub(crate) struct Lone {
    allocation: Allocation,
    sections: Few,
}

impl Lone {
    /// What V8 is told that it weighs.
    pub(crate) fn bytes(&self) -> u64 {
        self.sections.bytes()
    }
}

/// What a number of JavaScript's stands for.
#[derive(Debug)]
pub(crate) enum Content {
    /// Something that others may have as well.
    Shared(Rc<dyn Any>),
    /// An allocation whose handle is made when it is needed. While it is in a slot, its bytes are taken up.
    Lone(Lone),
    /// The numbers of a batch, which go together once its object has been collected. It has this number itself.
    Batch(u32, Box<[u32]>),
}

impl Content {
    /// An allocation that was published at once.
    pub(crate) fn published(
        allocation: Allocation,
        sections: Sections,
        load: &Rc<Load>,
        bytes: u64,
    ) -> Self {
        if let Some(sections) = sections.as_few() {
            return Self::Lone(Lone {
                allocation,
                sections,
            });
        }
        let weight = Weight::new(load, bytes);
        let handle = CodeHandle::allocation(allocation, sections, weight);
        Self::Shared(Rc::new(handle))
    }
}

impl CodeHandle {
    /// The handle of an allocation that nothing has looked at yet, whose bytes are taken up.
    pub(crate) fn of_lone(lone: Lone, load: &Rc<Load>) -> Self {
        let weight = Weight::of_taken_up(load, lone.bytes());
        Self::allocation(lone.allocation, Sections::few(lone.sections), weight)
    }

    /// The handles in the place of those that were given up: of an allocation, an image and a slot that were freed.
    pub(crate) fn freed() -> [Self; 3] {
        [ALLOCATION, "image", "slot"].map(|noun| {
            let freed = Arc::new(Published::freed(noun));
            Self::image(freed, Weight::new(&Rc::default(), 0))
        })
    }

    /// The handle of an allocation in flight.
    pub(crate) fn in_flight(
        allocation: InFlightAllocation,
        sections: Sections,
        weight: Weight,
    ) -> Self {
        let names = None;
        let writing = Box::new(Writing { allocation, names });
        Self {
            stage: RefCell::new(Stage::Writing(writing)),
            sections,
            weight: SharedWeight::new(weight),
        }
    }

    /// The handle of an allocation that was published at once.
    pub(crate) fn allocation(allocation: Allocation, sections: Sections, weight: Weight) -> Self {
        Self {
            stage: RefCell::new(Stage::Placed(allocation)),
            sections,
            weight: SharedWeight::new(weight),
        }
    }

    /// A handle to an image.
    pub(crate) fn image(image: Arc<Published>, weight: Weight) -> Self {
        Self {
            stage: RefCell::new(Stage::Published(image)),
            sections: Sections::listed(Box::default()),
            weight: SharedWeight::new(weight),
        }
    }

    /// A handle to an allocation with these sections, published by another thread.
    pub(crate) fn opened(allocation: Arc<Published>, sections: Sections, weight: Weight) -> Self {
        Self {
            sections,
            ..Self::image(allocation, weight)
        }
    }

    /// Those of an allocation, in the order in which JavaScript counts them.
    pub(crate) fn sections(&self) -> &[Section] {
        self.sections.all(|protection| match &*self.stage.borrow() {
            Stage::Writing(writing) => writing.allocation.segment_address(protection),
            Stage::Placed(allocation) => allocation.segment_address(protection),
            Stage::Published(_) | Stage::Abandoned | Stage::Freed => None,
        })
    }

    /// What can be done with it.
    pub(crate) fn stage(&self) -> &'static str {
        match *self.stage.borrow() {
            Stage::Writing(_) => "in flight",
            Stage::Placed(_) | Stage::Published(_) | Stage::Freed => "finalized",
            Stage::Abandoned => "abandoned",
        }
    }

    /// A section by its number. What was freed and given up has none.
    pub(crate) fn section(&self, number: u32) -> Result<&Section> {
        self.sections().get(number as usize).ok_or_else(|| {
            let published = self.published();
            let freed = published.ok().filter(|published| published.is_freed());
            freed.map_or(Error::UnknownSection { number }, |freed| {
                Error::Freed(freed.noun())
            })
        })
    }

    /// What V8 is told that it weighs, for what keeps the memory besides.
    pub(crate) fn weight(&self) -> Rc<Weight> {
        self.weight.share()
    }

    /// Its memory is gone.
    pub(crate) fn clear_weight(&self) {
        self.weight.clear();
    }

    /// Writes to an allocation in flight.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&mut InFlightAllocation) -> Result<T>,
    ) -> Result<T> {
        match &mut *self.stage.borrow_mut() {
            Stage::Writing(writing) => write(&mut writing.allocation),
            Stage::Placed(_) | Stage::Published(_) | Stage::Freed => Err(Error::Finalized),
            Stage::Abandoned => Err(Error::Abandoned),
        }
    }

    /// Takes an allocation in flight out. What is not put back by [`CodeHandle::publish`] is abandoned.
    pub(crate) fn take(&self) -> Result<Writing> {
        // Where they are, only what is taken knows.
        self.sections();
        let mut stage = self.stage.borrow_mut();
        match mem::replace(&mut *stage, Stage::Abandoned) {
            Stage::Writing(writing) => Ok(*writing),
            Stage::Abandoned => Err(Error::Abandoned),
            published => {
                *stage = published;
                Err(Error::Finalized)
            }
        }
    }

    /// Names the sections for debuggers and profilers, while it is in flight.
    pub(crate) fn set_names(&self, names: Names) {
        if let Stage::Writing(writing) = &mut *self.stage.borrow_mut() {
            writing.names = Some(names);
        }
    }

    /// Puts back what was taken, published, and tells debuggers and profilers of it.
    pub(crate) fn publish(&self, allocation: Allocation, names: Option<Names>) {
        let stage = match names {
            None => Stage::Placed(allocation),
            Some(names) => Stage::Published(self.publish_named(allocation, &names)),
        };
        *self.stage.borrow_mut() = stage;
    }

    fn publish_named(&self, allocation: Allocation, names: &Names) -> Arc<Published> {
        let told = names.tell(self.sections().iter().map(Section::code));
        let content = published::Content::allocation(allocation);
        let published = Arc::new(Published::new(content, vec![told]));
        for (section, name) in self.sections().iter().zip(names.given()) {
            published.name(section.address, section.size.get(), name);
        }
        published
    }

    /// What was published. (A count and not a borrow, because throwing runs JavaScript, which may use this very handle.)
    pub(crate) fn published(&self) -> Result<Arc<Published>> {
        self.sections();
        let mut stage = self.stage.borrow_mut();
        match mem::replace(&mut *stage, Stage::Freed) {
            Stage::Placed(allocation) => {
                let published =
                    Published::new(published::Content::allocation(allocation), Vec::new());
                *stage = Stage::Published(Arc::new(published));
            }
            Stage::Freed => {}
            other => *stage = other,
        }
        match &*stage {
            Stage::Published(published) => Ok(Arc::clone(published)),
            Stage::Freed => Ok(Arc::new(Published::freed(ALLOCATION))),
            _ => Err(Error::Abandoned),
        }
    }

    /// Frees what only this handle knows. `false` if there is no such thing: it was freed, or others may know it.
    pub(crate) fn free_placed(&self) -> bool {
        self.sections();
        let mut stage = self.stage.borrow_mut();
        let Stage::Placed(_) = *stage else {
            return false;
        };
        let placed = mem::replace(&mut *stage, Stage::Freed);
        drop(stage);
        drop(placed);
        true
    }

    /// Whether what was published has been freed, by any thread.
    pub(crate) fn is_freed(&self) -> Result<bool> {
        match &*self.stage.borrow() {
            Stage::Placed(_) => Ok(false),
            Stage::Freed => Ok(true),
            Stage::Published(published) => Ok(published.is_freed()),
            Stage::Writing(_) | Stage::Abandoned => Err(Error::Abandoned),
        }
    }
}
