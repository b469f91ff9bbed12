//! What the sections of an allocation are, in little memory until somebody looks.
//!
//! Most allocations have one section of a protection at most, which lies where that segment does: then sizes are enough, and the
//! allocation says where it is. `handle` has one of these for each allocation, and there may be a million.

use codeslab::{Address, Layout, Protection, SectionId};
use std::cell::{Cell, OnceCell};

/// A section of an allocation.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) id: SectionId,
    pub(crate) address: Address,
    pub(crate) protection: Protection,
    /// It may become smaller in flight.
    pub(crate) size: Cell<u64>,
}

impl Section {
    /// Where its code is and how many bytes it has, if it is code.
    pub(crate) fn code(&self) -> Option<(Address, u64)> {
        let is_code = self.protection == Protection::ReadExecute;
        is_code.then(|| (self.address, self.size.get()))
    }
}

/// The sections of an allocation, in the order in which JavaScript counts them.
#[derive(Debug)]
pub(crate) struct Sections {
    few: Few,
    // Invariant: there, if `few` does not say it all.
    all: OnceCell<Box<[Section]>>,
}

/// The protections and sizes of at most one section of each protection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Few {
    sizes: [u32; 3],
    /// The indices of their protections.
    protections: [u8; 3],
    count: u8,
}

impl Few {
    fn of(layout: &Layout) -> Option<Self> {
        let mut few = Self::default();
        for section in layout.sections() {
            let index = usize::from(few.count);
            let protection = section.protection.index() as u8;
            // Nothing says where an empty segment is.
            if few.protections.get(..index)?.contains(&protection) || section.size == 0 {
                return None;
            }
            *few.sizes.get_mut(index)? = u32::try_from(section.size).ok()?;
            few.protections[index] = protection;
            few.count += 1;
        }
        Some(few)
    }

    /// The bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.iter().map(|(_, size)| size).sum()
    }

    /// Each protection with its size.
    fn iter(&self) -> impl Iterator<Item = (Protection, u64)> {
        let both = self.protections.into_iter().zip(self.sizes);
        both.take(self.count.into())
            .map(|(index, size)| (Protection::ALL[usize::from(index)], u64::from(size)))
    }
}

impl Sections {
    /// Those of a layout whose segments lie where `segment` says.
    pub(crate) fn of(layout: &Layout, address: impl Fn(SectionId) -> Address) -> Self {
        if let Some(few) = Few::of(layout) {
            return Self::few(few);
        }
        let section = |id: SectionId| {
            let section = layout.section(id);
            Section {
                id,
                address: address(id),
                protection: section.protection,
                size: Cell::new(section.size),
            }
        };
        Self::listed(layout.ids().map(section).collect())
    }

    /// Those that sizes say all of.
    pub(crate) fn few(few: Few) -> Self {
        let all = OnceCell::new();
        Self { few, all }
    }

    /// Their sizes, if those say it all and nobody has looked.
    pub(crate) fn as_few(&self) -> Option<Few> {
        self.all.get().is_none().then_some(self.few)
    }

    /// Those that are known one by one.
    pub(crate) fn listed(all: Box<[Section]>) -> Self {
        Self {
            few: Few::default(),
            all: OnceCell::from(all),
        }
    }

    /// All of them. `segment` says where the segments are; it is asked once.
    pub(crate) fn all(&self, segment: impl Fn(Protection) -> Option<Address>) -> &[Section] {
        self.all.get_or_init(|| {
            let mut layout = Layout::new();
            let section = |(protection, size)| {
                Some(Section {
                    id: layout.add(protection, size, 1).ok()?,
                    address: segment(protection).unwrap_or_default(),
                    protection,
                    size: Cell::new(size),
                })
            };
            self.few.iter().filter_map(section).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::{ReadExecute, ReadOnly, ReadWrite};

    fn sections(requests: &[(Protection, u64)]) -> (Sections, usize) {
        let mut layout = Layout::new();
        for (protection, size) in requests {
            layout.add(*protection, *size, 16).unwrap();
        }
        let asked = Cell::new(0);
        let sections = Sections::of(&layout, |id| {
            asked.set(asked.get() + 1);
            Address::new(id.index() as u64)
        });
        (sections, asked.get())
    }

    #[test]
    fn sections_are_the_same_however_they_are_kept() {
        let requests = [(ReadWrite, 7), (ReadExecute, 5), (ReadOnly, 1 << 20)];
        let (few, asked) = sections(&requests);
        assert_eq!(asked, 0, "they are where their segments are");
        let segment = |protection: Protection| Some(Address::new(protection.index() as u64 * 64));
        for (section, (protection, size)) in few.all(segment).iter().zip(requests) {
            assert_eq!((section.protection, section.size.get()), (protection, size));
            assert_eq!(Some(section.address), segment(protection));
        }
        let ids: Vec<_> = few
            .all(segment)
            .iter()
            .map(|section| section.id.index())
            .collect();
        assert_eq!(ids, [0, 1, 2]);
        for many in [
            &[(ReadWrite, 7), (ReadWrite, 5)][..],
            &[(ReadWrite, 1 << 40)],
            &[
                (ReadExecute, 1),
                (ReadOnly, 2),
                (ReadWrite, 3),
                (ReadExecute, 4),
            ],
        ] {
            let (all, asked) = sections(many);
            assert_eq!(asked, many.len());
            let found = all
                .all(|_| None)
                .iter()
                .map(|section| (section.protection, section.size.get()));
            assert_eq!(found.collect::<Vec<_>>(), many);
        }
    }
}
