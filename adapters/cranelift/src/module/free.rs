//! Giving back: one object, some that refer to each other, or what was replaced.

use super::CodeModule;
use super::object::Live;
use crate::error::Error;
use cranelift_module::{DataId, FuncId, FuncOrDataId};
use std::collections::HashMap;

impl CodeModule {
    /// Frees a function: its code traps and its space is used again. It can be defined again afterwards. Nothing may execute it any more,
    /// nor call its address.
    ///
    /// # Errors
    /// [`Error::NotDefined`] if it is not defined, [`Error::Referenced`] if something that is finalized refers to it. Nothing is freed then.
    pub fn free_function(&mut self, id: FuncId) -> Result<(), Error> {
        self.free(&[FuncOrDataId::Func(id)])
    }

    /// Frees a data object, as [`CodeModule::free_function`] does a function.
    ///
    /// # Errors
    /// As those of [`CodeModule::free_function`].
    pub fn free_data(&mut self, id: DataId) -> Result<(), Error> {
        self.free(&[FuncOrDataId::Data(id)])
    }

    /// Frees several at once, which may refer to each other: all or none of them.
    ///
    /// # Errors
    /// [`Error::NotDefined`] if one is not defined, [`Error::Referenced`] if something else that is finalized refers to one.
    pub fn free(&mut self, objects: &[FuncOrDataId]) -> Result<(), Error> {
        let mut inside: HashMap<FuncOrDataId, usize> = objects.iter().map(|id| (*id, 0)).collect();
        for id in objects {
            let object = self.objects.get(*id);
            if !object.is_some_and(super::object::Object::is_defined) {
                let name = self.name(*id);
                return Err(Error::NotDefined { name });
            }
        }
        // Those that appear twice count once.
        for id in inside.keys().copied().collect::<Vec<_>>() {
            let live = self.objects.get(id).and_then(|object| object.live.as_ref());
            for other in live.iter().flat_map(|live| &live.refers_to) {
                if let Some(count) = inside.get_mut(other) {
                    *count += 1;
                }
            }
        }
        for (id, count) in &inside {
            let referrers = self.objects.get(*id).map_or(0, |object| object.referrers);
            if referrers > *count {
                return Err(self.referenced(*id, &inside));
            }
        }
        for id in inside.into_keys() {
            self.remove(id);
        }
        self.rest();
        Ok(())
    }

    fn referenced(&self, id: FuncOrDataId, inside: &HashMap<FuncOrDataId, usize>) -> Error {
        let outside = self.objects.referrers(id);
        let mut outside = outside.filter(|other| !inside.contains_key(other));
        // What is not live and still refers to it was replaced.
        let replaced = self.replaced.iter();
        let mut replaced = replaced.filter(|(_, live)| live.refers_to.contains(&id));
        let by = match (outside.next(), replaced.next()) {
            (Some(by), _) => self.name(by),
            (None, Some((by, _))) => {
                format!("the code of {} that was replaced", self.name(*by))
            }
            (None, None) => unreachable!("a referrer is one or the other"),
        };
        let name = self.name(id);
        Error::Referenced { name, by }
    }

    fn remove(&mut self, id: FuncOrDataId) {
        let object = self.objects.get_mut(id).expect("it was declared");
        if object.pending.take().is_some() {
            self.pending.retain(|other| *other != id);
        }
        let object = self.objects.get_mut(id).expect("it was declared");
        if let Some(live) = object.live.take() {
            self.live -= 1;
            self.drop_live(live);
        }
        self.forget_slot(id);
    }

    /// Frees the code that was replaced by newer definitions, and says how many there were of it. No thread may be in it any more; or the
    /// memory was opened with a quarantine ([`codeslab::Options::quarantine`]), whose grace period then takes care of those that are.
    pub fn free_replaced(&mut self) -> usize {
        let replaced = std::mem::take(&mut self.replaced);
        let count = replaced.len();
        for (_, live) in replaced {
            self.drop_live(live);
        }
        self.rest();
        count
    }

    fn drop_live(&mut self, live: Live) {
        for other in &live.refers_to {
            if let Some(object) = self.objects.get_mut(*other) {
                object.referrers -= 1;
            }
        }
        live.allocation.free();
    }
}
