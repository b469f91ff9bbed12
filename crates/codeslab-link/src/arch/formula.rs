//! Formulas: what a relocated field is computed from, under the psABIs' names.
//!
//! Every formula that a psABI writes down is one term, plus the addend, minus where one counts from; on some machines, both in pages.
//! So `S + A - P` is `of(S).minus(P)`, and Arm's `Page(G(GDAT(S + A))) - Page(P)` is `of(G).minus(P).in_pages(12)`. The rows of the
//! machines are written with these; planning asks them what they need, and applying asks them for their value.
//!
//! Sources: System V psABI for AMD64, §4.4 "Relocation" (<https://gitlab.com/x86-psABIs/x86-64-ABI>); ELF for the Arm 64-bit
//! Architecture, §5.7 "Relocation" (<https://github.com/ARM-software/abi-aa>).

/// What a field refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Term {
    /// The relocation only says something about the code; it has no field.
    Nothing,
    /// The address of the symbol.
    S,
    /// The address of the symbol, or of its stub where the symbol itself is out of reach.
    L,
    /// The address of the symbol's GOT entry: G + GOT for AMD64, where G is its offset, and GDAT(S) for Arm.
    G,
    /// The address of the global offset table.
    Got,
    /// Nothing either: the relocation says which symbol the next one subtracts.
    Subtracted,
    /// The size of the symbol.
    Z,
    /// The number of the segment that the symbol lies in: code, constants and data count from 1.
    Segment,
    /// The address of what the GOT says of a thread-local variable: `@tlsgd`, `@tlsld`, `@gottpoff`, `@tlsdesc` for AMD64.
    Tls(ThreadEntry),
    /// The offset of a thread-local variable from the start of its module's block: `@dtpoff` for AMD64.
    DtpOff,
    /// The offset of a thread-local variable from the thread pointer: `@tpoff` for AMD64.
    TpOff,
}

/// What an entry of the GOT says of a thread-local variable. How each is used: Drepper, "ELF Handling For Thread-Local Storage", §4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ThreadEntry {
    /// General dynamic: the module and the offset in its block, two words for `__tls_get_addr`.
    Variable,
    /// Local dynamic: the module and 0, for the start of the block.
    Module,
    /// Initial exec: the offset from the thread pointer, one word.
    Offset,
    /// A descriptor: a function that tells the offset from the thread pointer, and its argument.
    Descriptor,
}

/// What a field counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// 0: it holds an address or a size.
    Zero,
    /// The address of the field.
    P,
    /// The address of the global offset table.
    Got,
    /// The address that image-relative addresses count from: the start of the image's block.
    Image,
    /// The start of the segment that the symbol lies in.
    Segment,
    /// The page of 4 KiB in which the global offset table begins.
    GotPage,
    /// The address of another symbol: that of the relocation before, whose term is [`Term::Subtracted`].
    Subtracted,
}

/// The values of the terms for one relocation. Addresses are wide enough that nothing wraps.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    non_snake_case,
    reason = "these are the psABIs' names, in which formulas are written"
)]
pub(crate) struct Terms {
    pub(crate) S: i128,
    pub(crate) A: i128,
    pub(crate) P: i128,
    pub(crate) L: i128,
    pub(crate) G: i128,
    pub(crate) GOT: i128,
    pub(crate) Z: i128,
    pub(crate) TP: i128,
    pub(crate) image: i128,
    pub(crate) segment: i128,
    pub(crate) segment_number: i128,
    pub(crate) subtracted: i128,
}

/// `term + A - origin`, where the two may be rounded down to pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Formula {
    pub(crate) term: Term,
    pub(crate) origin: Origin,
    page_log2: u8,
    past: u8,
}

/// `term + A`
pub(crate) const fn of(term: Term) -> Formula {
    Formula {
        term,
        origin: Origin::Zero,
        page_log2: 0,
        past: 0,
    }
}

impl Formula {
    /// `term + A - origin`
    pub(crate) const fn minus(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// `Page(term + A) - Page(origin)`, for pages of this size.
    pub(crate) const fn in_pages(self, page_log2: u8) -> Self {
        Self { page_log2, ..self }
    }

    /// The same, counted from so many bytes past the origin: formats that keep addends in fields count distances from the end of the
    /// instruction.
    pub(crate) const fn past(self, bytes: u8) -> Self {
        Self {
            past: bytes,
            ..self
        }
    }

    /// The addend that counts from the origin itself, for an addend of the relocation.
    pub(crate) const fn addend(self, addend: i64) -> i64 {
        addend.wrapping_sub(self.past as i64)
    }

    /// What the field has to hold.
    #[inline]
    pub(crate) const fn value(self, terms: &Terms) -> i128 {
        let term = match self.term {
            Term::Nothing | Term::Subtracted => return 0,
            Term::S | Term::DtpOff => terms.S,
            Term::L => terms.L,
            Term::G | Term::Tls(_) => terms.G,
            Term::TpOff => terms.TP,
            Term::Got => terms.GOT,
            Term::Z => terms.Z,
            Term::Segment => terms.segment_number,
        };
        let origin = match self.origin {
            Origin::Zero => 0,
            Origin::P => terms.P,
            Origin::Got => terms.GOT,
            Origin::Image => terms.image,
            Origin::Segment => terms.segment,
            Origin::GotPage => terms.GOT & !0xfff,
            Origin::Subtracted => terms.subtracted,
        };
        let target = term + terms.A - self.past as i128;
        if self.page_log2 == 0 {
            return target - origin;
        }
        let pages = (target >> self.page_log2) - (origin >> self.page_log2);
        pages << self.page_log2
    }

    /// Whether it is the address of the symbol or of its stub, or how far that is from the field: what nearly all relocations ask for.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self.term, Term::S | Term::L)
            && matches!(self.origin, Origin::Zero | Origin::P)
            && self.page_log2 == 0
    }

