//! Finalizing: everything is resolved before anything is written, and everything is published at once.

use super::CodeModule;
use super::object::{Live, Pending};
use crate::error::Error;
use crate::relocation::{self, Failure, Patch};
use codeslab::{Address, Allocation, InFlightAllocation};
use cranelift_module::{DataId, FuncId, FuncOrDataId, Linkage, ModuleReloc, ModuleRelocTarget};

/// What finalizing writes into one object, and what that then refers to.
#[derive(Debug, Default)]
struct Resolved {
    patches: Vec<(usize, Patch)>,
    refers_to: Vec<FuncOrDataId>,
}

/// Something on its way from pending to live.
#[derive(Debug)]
struct Leaving {
    id: FuncOrDataId,
    address: Address,
    size: u64,
    refers_to: Vec<FuncOrDataId>,
}

impl CodeModule {
    /// Finalizes everything that is defined and not finalized: fills in what it refers to and makes it executable, or constant. Calls of
    /// replaceable functions that begin from now on arrive in the newest code.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::OutOfReach`]: everything that was defined stays defined then, and once that is mended, it
    /// can be finalized. [`Error::Memory`] if the system refuses: everything that was not finalized yet is undefined then.
    pub fn finalize_definitions(&mut self) -> Result<(), Error> {
        let pending = self.pending.iter();
        let resolved = pending.map(|id| self.resolve(*id));
        let resolved = resolved.collect::<Result<Vec<_>, _>>()?;
        // From here on nothing fails but publishing.
        let (leaving, batch) = self.leave(resolved);
        match publish(self.memory(), batch) {
            Ok(allocations) => {
                for (leaving, allocation) in leaving.into_iter().zip(allocations) {
                    self.land(leaving, allocation);
                }
                Ok(())
            }
            Err(error) => {
                for Leaving { id, .. } in leaving {
                    self.forget_slot(id);
                }
                self.rest();
                Err(error.into())
            }
        }
    }

    /// Writes what was resolved, and takes all that is pending.
    fn leave(&mut self, resolved: Vec<Resolved>) -> (Vec<Leaving>, Vec<InFlightAllocation>) {
        let pending = std::mem::take(&mut self.pending);
        let both = pending.into_iter().zip(resolved);
        both.map(|(id, resolved)| {
            let object = self.objects.get_mut(id).expect("it was declared");
            let pending = object.pending.take().expect("it is in the list of those");
            let address = pending.address();
            let Pending {
                mut in_flight,
                section,
                size,
                ..
            } = pending;
            let bytes = in_flight.bytes_mut(section);
            for (offset, patch) in resolved.patches {
                patch.apply(&mut bytes[offset..]);
            }
            let refers_to = resolved.refers_to;
            let leaving = Leaving {
                id,
                address,
                size,
                refers_to,
            };
            (leaving, in_flight)
        })
        .unzip()
    }

    /// Takes note of something that is published.
    fn land(&mut self, leaving: Leaving, allocation: Allocation) {
        let Leaving {
            id,
            address,
            size,
            refers_to,
        } = leaving;
        for other in &refers_to {
            self.objects
                .get_mut(*other)
                .expect("it has an address")
                .referrers += 1;
        }
        let object = self.objects.get_mut(id).expect("it was declared");
        let live = Live {
            allocation,
            address,
            size,
            refers_to,
        };
        if let Some(slot) = &object.slot {
            slot.replace(address);
        }
        match object.live.replace(live) {
            Some(before) => self.replaced.push((id, before)),
            None => self.live += 1,
        }
    }

    /// Of something that is no longer defined.
    pub(super) fn forget_slot(&mut self, id: FuncOrDataId) {
        if let Some(object) = self.objects.get_mut(id)
            && !object.is_defined()
        {
            object.slot = None;
        }
    }

    /// What finalizing writes into something that is pending.
    fn resolve(&self, id: FuncOrDataId) -> Result<Resolved, Error> {
        let object = self.objects.get(id).expect("it was declared");
        let pending = object.pending.as_ref().expect("it is in the list of those");
        let mut resolved = Resolved::default();
        for relocation in &pending.relocations {
            let (target, other) = self.target(&relocation.name, id)?;
            // On itself it does not depend.
            let other = other.filter(|other| *other != id);
            if let Some(other) = other.filter(|other| !resolved.refers_to.contains(other)) {
                resolved.refers_to.push(other);
            }
            let target = i128::from(target.value()) + i128::from(relocation.addend);
            let place = pending.address().value() + u64::from(relocation.offset);
            let patch = relocation::patch(relocation.kind, target, place);
            let patch = patch.map_err(|failure| self.cannot(failure, id, relocation))?;
            resolved.patches.push((relocation.offset as usize, patch));
        }
        Ok(resolved)
    }

