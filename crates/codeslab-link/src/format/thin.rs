//! Thin archives: an index and the names of files, which hold the members. Their files are read, and become an archive that holds them.
//!
//! What comes after sees archives of one kind. The index is taken over, with the places that members have now; names are those that the
//! thin archive has, so errors call members as it does. `gather` says how files are read, and counts them among the bytes that a link is
//! given.
//!
//! Source: <https://sourceware.org/binutils/docs/binutils/ar.html>, option `T`.

use crate::error::{Error, Result};
use object::archive::{MAGIC, THIN_MAGIC};
use object::read::archive::ArchiveFile;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// Whether `bytes` begin like a thin archive.
pub(crate) fn is_thin(bytes: &[u8]) -> bool {
    bytes.starts_with(&THIN_MAGIC)
}

/// An archive of what the thin one in `bytes` names. `identify` says which file a name means, whatever it is called, and `read` yields the
/// content of one.
///
/// # Errors
/// [`Error::Malformed`], and those of `read`.
pub(crate) fn fill<F: Eq + Hash>(
    name: &str,
    bytes: &[u8],
    identify: impl Fn(&str) -> F,
    mut read: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let malformed = |error: object::read::Error| Error::malformed(name, error.to_string());
    let file = ArchiveFile::parse(bytes).map_err(malformed)?;
    // Where the content of each file begins, in bytes behind the index, by its names. A file that is named twice is one member: names take a
    // few bytes, and files may be large.
    let mut files: HashMap<F, u64> = HashMap::new();
    let mut places: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut members = Vec::new();
    for member in file.members() {
        let member = member.map_err(malformed)?;
        let Entry::Vacant(place) = places.entry(member.name().to_vec()) else {
            continue;
        };
        let path = String::from_utf8_lossy(member.name());
        place.insert(match files.entry(identify(&path)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let content = read(&path)?;
                let place = *new.insert(members.len() as u64);
                append(&mut members, member.name(), &content);
                place
            }
        });
    }
    let mut index = Vec::new();
    for symbol in file.symbols().map_err(malformed)?.into_iter().flatten() {
        let symbol = symbol.map_err(malformed)?;
        let member = file.member(symbol.offset()).map_err(malformed)?;
        if let Some(place) = places.get(member.name()) {
            index.push((symbol.name(), *place));
        }
    }
    let mut filled = MAGIC.to_vec();
    append_index(&mut filled, &index);
    filled.extend(members);
    Ok(filled)
}

/// Bytes of a member's header.
const HEADER: u64 = 60;

/// Appends the header of a member of so many bytes. Only its name and its size mean something to linkers.
fn append_header(archive: &mut Vec<u8>, name: &str, size: usize) {
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    archive.extend(header.as_bytes());
}

/// Appends a member under a name of any length, as BSD's `ar` writes it: before the content.
fn append(archive: &mut Vec<u8>, name: &[u8], content: &[u8]) {
    let short = format!("#1/{}", name.len());
    append_header(archive, &short, name.len() + content.len());
    archive.extend(name);
    archive.extend(content);
    pad(archive);
}

/// Appends the index of symbols, as System V has it. Members are counted from the first one.
fn append_index(archive: &mut Vec<u8>, index: &[(&[u8], u64)]) {
    let names: usize = index.iter().map(|(name, _)| name.len() + 1).sum();
    let size = 8 + 8 * index.len() + names;
    let first = (archive.len() + HEADER as usize + size).next_multiple_of(2) as u64;
    append_header(archive, "/SYM64/", size);
    archive.extend((index.len() as u64).to_be_bytes());
    for (_, place) in index {
        archive.extend((first + place).to_be_bytes());
    }
    for (name, _) in index {
        archive.extend(*name);
        archive.push(0);
    }
    pad(archive);
}

/// Members begin at even offsets.
fn pad(archive: &mut Vec<u8>) {
    if archive.len() % 2 == 1 {
        archive.push(b'\n');
    }
}
