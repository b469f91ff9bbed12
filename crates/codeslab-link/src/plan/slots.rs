//! GOT entries and stubs, by target: which of them has one, and the how manieth it is.
//!
//! Entries and stubs are counted as relocations ask for them; where each lies follows from its number and the machine's sizes, once the
//! layout is known. `needs` fills this in, and `Plan` answers for it.

use crate::resolve::TargetId;

/// The GOT entry and the stub of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    entry: u32,
    stub: u32,
    /// The entry that its stub alone uses, if the stub's address stands for the target: where the target really is. Those of indirect
    /// functions are counted apart, because they are filled in later than all others.
    hidden_entry: u32,
}

/// Those of all targets, and how many there are.
#[derive(Debug)]
pub(super) struct Slots {
    by_target: Vec<Slot>,
    entry_count: u32,
    indirect_count: u32,
    stub_count: u32,
}

const UNUSED: u32 = u32::MAX;

fn used(number: u32) -> Option<u32> {
    (number != UNUSED).then_some(number)
}

/// Gives `slot` the next number unless it has one.
fn number(slot: &mut u32, count: &mut u32) {
    if *slot == UNUSED {
        *slot = *count;
        *count += 1;
    }
}

impl Slots {
    /// No target has any yet.
    pub(super) fn new(target_count: usize) -> Self {
        let none = Slot {
            entry: UNUSED,
            stub: UNUSED,
            hidden_entry: UNUSED,
        };
        Self {
            by_target: vec![none; target_count],
            entry_count: 0,
            indirect_count: 0,
            stub_count: 0,
        }
    }

    pub(super) const fn entry_count(&self) -> u32 {
        self.entry_count
    }

    pub(super) const fn indirect_count(&self) -> u32 {
        self.indirect_count
    }

    pub(super) const fn stub_count(&self) -> u32 {
        self.stub_count
    }

    /// The number of its GOT entry.
    pub(super) fn entry(&self, id: TargetId) -> Option<u32> {
        used(self.slot(id).entry)
    }

    /// The number of its stub.
    pub(super) fn stub(&self, id: TargetId) -> Option<u32> {
        used(self.slot(id).stub)
    }

    /// The number of the entry that its stub alone uses.
    pub(super) fn hidden_entry(&self, id: TargetId) -> Option<u32> {
        used(self.slot(id).hidden_entry)
    }

    /// Whether the address of its stub is the address of the target.
    pub(super) fn is_canonical(&self, id: TargetId) -> bool {
        self.hidden_entry(id).is_some()
    }

    pub(super) fn need_entry(&mut self, id: TargetId) {
        let slot = &mut self.by_target[id.0 as usize];
        number(&mut slot.entry, &mut self.entry_count);
    }

    pub(super) fn need_stub(&mut self, id: TargetId) {
        let slot = &mut self.by_target[id.0 as usize];
        number(&mut slot.stub, &mut self.stub_count);
    }

    /// Has the stub of a target stand for it.
    pub(super) fn need_canonical(&mut self, id: TargetId) {
        self.need_stub(id);
        let slot = &mut self.by_target[id.0 as usize];
        number(&mut slot.hidden_entry, &mut self.entry_count);
    }

    /// Has the stub of an indirect function, or of one that can be replaced, stand for it.
    pub(super) fn need_indirect(&mut self, id: TargetId) {
        self.need_stub(id);
        let slot = &mut self.by_target[id.0 as usize];
        number(&mut slot.hidden_entry, &mut self.indirect_count);
    }

    fn slot(&self, id: TargetId) -> &Slot {
        &self.by_target[id.0 as usize]
    }
}
