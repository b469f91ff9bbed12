//! The layout of one request: pure data, computed once. The same value sizes what is reserved and is carved.

use crate::model::error::{Error, Result};
use crate::model::protection::Protection;

/// The largest alignment of a section, in bytes. A request for more than 1 MiB gets a block of its own.
pub const MAXIMUM_ALIGN: u64 = 1 << 22;

/// The largest alignment in blocks that many requests share, in bytes. Blocks smaller than this allow less.
pub(crate) const SHARED_ALIGN: u64 = 1 << 20;

/// Bytes that a segment has at most.
const LIMIT: u64 = u64::MAX >> 2;

/// Names a section of a [`Layout`], in the order in which sections were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SectionId(u32);

impl SectionId {
    /// Its place in [`Layout::sections`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One part of the input and where it lies in its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// What it may be used for; sections of one protection form a segment.
    pub protection: Protection,
    /// Bytes from the start of its segment. Invariant: a multiple of `align`.
    pub offset: u64,
    /// Bytes; may be 0.
    pub size: u64,
    /// Bytes, a power of two.
    pub align: u64,
}

/// All sections of one request with one protection, laid out together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Bytes from the start of the first section to the end of the last.
    pub size: u64,
    /// The largest alignment of its sections, in bytes.
    pub align: u64,
}

/// Sizes, alignments and offsets of a request.
///
/// ```
/// use codeslab::{Layout, Protection};
/// let mut layout = Layout::new();
/// let text = layout.add(Protection::ReadExecute, 100, 16)?;
/// let more = layout.add(Protection::ReadExecute, 8, 32)?;
/// assert_eq!(layout.section(more).offset, 128);
/// assert_eq!(layout.segment(Protection::ReadExecute).size, 136);
/// # Ok::<(), codeslab::Error>(())
/// ```
#[derive(PartialEq, Eq, Debug, Default)]
// The order matters to `InFlightAllocation`, which says why.
#[repr(C)]
pub struct Layout {
    details: Details,
    // Invariant: all sections, if one of them is not a segment; else nothing.
    sections: Vec<Section>,
    // Bytes of each segment.
    sizes: [u64; 3],
}

/// What is small about a layout: one word, so that it is copied at once. (A copy of bytes that is read as a word has to wait for all
/// of them.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(align(8))]
struct Details {
    // log2 of the alignment of each segment.
    aligns: [u8; 3],
    // Most requests have one section of each protection at most. Those are their segments: which protection each has is enough, and
    // copying a layout takes no heap memory. What is behind the last is that there is none.
    kinds: [Option<Protection>; 3],
}

impl Clone for Layout {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            sizes: self.sizes,
            details: self.details,
            // Most have none, and each request is a copy: that is worth a look before the call.
            sections: if self.sections.is_empty() {
                Vec::new()
            } else {
                self.sections.clone()
            },
        }
    }
}

impl Layout {
    /// A request for nothing yet.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request for nothing yet, with room for so many sections: for those who know that they are many.
    #[must_use]
    pub fn with_capacity(sections: usize) -> Self {
        Self {
            sections: Vec::with_capacity(sections),
            ..Self::default()
        }
    }

    /// Appends the first section, as [`Layout::add`] does: for bindings, most of whose requests have one. What was added before is
    /// forgotten.
    ///
    /// # Errors
    /// As for [`Layout::add`].
    #[doc(hidden)]
    #[inline]
    pub fn begin(&mut self, protection: Protection, size: u64, align: u64) -> Result<()> {
        if !align.is_power_of_two() || align > MAXIMUM_ALIGN || size > LIMIT {
            return Self::new().add(protection, size, align).map(|_| ());
        }
        // Not by its index: what is read as a word soon is not to be stored byte by byte.
        let log2 = align.ilog2() << (8 * protection.index());
        let [code, constants, data, _] = log2.to_le_bytes();
        self.details = Details {
            aligns: [code, constants, data],
            kinds: [Some(protection), None, None],
        };
        self.sections.clear();
        self.sizes = [0; 3];
        self.sizes[protection.index()] = size;
        Ok(())
    }

    /// Appends a section of `size` bytes, aligned to `align` bytes, to the segment of its protection.
    ///
    /// # Errors
    /// [`Error::InvalidAlignment`] unless `align` is a power of two up to [`MAXIMUM_ALIGN`]; [`Error::TooLarge`] if the
    /// segment outgrows half the address space.
    pub fn add(&mut self, protection: Protection, size: u64, align: u64) -> Result<SectionId> {
        if !align.is_power_of_two() || align > MAXIMUM_ALIGN {
            return Err(Error::InvalidAlignment {
                align,
                maximum: MAXIMUM_ALIGN,
            });
        }
        let limit = LIMIT;
        let before = self.segment(protection);
        // A power of two, by which nothing has to be divided. No segment is longer than the limit, so that does not overflow.
        let offset = (before.size + (align - 1)) & !(align - 1);
        let end = offset
            .checked_add(size)
            .filter(|end| *end <= limit)
            .ok_or(Error::TooLarge { size, limit })?;
        let id = u32::try_from(self.len()).map_err(|_| Error::TooLarge { size, limit })?;
        let section = Section {
            protection,
            offset,
            size,
            align,
        };
        self.push(section);
        self.sizes[protection.index()] = end;
        self.details.aligns[protection.index()] = before.align.max(align).ilog2() as u8;
        Ok(SectionId(id))
    }

    fn push(&mut self, section: Section) {
        if !self.sections.is_empty() {
            self.sections.push(section);
            return;
        }
        let is_second = self.details.kinds.contains(&Some(section.protection));
        if !is_second {
            let free = self.details.kinds.iter_mut().find(|kind| kind.is_none());
            *free.expect("there are three protections") = Some(section.protection);
            return;
        }
        let segments: Vec<_> = self.sections().collect();
        self.sections.extend(segments);
        self.sections.push(section);
    }