    fn cannot(&self, failure: Failure, id: FuncOrDataId, relocation: &ModuleReloc) -> Error {
        let (by, offset) = (self.name(id), u64::from(relocation.offset));
        match failure {
            Failure::Unsupported => Error::UnsupportedRelocation {
                kind: format!("{:?}", relocation.kind),
                by,
                offset,
            },
            Failure::OutOfReach { distance, bits } => Error::OutOfReach {
                name: self.target_name(&relocation.name),
                by,
                offset,
                distance,
                bits,
            },
        }
    }

    /// Where a reference leads, and which object of the module that is.
    fn target(
        &self,
        target: &ModuleRelocTarget,
        by: FuncOrDataId,
    ) -> Result<(Address, Option<FuncOrDataId>), Error> {
        let undefined = || Error::Undefined {
            name: self.target_name(target),
            by: self.name(by),
        };
        match *target {
            ModuleRelocTarget::User { namespace, index } => {
                let id = identify(namespace, index).ok_or_else(undefined)?;
                let object = self.objects.get(id).ok_or_else(undefined)?;
                match object.address() {
                    Some(address) => Ok((address, Some(id))),
                    None => Ok((self.import(id).ok_or_else(undefined)?, None)),
                }
            }
            ModuleRelocTarget::LibCall(libcall) => {
                let found = self.names.find(&self.names.of_libcall(libcall));
                Ok((found.ok_or_else(undefined)?, None))
            }
            // A place inside of a function is one of its newest bytes, also where there is a slot.
            ModuleRelocTarget::FunctionOffset(function, offset) => {
                let id = FuncOrDataId::Func(function);
                let object = self.objects.get(id).ok_or_else(undefined)?;
                let start = object.own_address().ok_or_else(undefined)?;
                let place = start.checked_add(u64::from(offset));
                Ok((place.ok_or_else(undefined)?, Some(id)))
            }
            ModuleRelocTarget::KnownSymbol(_) => Err(undefined()),
        }
    }

    /// Where something is that the module declared and does not define.
    fn import(&self, id: FuncOrDataId) -> Option<Address> {
        let (name, linkage) = match id {
            FuncOrDataId::Func(id) => {
                let declaration = self.declarations.get_function_decl(id);
                (declaration.name.as_deref(), declaration.linkage)
            }
            FuncOrDataId::Data(id) => {
                let declaration = self.declarations.get_data_decl(id);
                (declaration.name.as_deref(), declaration.linkage)
            }
        };
        let found = || self.names.find(name?);
        match linkage {
            Linkage::Import => found(),
            // Whoever refers to it asks whether there is one.
            Linkage::Preemptible => Some(found().unwrap_or_default()),
            Linkage::Local | Linkage::Hidden | Linkage::Export => None,
        }
    }

    /// What errors call what is referred to.
    fn target_name(&self, target: &ModuleRelocTarget) -> String {
        match *target {
            ModuleRelocTarget::User { namespace, index } => match identify(namespace, index) {
                Some(id) => self.name(id),
                None => target.to_string(),
            },
            ModuleRelocTarget::LibCall(libcall) => self.names.of_libcall(libcall),
            ModuleRelocTarget::KnownSymbol(_) | ModuleRelocTarget::FunctionOffset(..) => {
                target.to_string()
            }
        }
    }
}

fn publish(
    memory: &codeslab::CodeMemory,
    batch: Vec<InFlightAllocation>,
) -> codeslab::Result<Vec<Allocation>> {
    memory.finalize_all(batch)
}

/// What Cranelift calls by two numbers.
fn identify(namespace: u32, index: u32) -> Option<FuncOrDataId> {
    match namespace {
        0 => Some(FuncOrDataId::Func(FuncId::from_u32(index))),
        1 => Some(FuncOrDataId::Data(DataId::from_u32(index))),
        _ => None,
    }
}
