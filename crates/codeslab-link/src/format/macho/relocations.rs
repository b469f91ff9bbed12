//! Relocations: the tables of the sections that are loaded.
//!
//! An entry says a type, where the field is, how long it is, whether it counts from where it stands, and either a symbol or the number of a
//! section. With a symbol, the field holds the addend; with a section, it holds the address that the assembler gave what is meant, or how
//! far that was. Two types say something of the entry behind them: the symbol to subtract, and the addend of an instruction.
//!
//! A difference from a symbol of the same section is the distance from the field, since sections stay whole; so nearly all of them are
//! such as other formats have, and the rest are subtracted when all addresses are known.

use super::file::{ENDIAN, Loaded, MachObject, Section, flags};
use super::symbols::Indices;
use super::unwind::{self, ByAddress};
use crate::arch::RowId;
use crate::arch::encoding::Encoding;
use crate::arch::formula::{Origin, Term, of};
use crate::arch::machine::{VARIANT, address};
use crate::error::{Error, Reference, Resource, Result};
use crate::graph::{
    Binding, Content, Definition, Graph, Purpose, Relocation, RelocationKind, SectionIndex,
    SymbolIndex, SymbolKind,
};
use object::macho::{self, GENERIC_RELOC_VANILLA, RelocationInfo};
use object::read::macho::Section as _;
use std::borrow::Cow;

/// What an entry of a table takes in a graph, in bytes: more than in the file.
const ENTRY: u64 = 24;

/// Bytes of the descriptor of a thread-local variable: a function, and two words for it.
const DESCRIPTOR: u64 = 24;

/// Adds the relocations of every loaded section.
pub(super) fn add<'a>(
    graph: &mut Graph<'a>,
    object: &MachObject<'a, '_>,
    loaded: &Loaded,
    indices: &Indices,
) -> Result<()> {
    let by_address = ByAddress::of(object);
    for (header, section) in object.sections.iter().zip(loaded) {
        if let Some(section) = *section {
            let table = Table::new(graph, (object, &by_address), header, section, indices);
            let relocations = table.read(graph)?;
            graph.add_relocations(section, relocations)?;
        }
    }
    Ok(())
}

/// One section's table on its way to the graph.
struct Table<'t, 'a> {
    object: &'t MachObject<'a, 't>,
    by_address: &'t ByAddress,
    header: &'a Section,
    section: SectionIndex,
    indices: &'t Indices,
    bytes: Cow<'a, [u8]>,
    describes_code: bool,
    /// Whether it has descriptors of thread-local variables.
    describes_variables: bool,
}

/// What an entry says of the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    Nothing,
    /// The symbol that is subtracted, the row that names it, and what the assembler has subtracted already: the address that it gave the
    /// section, if that is what is named.
    Subtract(RowId, SymbolIndex, i64),
    Add(i64),
}

