//! The addresses in which all that belongs together has to lie.
//!
//! Cranelift compiles a reference to what a module defines as a displacement of 32 bits (on 64-bit Arm, a call as one of 28), wherever that
//! turns out to be. So the first allocation is an anchor, and everything else of the module lies at most half the reach of a branch away
//! from it: any two things are within reach of each other. Both kinds of memory here rely on that.

use codeslab::{Address, CodeMemory, InFlightAllocation, Layout, Request, Window};

/// What reaches each other in one memory.
#[derive(Debug)]
pub(crate) struct Domain {
    memory: CodeMemory,
    near: Vec<Window>,
    anchor: Option<Address>,
}

impl Domain {
    /// A domain in which nothing is placed yet. All of it will lie in each of `near`.
    pub(crate) const fn new(memory: CodeMemory, near: Vec<Window>) -> Self {
        Self {
            memory,
            near,
            anchor: None,
        }
    }

    pub(crate) const fn memory(&self) -> &CodeMemory {
        &self.memory
    }

    /// Places a request within reach of everything else of the domain.
    pub(crate) fn allocate(&mut self, layout: &Layout) -> codeslab::Result<InFlightAllocation> {
        let request = Request::new(layout);
        let in_flight = self.memory.allocate(&request.within(&self.windows()))?;
        self.anchor.get_or_insert(in_flight.block().center());
        Ok(in_flight)
    }

    /// Where something has to lie that is placed now.
    pub(crate) fn windows(&self) -> Vec<Window> {
        let reach = self.memory.configuration().branch_reach.bytes() / 2;
        let anchored = self.anchor.map(|anchor| Window::around(anchor, reach));
        self.near.iter().copied().chain(anchored).collect()
    }

    /// Says that nothing of it is placed any more: the next request may lie elsewhere.
    pub(crate) const fn weigh_anchor(&mut self) {
        self.anchor = None;
    }
}