    /// Makes a section smaller, and the segment with it if no other section of it comes behind.
    pub(crate) fn shrink(&mut self, id: SectionId, size: u64) {
        let section = self.section(id);
        let is_last = section.offset + section.size == self.segment(section.protection).size;
        if let Some(one) = self.sections.get_mut(id.index()) {
            one.size = size;
        }
        if is_last {
            self.sizes[section.protection.index()] = section.offset + size;
        }
    }

    /// How many sections it has.
    #[inline]
    fn len(&self) -> usize {
        if self.sections.is_empty() {
            return self.details.kinds.iter().flatten().count();
        }
        self.sections.len()
    }

    /// The name of the section that was added as number `index`, counted from 0; `None` if there is none: for bindings to languages
    /// that keep numbers.
    #[must_use]
    #[inline]
    pub fn id(&self, index: usize) -> Option<SectionId> {
        let id = u32::try_from(index).ok()?;
        (index < self.len()).then_some(SectionId(id))
    }

    /// The name of every section, in the order in which they were added.
    #[inline]
    pub fn ids(&self) -> impl Iterator<Item = SectionId> + use<> {
        (0..self.len()).map(|index| SectionId(index as u32))
    }

    /// Every section, in the order in which they were added.
    pub fn sections(&self) -> impl Iterator<Item = Section> + '_ {
        let segments = self.details.kinds.iter().flatten();
        let alone = segments.filter(|_| self.sections.is_empty());
        let alone = alone.map(|protection| self.only_section(*protection));
        alone.chain(self.sections.iter().copied())
    }

    /// The section that is a segment.
    #[inline]
    const fn only_section(&self, protection: Protection) -> Section {
        let Segment { size, align } = self.segment(protection);
        Section {
            protection,
            offset: 0,
            size,
            align,
        }
    }

    /// One section.
    ///
    /// # Panics
    /// If `id` comes from another layout that has more sections.
    #[must_use]
    #[inline]
    pub fn section(&self, id: SectionId) -> Section {
        if self.sections.is_empty() {
            let kind = self.details.kinds[id.index()];
            return self.only_section(kind.expect("a section of this layout"));
        }
        self.sections[id.index()]
    }

    /// All sections of one protection together.
    #[must_use]
    #[inline]
    pub const fn segment(&self, protection: Protection) -> Segment {
        Segment {
            size: self.sizes[protection.index()],
            align: 1 << self.details.aligns[protection.index()],
        }
    }

    /// The segments that have bytes, each with its protection.
    #[inline]
    pub(crate) fn segments(&self) -> impl Iterator<Item = (Protection, Segment)> + '_ {
        let all = Protection::ALL.into_iter();
        let segments = all.map(|protection| (protection, self.segment(protection)));
        segments.filter(|(_, segment)| segment.size > 0)
    }

    /// log2 of the alignment of each segment, by protection.
    #[inline]
    pub(crate) const fn aligns_log2(&self) -> [u8; 3] {
        self.details.aligns
    }

    /// The bytes of all segments.
    #[must_use]
    #[inline]
    pub const fn size(&self) -> u64 {
        // Cannot overflow: each of the three is at most a quarter of the address space.
        self.sizes[0] + self.sizes[1] + self.sizes[2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_what_they_were_added_as_whether_they_are_segments_or_not() {
        let order = [
            (Protection::ReadWrite, 100, 8),
            (Protection::ReadExecute, 7, 1),
            (Protection::ReadOnly, 0, 32),
            (Protection::ReadExecute, 9, 64),
            (Protection::ReadWrite, 1, 16),
        ];
        for count in 0..=order.len() {
            let mut layout = Layout::new();
            let ids: Vec<_> = order[..count]
                .iter()
                .map(|&(protection, size, align)| layout.add(protection, size, align).unwrap())
                .collect();
            let sections: Vec<_> = layout.sections().collect();
            assert_eq!(sections.len(), count);
            assert_eq!(layout.id(count), None);
            assert!(layout.ids().eq(ids.iter().copied()));
            for (index, (id, section)) in ids.into_iter().zip(&sections).enumerate() {
                let (protection, size, align) = order[index];
                assert_eq!(id.index(), index);
                assert_eq!(layout.id(index), Some(id));
                assert_eq!(layout.section(id), *section);
                assert_eq!(
                    (section.protection, section.size, section.align),
                    (protection, size, align)
                );
                assert_eq!(section.offset % align, 0);
                let segment = layout.segment(protection);
                assert!(section.offset + section.size <= segment.size && align <= segment.align);
            }
        }
    }

    #[test]
    fn a_layout_that_is_begun_is_one_with_one_section() {
        for protection in Protection::ALL {
            for (size, align) in [(0, 1), (100, 16), (5, MAXIMUM_ALIGN), (LIMIT, 1)] {
                let (mut begun, mut added) = (Layout::new(), Layout::new());
                begun.add(Protection::ReadOnly, 3, 8).unwrap();
                begun.add(Protection::ReadOnly, 4, 64).unwrap();
                begun.begin(protection, size, align).unwrap();
                added.add(protection, size, align).unwrap();
                assert_eq!(begun, added);
            }
        }
        for (size, align) in [(1, 0), (1, 3), (1, 2 * MAXIMUM_ALIGN), (LIMIT + 1, 1)] {
            let (mut begun, mut added) = (Layout::new(), Layout::new());
            let refused = begun.begin(Protection::ReadExecute, size, align);
            let added = added.add(Protection::ReadExecute, size, align);
            assert_eq!(refused.unwrap_err(), added.unwrap_err());
        }
    }
}