impl<'t, 'a> Table<'t, 'a> {
    fn new(
        graph: &Graph<'a>,
        (object, by_address): (&'t MachObject<'a, 't>, &'t ByAddress),
        header: &'a Section,
        section: SectionIndex,
        indices: &'t Indices,
    ) -> Self {
        let within = &graph.sections()[section.0 as usize];
        let bytes = match &within.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Zeros(_) => Cow::Borrowed(&[][..]),
        };
        Self {
            object,
            by_address,
            header,
            section,
            indices,
            bytes,
            describes_code: within.purpose == Purpose::UnwindTable,
            describes_variables: flags(header).typ() == macho::S_THREAD_LOCAL_VARIABLES,
        }
    }

    fn read(&self, graph: &mut Graph<'a>) -> Result<Vec<Relocation>> {
        let entries = self.header.relocations(ENDIAN, self.object.bytes);
        let entries = entries.map_err(|error| graph.malformed(error.to_string()))?;
        let budget = self.object.budget;
        let cost = (entries.len() as u64).saturating_mul(ENTRY);
        budget.spend(Resource::Bytes, cost, graph.name())?;
        let mut relocations = Vec::with_capacity(entries.len());
        let mut said = (Said::Nothing, 0);
        for entry in entries {
            let entry = entry.info(ENDIAN);
            let before = match std::mem::replace(&mut said, (Said::Nothing, 0)) {
                (before, offset) if before == Said::Nothing || offset == entry.r_address => before,
                _ => return Err(unpaired(graph)),
            };
            match self.says(graph, &entry)? {
                Some(_) if before != Said::Nothing => return Err(unpaired(graph)),
                Some(says) => said = (says, entry.r_address),
                None => self.convert(graph, &entry, before, &mut relocations)?,
            }
        }
        if said.0 != Said::Nothing {
            return Err(unpaired(graph));
        }
        if self.describes_code {
            budget.spend(Resource::Steps, self.bytes.len() as u64, graph.name())?;
            self.add_left_out(&mut relocations);
        }
        Ok(relocations)
    }

    /// Adds the relocations that an assembler left out of an unwind table.
    fn add_left_out(&self, relocations: &mut Vec<Relocation>) {
        let offsets = relocations.iter().map(|relocation| relocation.offset);
        let known = offsets.collect();
        for pointer in unwind::left_out(self.by_address, self.header, &self.bytes, &known) {
            let variant = match pointer.size {
                4 => address::DISTANCE + address::NARROW,
                8 => address::DISTANCE,
                _ => continue,
            };
            let row = self.object.types.row(variant * VARIANT);
            let symbol = self.indices.sections.get(pointer.section);
            if let (Some(row), Some(&Some(symbol))) = (row, symbol) {
                relocations.push(Relocation {
                    offset: pointer.offset,
                    kind: RelocationKind::of(row),
                    symbol,
                    addend: pointer.addend,
                });
            }
        }
    }

    /// What an entry says of the next one, if it is of such a type.
    fn says(&self, graph: &Graph<'_>, entry: &RelocationInfo) -> Result<Option<Said>> {
        let Some(row) = self.object.types.row(entry.r_type.0.into()) else {
            return Ok(None);
        };
        match row.row().formula.term {
            Term::Subtracted => {
                let symbol = self.indices.named(graph, entry)?;
                let before = if entry.r_extern {
                    0
                } else {
                    self.object.start_of(entry).cast_signed()
                };
                Ok(Some(Said::Subtract(row, symbol, before)))
            }
            // 24 bits with a sign.
            Term::Nothing => {
                let addend = (entry.r_symbolnum << 8).cast_signed() >> 8;
                Ok(Some(Said::Add(addend.into())))
            }
            _ => Ok(None),
        }
    }

    fn convert(
        &self,
        graph: &mut Graph<'a>,
        entry: &RelocationInfo,
        before: Said,
        relocations: &mut Vec<Relocation>,
    ) -> Result<()> {
        let offset = u64::from(entry.r_address);
        let symbol = self.indices.named(graph, entry)?;
        if self.describes_variables && offset % DESCRIPTOR != 0 {
            match self.variable(graph, entry, symbol) {
                Some(relocation) => relocations.push(relocation),
                None => self.obstruct(graph, entry, symbol),
            }
            return Ok(());
        }
        let (subtracted, bias) = match before {
            Said::Subtract(row, symbol, bias) => {
                (Some((row, symbol, self.own_offset(graph, symbol))), bias)
            }
            _ => (None, 0),
        };
        let Some(row) = self.row(entry, subtracted.map(|(_, _, own)| own.is_some())) else {
            self.obstruct(graph, entry, symbol);
            return Ok(());
        };
        let Some(addend) = self.addend(entry, row, before) else {
            // An instruction with an addend in itself, of which the headers know nothing.
            self.obstruct(graph, entry, symbol);
            return Ok(());
        };
        let addend = addend.wrapping_add(bias);
        let addend = match subtracted {
            Some((_, _, Some(own))) => addend.wrapping_add_unsigned(offset.wrapping_sub(own)),
            Some((row, symbol, None)) => {
                relocations.push(Relocation {
                    offset,
                    kind: RelocationKind::of(row),
                    symbol,
                    addend: 0,
                });
                addend
            }
            None => addend,
        };
        relocations.push(Relocation {
            offset,
            kind: RelocationKind::of(row),
            symbol,
            addend,
        });
        Ok(())
    }

    /// The third word of a descriptor says which variable it describes. For its function, the second is to lead to what this system knows of
    /// the variable.
    fn variable(
        &self,
        graph: &Graph<'_>,
        entry: &RelocationInfo,
        symbol: SymbolIndex,
    ) -> Option<Relocation> {
        let offset = u64::from(entry.r_address);
        let is_third = offset % DESCRIPTOR == 16 && entry.r_extern;
        let is_address =
            entry.r_type == GENERIC_RELOC_VANILLA && entry.r_length == 3 && !entry.r_pcrel;
        let held = self.bytes.get(offset as usize..)?.first_chunk::<8>()?;
        let is_variable = graph.symbols()[symbol.0 as usize].kind == SymbolKind::ThreadLocal;
        let is_right = is_third && is_address && is_variable && held == &[0; 8];
        let row = self.object.types.row(address::DESCRIPTOR * VARIANT)?;
        is_right.then(|| Relocation {
            offset: offset - 8,
            kind: RelocationKind::of(row),
            symbol,
            addend: 0,
        })
    }

    /// The row for an entry whose length and kind of distance the type can have. `distance` says of a difference whether it is one from
    /// the own section.
    fn row(&self, entry: &RelocationInfo, distance: Option<bool>) -> Option<RowId> {
        let types = &self.object.types;
        let number = u32::from(entry.r_type.0);
        let variant = if entry.r_type == GENERIC_RELOC_VANILLA {
            let narrow = u32::from(entry.r_length == 2) * address::NARROW;
            narrow
                + match distance {
                    None => 0,
                    Some(true) => address::DISTANCE,
                    Some(false) => address::DIFFERENCE,
                }
        } else if distance.is_some() {
            return None;
        } else {
            let at = entry.r_address as usize;
            types.machine.access_log2(&self.bytes, at)
        };
        let row = types.row(number + variant * VARIANT);
        let row = row.or_else(|| types.row(number))?;
        let known = row.row();
        let is_distance = known.formula.is_distance() && distance.is_none();
        let is_right = known.encoding.size() == 1 << entry.r_length
            && is_distance == entry.r_pcrel
            && (entry.r_extern || matches!(known.encoding, Encoding::Bytes(_)));
        is_right.then_some(row)
    }

    /// Where in this section a symbol lies that no other object replaces.
    fn own_offset(&self, graph: &Graph<'_>, symbol: SymbolIndex) -> Option<u64> {
        let symbol = &graph.symbols()[symbol.0 as usize];
        match symbol.definition {
            Definition::Section { section, offset }
                if section == self.section && symbol.binding != Binding::Weak =>
            {
                Some(offset)
            }
            _ => None,
        }
    }

    /// What is added to the symbol's address; `None` if it stands where it cannot be.
    fn addend(&self, entry: &RelocationInfo, row: RowId, before: Said) -> Option<i64> {
        let row = row.row();
        let at = entry.r_address as usize;
        let size = row.encoding.size() as usize;
        let field = self.bytes.get(at..).and_then(|rest| rest.get(..size));
        // A field that is not there is refused when it is added.
        let Some(field) = field else { return Some(0) };
        let held = row.encoding.read(field);
        match (row.encoding, before) {
            (Encoding::Bytes(_), Said::Add(_)) => None,
            // The way to an entry, where it counts from the field: assemblers leave there how far the field is into its section.
            (Encoding::Bytes(_), _) if row.formula == of(Term::G).minus(Origin::P) => Some(0),
            (Encoding::Bytes(_), _) if entry.r_extern => {
                // A distance that counts from the end of an instruction is held as one from the end of the field.
                let past = row.formula.addend(0).wrapping_neg();
                let behind_field = (past - size.cast_signed() as i64).max(0);
                Some(held.wrapping_add(behind_field))
            }
            (Encoding::Bytes(_), _) => {
                let start = self.object.start_of(entry);
                let meant = if row.formula.is_distance() && entry.r_pcrel {
                    let place = self.header.addr(ENDIAN).wrapping_add(at as u64);
                    let past = row.formula.addend(0).wrapping_neg();
                    held.wrapping_add_unsigned(place).wrapping_add(past)
                } else {
                    held
                };
                Some(meant.wrapping_sub_unsigned(start))
            }
            _ if held != 0 => None,
            (_, Said::Add(addend)) => Some(addend),
            _ => Some(0),
        }
    }

    /// Notes a relocation that cannot be applied.
    fn obstruct(&self, graph: &mut Graph<'_>, entry: &RelocationInfo, symbol: SymbolIndex) {
        if graph.is_obstructed() {
            return;
        }
        let number = u32::from(entry.r_type.0);
        let known = self.object.types.table.unsupported(number);
        let reference = Box::new(Reference {
            object: graph.name().to_owned(),
            section: graph.sections()[self.section.0 as usize].name().to_owned(),
            offset: entry.r_address.into(),
            relocation: known.map_or_else(|| described(entry), |known| known.name.to_owned()),
            symbol: graph.symbol_name(symbol),
        });
        graph.obstruct(match known {
            Some(known) => Error::Unsupported {
                feature: known.feature,
                reference,
            },
            None => Error::UnknownRelocation { reference },
        });
    }
}

/// All that an entry says of its kind.
fn described(entry: &RelocationInfo) -> String {
    let distance = if entry.r_pcrel {
        ", from its place"
    } else {
        ""
    };
    format!(
        "type {} of {} bytes{distance}",
        entry.r_type.0,
        1 << entry.r_length
    )
}

fn unpaired(graph: &Graph<'_>) -> Error {
    graph.malformed("a relocation speaks of the next one, which is not there")
}
