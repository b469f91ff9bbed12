//! The symbols of an image: kept as they came while few are asked for, and put in order once many are.
//!
//! Images are linked often and asked for a few symbols: to sort the names of a library, and to give each a string of its own, takes longer
//! than to look through all of them a few times. So names lie one behind the other until all are asked for, or until so many were looked
//! for that a list in order pays.

use crate::exports::ImageSymbol;
use crate::graph::Visibility;
use crate::names::Names;
use codeslab::{Address, Protection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// As many are looked for one after the other before they are put in order.
const SEARCHES: u32 = 16;

/// The symbols of an image.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    names: String,
    // Invariant: each name once, and within `names`.
    entries: Vec<Entry>,
    /// The objects that define them, by number.
    objects: Arc<Names>,
    searches: AtomicU32,
    sorted: OnceLock<Vec<ImageSymbol>>,
}

/// A symbol without what is told by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Where its name begins, and how long it is, in bytes.
    start: usize,
    length: usize,
    pub(crate) address: Address,
    pub(crate) size: u64,
    pub(crate) protection: Option<Protection>,
    pub(crate) visibility: Visibility,
    /// The number of the object; of none, if the embedder assigned it.
    pub(crate) object: u32,
}

impl Symbols {
    /// None yet, of these objects, with room for so many whose names have so many bytes together.
    pub(crate) fn of(objects: Arc<Names>, (count, length): (usize, usize)) -> Self {
        // No default names: those would be made, too.
        Self {
            names: String::with_capacity(length),
            entries: Vec::with_capacity(count),
            objects,
            searches: AtomicU32::new(0),
            sorted: OnceLock::new(),
        }
    }

    /// Adds one whose name is none of those before.
    pub(crate) fn add(
        &mut self,
        name: &str,
        (address, size): (Address, u64),
        protection: Option<Protection>,
        visibility: Visibility,
        object: u32,
    ) {
        self.entries.push(Entry {
            start: self.names.len(),
            length: name.len(),
            address,
            size,
            protection,
            visibility,
            object,
        });
        self.names.push_str(name);
    }

    /// All of them, ascending by name.
    pub(crate) fn sorted(&self) -> &[ImageSymbol] {
        self.sorted.get_or_init(|| {
            let mut entries: Vec<(&str, &Entry)> = self.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            let full = entries.into_iter().map(|(name, entry)| {
                let object = self.objects.get_shared(entry.object).cloned();
                full(name, entry, object.unwrap_or_else(|| ASSIGNED.into()))
            });
            full.collect()
        })
    }

    /// The one with a name, in its place among all.
    pub(crate) fn get(&self, name: &str) -> Option<&ImageSymbol> {
        let symbols = self.sorted();
        let by_name = |symbol: &ImageSymbol| symbol.name.as_str().cmp(name);
        symbols.get(symbols.binary_search_by(by_name).ok()?)
    }

    /// The same without putting them in order, unless that pays.
    pub(crate) fn find(&self, name: &str) -> Option<ImageSymbol> {
        let is_often = || self.searches.fetch_add(1, Ordering::Relaxed) >= SEARCHES;
        if self.sorted.get().is_some() || is_often() {
            return self.get(name).cloned();
        }
        let (_, entry) = self.iter().find(|(other, _)| *other == name)?;
        let object = self.objects.get(entry.object);
        Some(full(name, entry, object.unwrap_or_else(|| ASSIGNED.into())))
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let entries = self.entries.iter();
        entries.map(|entry| (&self.names[entry.start..][..entry.length], entry))
    }
}

/// What defines symbols that no object mentions.
const ASSIGNED: &str = "defsym";

fn full(name: &str, entry: &Entry, object: Arc<str>) -> ImageSymbol {
    ImageSymbol {
        name: name.to_owned(),
        address: entry.address,
        size: entry.size,
        protection: entry.protection,
        object,
        visibility: entry.visibility,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_the_same_however_often_symbols_are_looked_for() {
        let mut symbols = Symbols::of(Names::of(["a.o"].into_iter()), (2, 6));
        for (name, at, object) in [("two", 2, 0), ("one", 1, u32::MAX), ("", 3, 0)] {
            let place = (Address::new(at), 8);
            symbols.add(name, place, None, Visibility::Default, object);
        }
        for _ in 0..2 * SEARCHES {
            let one = symbols.find("one").unwrap();
            assert_eq!((one.address.value(), &*one.object), (1, "defsym"));
            let two = symbols.find("two").unwrap();
            assert_eq!((two.address.value(), &*two.object), (2, "a.o"));
            assert_eq!(symbols.find("on"), None);
            assert_eq!(symbols.find("").unwrap().address.value(), 3);
        }
        let names = symbols.sorted().iter().map(|symbol| symbol.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["", "one", "two"]);
        assert_eq!(symbols.get("two").cloned(), symbols.find("two"));
    }
}
