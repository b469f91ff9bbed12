//! Global names: one target each, whichever objects define or mention it; and COMDAT groups, of which the first of a name counts.
//!
//! Names are looked up once for each symbol of each object, so the table is a hash map over borrowed names. It also keeps a list of the
//! names that some object refers to and none had defined by then; `resolve` goes through it to pull members out of libraries.

use super::target::TargetId;
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A group of an object that a link takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    pub(super) object: u32,
    pub(super) group: u32,
}

/// Global names, group names, and the names that are still to be looked for.
#[derive(Debug, Default)]
pub(super) struct Globals<'a> {
    targets: HashMap<Cow<'a, str>, TargetId, RandomState>,
    groups: HashMap<Cow<'a, str>, Chosen, RandomState>,
    wanted: Vec<(Cow<'a, str>, TargetId)>,
    // Bytes of all names.
    length: usize,
    // A bit for each length and last letter that some name has, so that most names that a small link lacks are not looked for.
    seen: u64,
}

/// The bit of names with this length and last letter.
#[inline]
pub(super) const fn bit(name: &str) -> u64 {
    let last = match name.as_bytes().last() {
        Some(last) => *last as u64,
        None => 0,
    };
    1 << ((name.len() as u64 * 29 + last) % 64)
}

/// The bits of names that are known beforehand: whether any of them may be there takes one look.
pub(super) const fn bits(names: &[&str]) -> u64 {
    let (mut all, mut index) = (0, 0);
    while index < names.len() {
        all |= bit(names[index]);
        index += 1;
    }
    all
}

impl<'a> Globals<'a> {
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, TargetId)> {
        self.targets.iter().map(|(name, id)| (name.as_ref(), *id))
    }

    /// How many bytes all names have.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Whether one of the names with these [`bits`] may be there.
    #[inline]
    pub(super) const fn may_have(&self, bits: u64) -> bool {
        self.seen & bits != 0
    }

    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<TargetId> {
        if self.seen & bit(name) == 0 {
            return None;
        }
        self.targets.get(name).copied()
    }

    /// Gives a name its target, unless it has one: then that and the name.
    #[inline]
    pub(super) fn enter(
        &mut self,
        name: Cow<'a, str>,
        id: TargetId,
        is_wanted: bool,
    ) -> Option<(TargetId, Cow<'a, str>)> {
        self.seen |= bit(&name);
        match self.targets.entry(name) {
            Entry::Occupied(known) => Some((*known.get(), known.key().clone())),
            Entry::Vacant(place) => {
                self.length += place.key().len();
                if is_wanted {
                    self.wanted.push((place.key().clone(), id));
                }
                place.insert(id);
                None
            }
        }
    }

    /// Sets room aside for so many names.
    pub(super) fn reserve(&mut self, count: usize) {
        /// Most names of a library are its own.
        const NAMES_PER_WANTED: usize = 8;
        self.targets.reserve(count);
        self.wanted.reserve(count / NAMES_PER_WANTED);
    }

    /// Gives a new name its target.
    pub(super) fn insert(&mut self, name: Cow<'a, str>, id: TargetId) {
        self.seen |= bit(&name);
        self.length += name.len();
        self.targets.insert(name, id);
    }

    /// The group of this name that was chosen before. Without one, this is.
    pub(super) fn claim_group(&mut self, name: Cow<'a, str>, group: Chosen) -> Option<Chosen> {
        match self.groups.entry(name) {
            Entry::Occupied(entry) => Some(*entry.get()),
            Entry::Vacant(entry) => {
                entry.insert(group);
                None
            }
        }
    }

    /// Chooses another group for a name.
    pub(super) fn replace_group(&mut self, name: &str, group: Chosen) {
        if let Some(chosen) = self.groups.get_mut(name) {
            *chosen = group;
        }
    }

    /// Notes that a name is referred to and not defined yet.
    pub(super) fn want(&mut self, name: Cow<'a, str>, id: TargetId) {
        self.wanted.push((name, id));
    }

    /// A name that was wanted; each comes up once.
    pub(super) fn next_wanted(&mut self) -> Option<(Cow<'a, str>, TargetId)> {
        self.wanted.pop()
    }
}
