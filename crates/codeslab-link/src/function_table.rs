//! The table of functions by which Windows' unwinder finds its way (`.pdata`), made of what all objects say of theirs.
//!
//! An entry says where a function begins and ends and where its unwind information is, as distances from the start of the image's block. The
//! unwinder believes every byte, so only entries are taken that are about the image's own code and whose information lies in its constants,
//! with as many codes as it says. An entry of code that is left out is zero.
//!
//! Source: Microsoft, "x64 exception handling" (<https://learn.microsoft.com/en-us/cpp/build/exception-handling-x64>).

use crate::apply::Addresses;
use crate::destination::Destination;
use crate::graph::{Content, Purpose};
use crate::plan::Plan;
use crate::resolve::Resolution;
use codeslab::{Protection, Window};
use codeslab_runtime::{FunctionEntry, FunctionTable};
use std::ops::Range;

/// Bytes of an entry.
const ENTRY: usize = 12;

/// The table of an image with these addresses, whose bytes are final; `None` if it has none.
pub(crate) fn table(
    resolution: &Resolution<'_>,
    plan: &Plan,
    addresses: &Addresses,
    destination: &mut impl Destination,
) -> Option<FunctionTable> {
    let block = destination.block();
    let segment = |protection| {
        let start = destination.segment_address(protection)?;
        let start = start.value() - block.first().value();
        Some(start..start + plan.layout.segment(protection).size)
    };
    let code = segment(Protection::ReadExecute)?;
    let constants = segment(Protection::ReadOnly)?;
    let mut entries = Vec::new();
    for (_, section, number) in resolution.special_sections() {
        let id = plan.sections[number as usize];
        if let (Purpose::FunctionTable, Some(id)) = (section.purpose, id) {
            let bytes = destination.bytes_mut(id);
            entries.extend(bytes.chunks_exact(ENTRY).map(entry));
        }
    }
    if entries.is_empty() {
        return None;
    }
    let infos = Infos::of(resolution, plan, addresses, block);
    entries.retain(|entry| is_right(*entry, &code, &constants, &infos, destination));
    entries.sort_unstable();
    // The unwinder wants functions that do not overlap.
    entries.dedup_by(|next, entry| next.begin < entry.end);
    (!entries.is_empty()).then_some(FunctionTable { block, entries })
}

fn entry(bytes: &[u8]) -> FunctionEntry {
    let field = |at: usize| {
        let field = bytes[at..].first_chunk();
        field.map_or(0, |field| u32::from_le_bytes(*field))
    };
    FunctionEntry {
        begin: field(0),
        end: field(4),
        unwind: field(8),
    }
}

/// Where constants lie, so that unwind information can be looked at: from the start of the block, ascending.
struct Infos(Vec<(Range<u64>, codeslab::SectionId)>);

impl Infos {
    fn of(resolution: &Resolution<'_>, plan: &Plan, addresses: &Addresses, block: Window) -> Self {
        let sections = resolution
            .live_sections()
            .filter_map(|(_, section, number)| {
                let id = plan.sections[number as usize]?;
                let is_constant = plan.layout.section(id).protection == Protection::ReadOnly;
                let Content::Bytes(bytes) = &section.content else {
                    return None;
                };
                let start = addresses.section(number)? - block.first().value();
                let range = start..start + bytes.len() as u64;
                (is_constant && !bytes.is_empty()).then_some((range, id))
            });
        let mut sections: Vec<_> = sections.collect();
        sections.sort_unstable_by_key(|(range, _)| range.start);
        Self(sections)
    }

    /// The bytes from a place up to the end of their section.
    fn at<'d>(&self, place: u64, destination: &'d mut impl Destination) -> Option<&'d [u8]> {
        let index = self.0.partition_point(|(range, _)| range.start <= place);
        let (range, id) = self.0.get(index.checked_sub(1)?)?;
        let offset = usize::try_from(place - range.start).ok()?;
        destination.bytes_mut(*id).get(offset..)
    }
}

/// Whether an entry is about code of the image, and its information lies there.
fn is_right(
    entry: FunctionEntry,
    code: &Range<u64>,
    constants: &Range<u64>,
    infos: &Infos,
    destination: &mut impl Destination,
) -> bool {
    let (begin, end) = (u64::from(entry.begin), u64::from(entry.end));
    let unwind = u64::from(entry.unwind);
    let is_of_code = code.start <= begin && begin < end && end <= code.end;
    // The lowest bits would say that it is another entry.
    let is_aligned = unwind.is_multiple_of(4);
    if !is_of_code || !is_aligned || !constants.contains(&unwind) {
        return false;
    }
    infos.at(unwind, destination).is_some_and(is_information)
}

/// Whether bytes begin with unwind information that lies wholly among them.
fn is_information(bytes: &[u8]) -> bool {
    const HAS_HANDLER: u8 = 3;
    const IS_CHAINED: u8 = 4;
    let Some(&[head, _, count, _]) = bytes.first_chunk() else {
        return false;
    };
    let (version, flags) = (head & 7, head >> 3);
    // Codes have two bytes, and an even number of them is stored.
    let codes = usize::from(count).next_multiple_of(2) * 2;
    let more = match flags {
        IS_CHAINED => ENTRY,
        flags if flags & HAS_HANDLER != 0 && flags & IS_CHAINED == 0 => 4,
        0 => 0,
        _ => return false,
    };
    matches!(version, 1 | 2) && bytes.len() >= 4 + codes + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwind_information_has_as_many_codes_as_it_says_and_room_for_its_handler() {
        let table: [(&[u8], bool); 9] = [
            (&[1, 0, 0, 0], true),
            (&[2, 0, 0, 0], true),
            (&[3, 0, 0, 0], false),
            (&[1, 0, 0], false),
            (&[1, 4, 1, 0, 4, 0x42], false),
            (&[1, 4, 1, 0, 4, 0x42, 0, 0], true),
            (&[1 | 1 << 3, 0, 0, 0], false),
            (&[1 | 3 << 3, 0, 0, 0, 8, 0, 0, 0], true),
            (&[1 | 4 << 3, 0, 0, 0, 8, 0, 0, 0], false),
        ];
        for (bytes, expected) in table {
            assert_eq!(is_information(bytes), expected, "{bytes:x?}");
        }
    }
}
