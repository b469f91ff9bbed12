//! What an object says of all of its code, in a note: properties, of which a file that is linked of several objects keeps what all of them say.
//!
//! A note is three words (bytes of its owner's name, bytes of what it says, and what kind of note it is), the name, and what it says: here
//! properties, each of two words (which one, and bytes of its value) and the value. Names end at multiples of four bytes, values at multiples of
//! eight. What is cut short says nothing.
//!
//! Source: "Linux Extensions to gABI", section "Program Property"; "ELF for the Arm 64-bit Architecture", section "Program Property".

/// The section that holds the note.
pub(super) const NOTE: &str = ".note.gnu.property";

/// Bytes of the words before the name, and before the value of a property.
const HEADER: usize = 12;
const PROPERTY: usize = 8;

/// `NT_GNU_PROPERTY_TYPE_0`.
const KIND: u32 = 5;

/// Whether the first of these notes that has properties has this one, with the lowest bit set.
pub(super) fn has_lowest_bit(mut notes: &[u8], property: u32) -> bool {
    while let Some((note, rest)) = split(notes) {
        if note.kind == KIND && note.owner == b"GNU\0" {
            return value(note.content, property).is_some_and(|value| value & 1 != 0);
        }
        notes = rest;
    }
    false
}

struct Note<'a> {
    kind: u32,
    owner: &'a [u8],
    content: &'a [u8],
}

/// The first note, and the notes behind it.
fn split(notes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let (owner, content) = (word(notes, 0)? as usize, word(notes, 4)? as usize);
    let start = HEADER + owner.next_multiple_of(4);
    let end = start.checked_add(content)?;
    let note = Note {
        kind: word(notes, 8)?,
        owner: notes.get(HEADER..HEADER + owner)?,
        content: notes.get(start..end)?,
    };
    let rest = notes.get(end.next_multiple_of(8)..).unwrap_or_default();
    Some((note, rest))
}

/// The first word of the value of a property.
fn value(mut properties: &[u8], property: u32) -> Option<u32> {
    loop {
        let size = word(properties, 4)? as usize;
        if word(properties, 0)? == property {
            return word(properties.get(PROPERTY..PROPERTY + size)?, 0);
        }
        let next = PROPERTY + size.next_multiple_of(8);
        properties = properties.get(next..)?;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTY_OF_CODE: u32 = 0xc000_0000;

    fn note(kind: u32, owner: [u8; 4], properties: &[(u32, &[u32])]) -> Vec<u8> {
        let mut content = Vec::new();
        for (property, value) in properties {
            let words = [*property, value.len() as u32 * 4].into_iter();
            content.extend(
                words
                    .chain(value.iter().copied())
                    .flat_map(u32::to_le_bytes),
            );
            content.resize(content.len().next_multiple_of(8), 0);
        }
        let header = [4, content.len() as u32, kind].map(u32::to_le_bytes);
        [&header.concat()[..], &owner, &content].concat()
    }

    fn says(notes: &[u8]) -> bool {
        has_lowest_bit(notes, PROPERTY_OF_CODE)
    }

    #[test]
    fn code_has_landing_pads_if_the_lowest_bit_of_its_property_says_so() {
        // As gcc writes it for `-mbranch-protection=standard`: both bits.
        assert!(says(&note(KIND, *b"GNU\0", &[(PROPERTY_OF_CODE, &[3])])));
        assert!(!says(&note(KIND, *b"GNU\0", &[(PROPERTY_OF_CODE, &[2])])));
        assert!(!says(&note(KIND, *b"GNU\0", &[(PROPERTY_OF_CODE, &[])])));
        assert!(!says(&note(KIND, *b"GNU\0", &[(0xc000_0002, &[3])])));
        let second = [(1, &[0, 0][..]), (PROPERTY_OF_CODE, &[1])];
        assert!(says(&note(KIND, *b"GNU\0", &second)));
    }

    #[test]
    fn notes_of_others_are_passed_over() {
        let others = [
            note(1, *b"GNU\0", &[(PROPERTY_OF_CODE, &[0])]),
            note(KIND, *b"BSD\0", &[(PROPERTY_OF_CODE, &[0])]),
        ];
        let marked = note(KIND, *b"GNU\0", &[(PROPERTY_OF_CODE, &[1])]);
        assert!(says(&[&others.concat()[..], &marked].concat()));
        assert!(!says(&others.concat()));
    }

    #[test]
    fn a_note_that_is_cut_short_or_lies_about_its_size_says_nothing() {
        let marked = note(KIND, *b"GNU\0", &[(PROPERTY_OF_CODE, &[1])]);
        for length in 0..marked.len() {
            assert!(!says(&marked[..length]), "{length}");
        }
        for at in [0, 4, 20] {
            for size in [u32::MAX, u32::MAX - 3, 0x8000_0000] {
                let mut wrong = marked.clone();
                wrong[at..at + 4].copy_from_slice(&size.to_le_bytes());
                assert!(!says(&wrong), "{size:#x} at {at}");
            }
        }
    }
}
