//! The layout of one request: pure data, computed once. The same value sizes what is reserved and is carved.

use crate::error::{Error, Result};
use crate::protection::Protection;
use smallvec::SmallVec;

/// The largest alignment of a section, in bytes. Blocks smaller than this allow less.
pub const MAXIMUM_ALIGN: u64 = 1 << 20;

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    // Most requests have a section of each protection at most: no heap memory then.
    sections: SmallVec<[Section; 3]>,
    // Invariant: each section ends inside its segment, and the segment is aligned at least as much.
    segments: [Segment; 3],
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            sections: SmallVec::new(),
            segments: [Segment { size: 0, align: 1 }; 3],
        }
    }
}

impl Layout {
    /// A request for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        let segment = &mut self.segments[protection.index()];
        let limit = u64::MAX >> 2;
        let offset = segment.size.next_multiple_of(align);
        let end = offset
            .checked_add(size)
            .filter(|end| *end <= limit)
            .ok_or(Error::TooLarge { size, limit })?;
        *segment = Segment {
            size: end,
            align: segment.align.max(align),
        };
        let id = SectionId(
            u32::try_from(self.sections.len()).map_err(|_| Error::TooLarge { size, limit })?,
        );
        self.sections.push(Section {
            protection,
            offset,
            size,
            align,
        });
        Ok(id)
    }

    /// Every section, in the order in which they were added.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// One section.
    ///
    /// # Panics
    /// If `id` comes from another layout that has more sections.
    #[must_use]
    pub fn section(&self, id: SectionId) -> Section {
        self.sections[id.index()]
    }

    /// All sections of one protection together.
    #[must_use]
    pub const fn segment(&self, protection: Protection) -> Segment {
        self.segments[protection.index()]
    }

    /// The bytes of all segments.
    #[must_use]
    pub fn size(&self) -> u64 {
        // Cannot overflow: each of the three is at most a quarter of the address space.
        self.segments.iter().map(|segment| segment.size).sum()
    }
}