    /// How many bytes past the origin it counts from.
    pub(crate) const fn past_origin(self) -> u8 {
        self.past
    }

    /// By how many bytes its value may differ from the distance between the two addresses, in either direction.
    pub(crate) const fn rounding(self) -> i128 {
        (1 << self.page_log2) - 1
    }

    /// Whether the symbol needs a GOT entry.
    pub(crate) const fn needs_entry(self) -> bool {
        matches!(self.term, Term::G)
    }

    /// Whether the symbol has to be a thread-local variable.
    #[inline]
    pub(crate) const fn is_thread_local(self) -> bool {
        matches!(self.term, Term::Tls(_) | Term::DtpOff | Term::TpOff)
    }

    /// Whether the symbol may be anything.
    pub(crate) const fn is_indifferent(self) -> bool {
        matches!(self.term, Term::Nothing | Term::Z | Term::Got)
    }

    /// Whether there has to be a GOT.
    pub(crate) const fn needs_got(self) -> bool {
        matches!(self.term, Term::G | Term::Got)
            || matches!(self.origin, Origin::Got | Origin::GotPage)
    }

    /// Whether the value says in which segment something lies, or where there.
    pub(crate) const fn asks_for_segment(self) -> bool {
        matches!(self.term, Term::Segment) || matches!(self.origin, Origin::Segment)
    }

    /// Whether the value says how far away something is.
    pub(crate) const fn is_distance(self) -> bool {
        matches!(self.origin, Origin::P)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Origin::{Got, P};
    use Term::{G, L, Nothing, S, Z};

    /// Terms that tell every formula apart.
    const TERMS: Terms = Terms {
        S: 0x1_2345,
        A: -4,
        P: 0x8765,
        L: 0x9000,
        G: 0xa018,
        GOT: 0xa000,
        Z: 0x55,
        TP: -0x40,
        image: 0x400,
        segment: 0x1_2000,
        segment_number: 2,
        subtracted: 0x345,
    };

    #[test]
    fn a_formula_gives_the_value_that_the_psabi_writes_down() {
        let table = [
            (of(Nothing), 0),
            (of(S), 0x1_2341),
            (of(Z), 0x51),
            (of(S).minus(P), 0x1_2341 - 0x8765),
            (of(L).minus(P), 0x8ffc - 0x8765),
            (of(G).minus(P), 0xa014 - 0x8765),
            (of(Term::Got).minus(P), 0x9ffc - 0x8765),
            (of(G).minus(Got), 0x14),
            (of(S).minus(Got), 0x1_2341 - 0xa000),
            (of(S).minus(P).in_pages(12), 0x1_2000 - 0x8000),
            (of(G).minus(P).in_pages(12), 0xa000 - 0x8000),
            (of(S).in_pages(12), 0x1_2000),
            (of(G).minus(Origin::GotPage), 0x14),
            (
                of(Term::Tls(ThreadEntry::Variable)).minus(P),
                0xa014 - 0x8765,
            ),
            (of(Term::DtpOff), 0x1_2341),
            (of(Term::TpOff), -0x44),
            (of(S).minus(P).past(5), 0x1_2341 - 0x8765 - 5),
            (of(L).minus(Origin::Image), 0x8ffc - 0x400),
            (of(S).minus(Origin::Segment), 0x341),
            (of(Term::Segment), -2),
            (of(S).minus(Origin::Subtracted), 0x1_2000 - 4),
            (of(Term::Subtracted), 0),
        ];
        for (formula, value) in table {
            assert_eq!(formula.value(&TERMS), value, "{formula:?}");
        }
    }

    #[test]
    fn a_distance_in_pages_differs_from_the_distance_by_less_than_a_page() {
        let formula = of(S).minus(P).in_pages(12);
        for (place, symbol) in [(0, 0xfff), (0xfff, 0), (0xfff, 0x1000), (0x1000, 0xfff)] {
            let terms = Terms {
                S: symbol,
                P: place,
                ..Terms::default()
            };
            let difference = formula.value(&terms) - (symbol - place);
            assert!(difference.abs() <= formula.rounding(), "{difference:#x}");
        }
        assert_eq!(of(S).rounding(), 0);
    }
}
