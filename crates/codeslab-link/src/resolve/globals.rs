//! Global names: one target each, whoever defines it.

use super::{Object, Place, Rank, Resolution, Target, TargetId, counted};
use crate::error::{Error, Result};
use crate::graph::{Binding, Definition, Symbol};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The object number of a target that only a root has asked for.
const NO_OBJECT: u32 = u32::MAX;

/// Global names, group names, and what is still to be looked for.
#[derive(Debug, Default)]
pub(super) struct Globals<'a> {
    targets: HashMap<Cow<'a, str>, TargetId, RandomState>,
    groups: HashSet<Cow<'a, str>, RandomState>,
    wanted: Vec<(Cow<'a, str>, TargetId)>,
}

impl<'a> Globals<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, TargetId)> {
        self.targets.iter().map(|(name, id)| (name.as_ref(), *id))
    }

    pub(super) fn get(&self, name: &str) -> Option<TargetId> {
        self.targets.get(name).copied()
    }

    /// Whether this group is the first of its name.
    pub(super) fn claim_group(&mut self, name: Cow<'a, str>) -> bool {
        self.groups.insert(name)
    }

    /// A symbol that was referred to before it was defined; each comes up once.
    pub(super) fn next_wanted(&mut self) -> Option<(Cow<'a, str>, TargetId)> {
        self.wanted.pop()
    }
}

impl<'a> Resolution<'a> {
    /// Wants `name` as if an object referred to it.
    pub(super) fn add_root(&mut self, name: &str) {
        if self.globals.get(name).is_some() {
            return;
        }
        let id = self.push(Target {
            place: Place::Nowhere,
            rank: Rank::Reference,
            object: NO_OBJECT,
            symbol: 0,
        });
        let name: Cow<'a, str> = Cow::Owned(name.to_owned());
        self.globals.targets.insert(name.clone(), id);
        self.globals.wanted.push((name, id));
    }

    /// Gives every symbol of an object its target.
    pub(super) fn add_symbols(&mut self, object: Object<'a>) -> Result<()> {
        let number = counted(self.objects.len());
        self.objects.push(object);
        let count = self.objects[number as usize].graph.symbols().len();
        self.symbol_targets.reserve(count);
        for index in 0..count {
            let object = &self.objects[number as usize];
            let symbol = &object.graph.symbols()[index];
            let target = Target {
                place: self.place_of(object, symbol),
                rank: Rank::Local,
                object: number,
                symbol: counted(index),
            };
            let id = if symbol.binding == Binding::Local {
                self.push(target)
            } else {
                let name = symbol.name.clone();
                let rank = rank_of(symbol, target.place);
                self.add_global(name, Target { rank, ..target })?
            };
            self.symbol_targets.push(id);
        }
        Ok(())
    }
}

impl<'a> Resolution<'a> {
    fn push(&mut self, target: Target) -> TargetId {
        let id = TargetId(counted(self.targets.len()));
        self.targets.push(target);
        id
    }

    fn add_global(&mut self, name: Cow<'a, str>, new: Target) -> Result<TargetId> {
        if let Some(&id) = self.globals.targets.get(&name) {
            self.merge(name, id, new)?;
            return Ok(id);
        }
        let id = self.push(new);
        if new.rank == Rank::Reference {
            self.globals.wanted.push((name.clone(), id));
        }
        self.globals.targets.insert(name, id);
        Ok(id)
    }

    /// What is known about a name, after one more object has mentioned it.
    fn merge(&mut self, name: Cow<'a, str>, id: TargetId, new: Target) -> Result<()> {
        let known = &mut self.targets[id.0 as usize];
        match (known.rank, new.rank) {
            (Rank::Definition, Rank::Definition) => {
                let (first, second) = (known.object, new.object);
                return Err(self.duplicate(&name, first, second));
            }
            (Rank::Common, Rank::Common) => known.place = larger(known.place, new.place),
            (Rank::WeakReference, Rank::Reference) => {
                *known = new;
                self.globals.wanted.push((name, id));
            }
            (known_rank, new_rank) if new_rank > known_rank => *known = new,
            (Rank::Reference, _) if known.object == NO_OBJECT => {
                // A root: still wanted as much, but now there is an object to name in errors.
                *known = Target {
                    rank: Rank::Reference,
                    ..new
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn duplicate(&self, name: &str, first: u32, second: u32) -> Error {
        let object = |number: u32| self.objects[number as usize].graph.name().to_owned();
        Error::DuplicateSymbol {
            symbol: name.to_owned(),
            first: object(first),
            second: object(second),
        }
    }

    fn place_of(&self, object: &Object<'_>, symbol: &Symbol<'_>) -> Place {
        match symbol.definition {
            Definition::Undefined => Place::Nowhere,
            Definition::Absolute(value) => Place::Absolute(value),
            Definition::Common { size, align } => Place::Common { size, align },
            Definition::Discarded => Place::Discarded,
            Definition::Section { section, offset } => {
                let section = object.first_section + section.0;
                if self.is_live[section as usize] {
                    Place::Section { section, offset }
                } else {
                    Place::Discarded
                }
            }
        }
    }
}

/// A definition in a section that is left out is a reference to the one that is taken instead.
fn rank_of(symbol: &Symbol<'_>, place: Place) -> Rank {
    let is_weak = symbol.binding == Binding::Weak;
    match place {
        Place::Nowhere if is_weak => Rank::WeakReference,
        Place::Nowhere | Place::Discarded => Rank::Reference,
        Place::Common { .. } => Rank::Common,
        _ if is_weak => Rank::WeakDefinition,
        _ => Rank::Definition,
    }
}

fn larger(one: Place, other: Place) -> Place {
    match (one, other) {
        (
            Place::Common { size, align },
            Place::Common {
                size: other_size,
                align: other_align,
            },
        ) => Place::Common {
            size: size.max(other_size),
            align: align.max(other_align),
        },
        _ => one,
    }
}
