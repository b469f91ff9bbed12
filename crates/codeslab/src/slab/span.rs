//! Ranges of a block or of a reservation, by offset, and sets of them.

/// A range, in bytes from the start of whatever it is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    /// Not 0.
    pub(crate) size: u64,
}

impl Span {
    pub(crate) const fn end(self) -> u64 {
        self.offset + self.size
    }

    /// From one offset to the other; `None` if there is nothing between them.
    pub(crate) fn between(offset: u64, end: u64) -> Option<Self> {
        let size = end.checked_sub(offset).filter(|size| *size > 0)?;
        Some(Self { offset, size })
    }

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.offset <= other.offset && other.end() <= self.end()
    }
}

/// The spans of one request by protection, in bytes from the start of their block.
pub(crate) type Located = [Option<Span>; 3];

/// Bytes that belong to something, as the fewest ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SpanSet {
    // Invariant: ascending, disjoint, not touching.
    spans: Vec<Span>,
}

impl SpanSet {
    /// The bytes from the start of something to its end.
    pub(crate) fn whole(size: u64) -> Self {
        let spans = vec![Span { offset: 0, size }];
        Self { spans }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Span> + '_ {
        self.spans.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.spans.iter().map(|span| span.size).sum()
    }

    /// Adds bytes that are not in it.
    pub(crate) fn insert(&mut self, span: Span) {
        let index = self.spans.partition_point(|one| one.offset < span.offset);
        self.spans.insert(index, span);
        self.join(index);
        if index > 0 {
            self.join(index - 1);
        }
    }

    /// Makes one range of two that touch.
    fn join(&mut self, index: usize) {
        let (span, next) = (self.spans[index], self.spans.get(index + 1).copied());
        let Some(next) = next else { return };
        debug_assert!(span.end() <= next.offset, "{span:?} is there already");
        if span.end() == next.offset {
            self.spans.remove(index + 1);
            self.spans[index].size += next.size;
        }
    }

    /// Takes out bytes that are in it.
    pub(crate) fn remove(&mut self, span: Span) {
        let index = self.spans.iter().position(|one| one.contains(span));
        debug_assert!(index.is_some(), "{span:?} is not there");
        let Some(index) = index else { return };
        let whole = self.spans.remove(index);
        let above = Span::between(span.end(), whole.end());
        let below = Span::between(whole.offset, span.offset);
        let left = [below, above].into_iter().flatten();
        self.spans.splice(index..index, left);
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, SpanSet};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_fewest_ranges_with_these_bytes(actions in prop::collection::vec((0_u64..64, 1_u64..9), 0..200)) {
            let mut set = SpanSet::default();
            let mut oracle = [false; 80];
            for (offset, size) in actions {
                let bytes = &mut oracle[offset as usize..(offset + size) as usize];
                let span = Span { offset, size };
                if bytes.iter().all(|there| !there) {
                    set.insert(span);
                    bytes.fill(true);
                } else if bytes.iter().all(|there| *there) {
                    set.remove(span);
                    bytes.fill(false);
                }
                let edges = (0..80).filter(|&at| oracle[at] && (at == 0 || !oracle[at - 1])).count();
                prop_assert_eq!(set.len(), edges);
                prop_assert_eq!(set.bytes(), oracle.iter().filter(|there| **there).count() as u64);
                prop_assert!(set.iter().all(|span| (span.offset..span.end()).all(|at| oracle[at as usize])));
            }
        }
    }
}
