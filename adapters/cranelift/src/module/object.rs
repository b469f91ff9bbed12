//! Functions and data of a module, and what state each is in.

use codeslab::{Address, Allocation, InFlightAllocation, SectionId, Slot};
use cranelift_module::{FuncOrDataId, ModuleReloc};
use std::fmt;

/// A function or a data object.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// Whether it can be defined again while it is defined.
    pub(super) is_replaceable: bool,
    /// What references to a replaceable function lead to, from its first definition on.
    pub(super) slot: Option<Slot>,
    /// Defined and not finalized.
    pub(super) pending: Option<Pending>,
    /// Finalized.
    pub(super) live: Option<Live>,
    /// How many other objects that are finalized refer to it.
    pub(super) referrers: usize,
}

/// What is defined and not finalized.
pub(super) struct Pending {
    pub(super) in_flight: InFlightAllocation,
    pub(super) section: SectionId,
    pub(super) size: u64,
    pub(super) relocations: Vec<ModuleReloc>,
}

impl Pending {
    pub(super) fn address(&self) -> Address {
        self.in_flight.address(self.section)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("address", &self.address())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What is finalized.
#[derive(Debug)]
pub(super) struct Live {
    // Dropping it frees it.
    pub(super) allocation: Allocation,
    pub(super) address: Address,
    pub(super) size: u64,
    /// The other objects whose addresses it has, each once.
    pub(super) refers_to: Vec<FuncOrDataId>,
}

impl Object {
    /// What references to it hold.
    pub(super) fn address(&self) -> Option<Address> {
        let slot = self.slot.as_ref().map(Slot::address);
        slot.or_else(|| self.own_address())
    }

    /// Where its newest bytes are.
    pub(super) fn own_address(&self) -> Option<Address> {
        let pending = self.pending.as_ref().map(Pending::address);
        pending.or_else(|| self.live.as_ref().map(|live| live.address))
    }

    /// Whether it cannot be defined now.
    pub(super) const fn is_taken(&self) -> bool {
        self.pending.is_some() || (self.live.is_some() && !self.is_replaceable)
    }

    pub(super) const fn is_defined(&self) -> bool {
        self.pending.is_some() || self.live.is_some()
    }
}

/// All that a module declared.
#[derive(Debug, Default)]
pub(super) struct Objects {
    functions: Vec<Object>,
    data: Vec<Object>,
}

impl Objects {
    /// Makes room for something that was declared.
    pub(super) fn declare(&mut self, id: FuncOrDataId) {
        let (list, index) = match id {
            FuncOrDataId::Func(id) => (&mut self.functions, id.as_u32()),
            FuncOrDataId::Data(id) => (&mut self.data, id.as_u32()),
        };
        let length = list.len().max(index as usize + 1);
        list.resize_with(length, Object::default);
    }

    /// `None` for what another module declared.
    pub(super) fn get(&self, id: FuncOrDataId) -> Option<&Object> {
        match id {
            FuncOrDataId::Func(id) => self.functions.get(id.as_u32() as usize),
            FuncOrDataId::Data(id) => self.data.get(id.as_u32() as usize),
        }
    }

    pub(super) fn get_mut(&mut self, id: FuncOrDataId) -> Option<&mut Object> {
        match id {
            FuncOrDataId::Func(id) => self.functions.get_mut(id.as_u32() as usize),
            FuncOrDataId::Data(id) => self.data.get_mut(id.as_u32() as usize),
        }
    }

    /// The objects that are finalized and refer to one.
    pub(super) fn referrers(&self, to: FuncOrDataId) -> impl Iterator<Item = FuncOrDataId> {
        let functions = self.functions.iter().zip(0..);
        let functions = functions.map(|(object, index)| {
            let id = cranelift_module::FuncId::from_u32(index);
            (FuncOrDataId::Func(id), object)
        });
        let data = self.data.iter().zip(0..).map(|(object, index)| {
            let id = cranelift_module::DataId::from_u32(index);
            (FuncOrDataId::Data(id), object)
        });
        functions.chain(data).filter_map(move |(id, object)| {
            let live = object.live.as_ref()?;
            live.refers_to.contains(&to).then_some(id)
        })
    }
}
