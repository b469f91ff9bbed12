//! Unwind tables: what assemblers leave out of `__eh_frame`.
//!
//! Distances within an object are known when it is assembled, and assemblers for some machines write them without relocations: from a
//! description to its function, and to what its handler reads. Linkers that move sections apart have to find them. Here each becomes a
//! relocation against the section that it led to.

use super::file::{ENDIAN, MachObject, Section};
use crate::unwind::pointers;
use foldhash::fast::RandomState;
use object::read::macho::Section as _;
use std::collections::HashSet;

/// A pointer without a relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeftOut {
    /// Bytes from the start of the table, and its own.
    pub(super) offset: u64,
    pub(super) size: usize,
    /// The number of the section that it leads to, less 1, and how far into it.
    pub(super) section: usize,
    pub(super) addend: i64,
}

/// The sections of an object by the addresses that its assembler gave them.
pub(super) struct ByAddress(Vec<(u64, u64, usize)>);

impl ByAddress {
    pub(super) fn of(object: &MachObject<'_, '_>) -> Self {
        let sections = object.sections.iter().zip(0..);
        let mut sections: Vec<(u64, u64, usize)> = sections
            .map(|(section, number)| (section.addr(ENDIAN), section.size(ENDIAN), number))
            .collect();
        sections.sort_unstable();
        Self(sections)
    }

    /// The number, less 1, of the section that an address lies in or ends, and how far into it.
    fn find(&self, address: u64) -> Option<(usize, u64)> {
        let before = self.0.partition_point(|(start, _, _)| *start <= address);
        let (start, size, section) = self.0[before.checked_sub(1)?];
        let offset = address - start;
        (offset <= size).then_some((section, offset))
    }
}

/// The pointers in the table of a section that have no relocation among those at `known`.
pub(super) fn left_out(
    sections: &ByAddress,
    header: &Section,
    bytes: &[u8],
    known: &HashSet<u64, RandomState>,
) -> Vec<LeftOut> {
    let start = header.addr(ENDIAN);
    let pointers = pointers(bytes).into_iter().filter(|pointer| {
        let is_known = known.contains(&(pointer.at as u64));
        pointer.counts_from_itself && pointer.value != 0 && !is_known
    });
    let found = pointers.filter_map(|pointer| {
        let offset = pointer.at as u64;
        let meant = start.wrapping_add(offset);
        let meant = meant.wrapping_add_signed(pointer.value);
        let (section, addend) = sections.find(meant)?;
        Some(LeftOut {
            offset,
            size: pointer.size,
            section,
            addend: addend.cast_signed(),
        })
    });
    found.collect()
}
