//! Names that stand for others if nothing defines them: weak externals and `/ALTERNATENAME` of Windows.
//!
//! Objects say what a name stands for when they are added. Whether something defines the name is known when it comes up among those that are
//! wanted and no library has it; then the other one is wanted. Places are filled in when all are known, the last found first, because one
//! name may stand for another that does so itself.

use super::resolution::{Alternative, Fallback, Resolution};
use super::target::{Place, Rank, TargetId};
use crate::graph::{Binding, Other, SymbolKind};
use std::borrow::Cow;

impl<'a> Resolution<'a> {
    /// Takes in what the latest object says of names.
    pub(super) fn note_alternates(&mut self) {
        let Some(object) = self.objects.last() else {
            return;
        };
        let targets = self.targets_of(object);
        let named = object.graph.alternates().iter().map(|alternate| {
            let other = match &alternate.other {
                Other::Symbol(index) => Alternative::Target(targets[index.0 as usize]),
                Other::Name(name) => Alternative::Name(name.clone()),
            };
            (alternate.name.clone(), other)
        });
        for (name, other) in named.collect::<Vec<_>>() {
            // The name may have come up already, when nothing was known of it.
            if let Some(id) = self.globals.get(&name) {
                self.globals.want(name.clone(), id);
            }
            self.alternates.entry(name).or_insert(other);
        }
    }

    /// Has a name that nothing defines stand for another, if an object says so. Says whether it does.
    pub(super) fn fall_back(&mut self, name: &str, id: TargetId) -> bool {
        let Some(other) = self.alternates.get(name) else {
            return false;
        };
        let base = match other.clone() {
            Alternative::Target(base) => {
                self.want_again(base);
                base
            }
            Alternative::Name(other) => self.add_root(&other),
        };
        if base == id {
            return false;
        }
        let target = &mut self.targets[id.0 as usize];
        (target.rank, target.place) = (Rank::Fallback, Place::Nowhere);
        self.fallbacks.push(Fallback { id, base });
        true
    }

    /// Wants what a weak external stands for: a weak reference to it is no reason to look through libraries, this is.
    fn want_again(&mut self, id: TargetId) {
        let target = *self.target(id);
        let Some(object) = self.objects.get(target.object as usize) else {
            return;
        };
        let symbol = &object.graph.symbols()[target.symbol as usize];
        let is_open = !target.is_defined() && symbol.binding != Binding::Local;
        if is_open && symbol.kind != SymbolKind::ThreadLocal {
            let name: Cow<'a, str> = Cow::Owned(symbol.name.to_string());
            self.globals.want(name, id);
        }
    }

    /// Fills in the places of names that stand for others which have one.
    pub(super) fn fill_in_fallbacks(&mut self) {
        for Fallback { id, base } in self.fallbacks.iter().rev() {
            let place = self.targets[base.0 as usize].place;
            let target = &mut self.targets[id.0 as usize];
            // Something may have defined it since.
            if target.rank == Rank::Fallback
                && let Some(place) = place.moved(0)
            {
                target.place = place;
            }
        }
    }

    /// The names that stand for something that nothing defines.
    pub(super) fn lost_fallbacks(&self) -> impl Iterator<Item = TargetId> {
        let all = self.fallbacks.iter().map(|fallback| fallback.id);
        all.filter(|id| {
            let target = self.target(*id);
            target.rank == Rank::Fallback && target.place == Place::Nowhere
        })
    }
}
