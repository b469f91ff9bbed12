//! GOT entries and stubs, by target: which of them has one, and the how manieth it is.
//!
//! Entries and stubs are counted as relocations ask for them; where each lies follows from its number and the machine's sizes, once the
//! layout is known. `needs` fills this in, and `Plan` answers for it.

use crate::resolve::TargetId;

/// So many targets a library has for each that needs a slot, or more; a wrong guess costs a copy.
const TARGETS_PER_SLOT: usize = 16;

/// The GOT entry and the stub of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    entry: u32,
    stub: u32,
    /// The entry that its stub alone uses, if the stub's address stands for the target: where the target really is. Those of indirect
    /// functions are counted apart, because they are filled in later than all others.
    hidden_entry: u32,
}

const NONE: Slot = Slot {
    entry: UNUSED,
    stub: UNUSED,
    hidden_entry: UNUSED,
};

/// Who has which slot. Few targets of a library need one, so those that do stand by themselves: what is written for them goes through few.
#[derive(Debug)]
struct Table {
    /// By target: which of the slots it has, counted from 1; 0 for those that need none.
    numbers: Vec<u32>,
    /// In the order in which they were asked for.
    slots: Vec<(TargetId, Slot)>,
}

impl Table {
    #[inline]
    fn slot(&self, id: TargetId) -> Slot {
        match self.numbers[id.0 as usize] {
            0 => NONE,
            number => self.slots[number as usize - 1].1,
        }
    }

    /// That of a target, which gets one if it has none.
    fn slot_mut(&mut self, id: TargetId) -> &mut Slot {
        let number = &mut self.numbers[id.0 as usize];
        if *number == 0 {
            self.slots.push((id, NONE));
            *number = self.slots.len() as u32;
        }
        &mut self.slots[*number as usize - 1].1
    }
}

/// Those of all targets, and how many there are.
#[derive(Debug)]
pub(super) struct Slots {
    table: Table,
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
        Self {
            table: Table {
                numbers: vec![0; target_count],
                slots: Vec::with_capacity(target_count / TARGETS_PER_SLOT),
            },
            entry_count: 0,
            indirect_count: 0,
            stub_count: 0,
        }
    }

    /// The targets that have an entry or a stub.
    pub(super) fn targets(&self) -> impl Iterator<Item = TargetId> {
        self.table.slots.iter().map(|(id, _)| *id)
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
        used(self.table.slot(id).entry)
    }

    /// The number of its stub.
    pub(super) fn stub(&self, id: TargetId) -> Option<u32> {
        used(self.table.slot(id).stub)
    }

    /// The number of the entry that its stub alone uses.
    pub(super) fn hidden_entry(&self, id: TargetId) -> Option<u32> {
        used(self.table.slot(id).hidden_entry)
    }

    /// Whether the address of its stub is the address of the target.
    pub(super) fn is_canonical(&self, id: TargetId) -> bool {
        self.hidden_entry(id).is_some()
    }

    pub(super) fn need_entry(&mut self, id: TargetId) {
        let slot = self.table.slot_mut(id);
        number(&mut slot.entry, &mut self.entry_count);
    }

    pub(super) fn need_stub(&mut self, id: TargetId) {
        let slot = self.table.slot_mut(id);
        number(&mut slot.stub, &mut self.stub_count);
    }

    /// Has the stub of a target stand for it.
    pub(super) fn need_canonical(&mut self, id: TargetId) {
        self.need_stub(id);
        let slot = self.table.slot_mut(id);
        number(&mut slot.hidden_entry, &mut self.entry_count);
    }

    /// Has the stub of an indirect function, or of one that can be replaced, stand for it.
    pub(super) fn need_indirect(&mut self, id: TargetId) {
        self.need_stub(id);
        let slot = self.table.slot_mut(id);
        number(&mut slot.hidden_entry, &mut self.indirect_count);
    }
}
