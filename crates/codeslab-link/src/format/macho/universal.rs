//! Files for several machines: a table says where in the file each one's object, archive or library is. The file is as good as the part
//! for the machine of this process.
//!
//! All numbers are big-endian. Compiled Java begins with the same four bytes; where the number of parts stands there, it has its version,
//! which is greater than any number of machines.
//!
//! Source: `mach-o/fat.h` (<https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/fat.h>).

use super::file::{is_foreign, name_of_type};
use crate::arch::{native, native_number};
use crate::budget::Budget;
use crate::error::{Error, Resource, Result};
use object::BinaryFormat;
use object::macho::{FAT_MAGIC, FAT_MAGIC_64, FatArch32, FatArch64};
use object::read::macho::{FatArch, MachOFatFile};

/// The version of compiled Java's oldest kind.
const JAVA: u32 = 43;

/// The part of `bytes` that is for this process; all of them if they are no file for several machines.
///
/// # Errors
/// [`Error::WrongArchitecture`] if no part is for it, [`Error::Malformed`].
pub(crate) fn part<'a>(name: &str, bytes: &'a [u8], budget: &Budget) -> Result<&'a [u8]> {
    let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    match (word(0), word(4)) {
        (Some(FAT_MAGIC), Some(count)) if count < JAVA => choose::<FatArch32>(name, bytes, budget),
        (Some(FAT_MAGIC_64), Some(count)) if count < JAVA => {
            choose::<FatArch64>(name, bytes, budget)
        }
        _ => Ok(bytes),
    }
}

fn choose<'a, A: FatArch>(name: &str, bytes: &'a [u8], budget: &Budget) -> Result<&'a [u8]> {
    let malformed = |error: object::read::Error| Error::malformed(name, error.to_string());
    let file = MachOFatFile::<A>::parse(bytes).map_err(malformed)?;
    let parts = file.arches();
    budget.spend(Resource::Steps, parts.len() as u64, name)?;
    let own = native_number(BinaryFormat::MachO);
    let is_own =
        |part: &&A| Some(part.cputype().0) == own && !is_foreign(part.cputype(), part.cpusubtype());
    if let Some(part) = parts.iter().find(is_own) {
        return part.data(bytes).map_err(malformed);
    }
    let found = parts.iter();
    let found = found.map(|part| name_of_type(part.cputype(), part.cpusubtype()));
    Err(Error::WrongArchitecture {
        object: name.to_owned(),
        found: found.collect::<Vec<_>>().join(", "),
        expected: native()
            .map_or("the machine of this process", |machine| machine.name())
            .to_owned(),
    })
}
