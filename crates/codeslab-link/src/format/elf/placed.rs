//! An object with the addresses that its sections got: what debuggers read in the place of a file.
//!
//! Section headers have a field for the address, `sh_addr`, which is zero in object files. Debuggers take it from there, and count
//! symbols, debug and unwind information from it. A section that is left out must not seem to lie at zero, so it is no longer said to be
//! loaded. The bytes were parsed before: what is out of bounds was refused then, and stays as it is here.

use super::file::{ENDIAN, Header};
use crate::graph::AddressOf;
use object::elf::{SHF_ALLOC, SectionFlags, SectionHeader64};
use object::read::elf::FileHeader;
use object::{LittleEndian, U64, pod};

/// A copy of the object in `bytes` in which each section has the address that `address_of` knows by its number.
pub(crate) fn placed(bytes: &[u8], address_of: &AddressOf<'_>) -> Vec<u8> {
    let mut placed = bytes.to_vec();
    let Ok(header) = Header::parse(bytes) else {
        return placed;
    };
    let count = header.shnum(ENDIAN, bytes).unwrap_or_default();
    let start = header.e_shoff.get(ENDIAN) as usize;
    let table = placed.get_mut(start..).unwrap_or_default();
    let table = pod::slice_from_bytes_mut::<SectionHeader64<LittleEndian>>(table, count as usize);
    let headers = table.map(|(headers, _)| headers).unwrap_or_default();
    for (number, section) in headers.iter_mut().enumerate() {
        if let Some(address) = address_of(number) {
            section.sh_addr = U64::new(ENDIAN, address);
        } else {
            let SectionFlags(flags) = section.sh_flags.get(ENDIAN);
            let flags = SectionFlags(flags & !SHF_ALLOC.0);
            section.sh_flags = U64::new(ENDIAN, flags);
            // The object may say anything there.
            section.sh_addr = U64::new(ENDIAN, 0);
        }
    }
    placed
}
