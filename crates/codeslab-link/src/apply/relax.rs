//! Instructions that do without their GOT entries.
//!
//! The machine knows how an instruction is rewritten, or two of them that go through an entry together; here is what it is asked with, and whether
//! two belong together. It is asked where all else of a relocation is unusual, too.

use super::SectionWriter;
use crate::arch::row::{Operand, Relax, RelaxPair, Row};
use crate::graph::{Content, GraphSection, Relocation};
use crate::resolve::TargetId;

/// Bytes of each of two instructions.
const SIZE: usize = 4;

impl SectionWriter<'_, '_> {
    /// Whether the instruction was rewritten to do without its GOT entry, which leaves no field to fill in.
    #[inline]
    pub(super) fn relax(
        &self,
        bytes: &mut [u8],
        (relocation, index): (&Relocation, usize),
        row: &Row,
        id: TargetId,
    ) -> bool {
        let operand = || Operand {
            offset: relocation.offset as usize,
            place: self.address + relocation.offset,
            symbol: self.relaxed_symbol(row, id),
            addend: relocation.addend,
        };
        match row.relax {
            None => false,
            Some(Relax::Instruction(relax)) => relax(bytes, operand()),
            Some(Relax::First(relax)) => self.relax_half(bytes, index, 0, relax).is_some(),
            Some(Relax::Second(relax)) => {
                let first = index.checked_sub(1);
                first.is_some_and(|first| self.relax_half(bytes, first, SIZE, relax).is_some())
            }
        }
    }

    /// Rewrites one of two instructions, which begins so many bytes behind the first, whose relocation has this index. `None` if they do not
    /// belong together, or cannot do without the entry. What is decided for one is decided for the other: by what the section says, and not
    /// by what was made of it.
    fn relax_half(
        &self,
        bytes: &mut [u8],
        first: usize,
        behind: usize,
        relax: RelaxPair,
    ) -> Option<()> {
        let Content::Bytes(content) = &self.section.content else {
            return None;
        };
        let pair: &[Relocation; 2] = self.section.relocations.get(first..)?.first_chunk()?;
        let [one, other] = pair;
        let is_pair = other.offset == one.offset.checked_add(SIZE as u64)?
            && (one.addend, other.addend) == (0, 0)
            && one.symbol == other.symbol
            && *self.is_paired.get_or_init(|| is_paired(self.section));
        let start = one.offset as usize;
        let code = content.get(start..)?.first_chunk().filter(|_| is_pair)?;
        let id = self.resolution.target_of(self.object, one);
        let place = self.address + one.offset;
        let relaxed = relax(*code, place, self.addresses.targets[id.0 as usize])?;
        let field = bytes.get_mut(start + behind..)?.first_chunk_mut::<SIZE>()?;
        field.copy_from_slice(&relaxed[behind..][..SIZE]);
        Some(())
    }

    /// What an instruction has in itself once it does without its entry: what the entry says.
    fn relaxed_symbol(&self, row: &Row, id: TargetId) -> u64 {
        let number = self.plan.thread_entries.number(row.formula.term, id);
        let words = number.and_then(|number| self.addresses.thread_words.get(number));
        words.map_or(self.addresses.targets[id.0 as usize], |words| words[0])
    }
}

/// Whether relocations of two instructions that are rewritten together come in pairs everywhere in a section. Where one comes alone, the
/// first of another pair may serve it as well, by a branch between the two.
fn is_paired(section: &GraphSection<'_>) -> bool {
    let mut is_open = false;
    for relocation in section.relocations() {
        let is_second = match relocation.kind.row().relax {
            Some(Relax::First(_)) if is_open => return false,
            Some(Relax::Second(_)) => true,
            _ => false,
        };
        if is_second != is_open {
            return false;
        }
        is_open = matches!(relocation.kind.row().relax, Some(Relax::First(_)));
    }
    !is_open
}
