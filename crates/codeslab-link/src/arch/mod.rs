//! Machines: what the linker has to know about instruction sets.
//!
//! A machine is one folder here and its lines below. It has its relocation types as rows (a file for each object format that has the
//! machine), and it writes stubs and GOT entries. The files beside the folders are the vocabulary that rows are written in. Formats ask
//! for the machine that a file names, `link` for the one of this process; `plan` and `apply` are handed a machine and its rows and know
//! no machine by name. `fake` is a machine that never was built, in the tests of everything above.

pub(crate) mod encoding;
#[cfg(test)]
mod fake;
pub(crate) mod formula;
pub(crate) mod machine;
pub(crate) mod row;
mod x86_64;

use codeslab::Architecture;
use machine::{Machine, Table};
use object::BinaryFormat;
use row::Row;

/// Every machine that is linked for.
static MACHINES: &[&dyn Machine] = &[
    &x86_64::X86_64,
    #[cfg(test)]
    &fake::Fake,
];

/// Machines that people have objects for and that are not linked for, by their number in a format, so that an error can name them.
const FOREIGN: [(BinaryFormat, u32, &str); 2] = [
    (BinaryFormat::Elf, 183, "AArch64"),
    (BinaryFormat::Elf, 243, "RISC-V"),
];

/// The machine of this architecture.
pub(crate) fn machine(architecture: Architecture) -> Option<&'static dyn Machine> {
    let mut machines = MACHINES.iter().copied();
    machines.find(|machine| machine.architecture() == architecture)
}

/// The machine of this process.
///
/// # Errors
/// `UnsupportedPlatform` if nothing can be linked for it.
pub(crate) fn native() -> codeslab::Result<&'static dyn Machine> {
    let architecture = codeslab::architecture()?;
    machine(architecture).ok_or(codeslab::Error::UnsupportedPlatform(architecture.name()))
}

/// The machine that files of a format call by this number, and what they say about it.
pub(crate) fn by_number(
    format: BinaryFormat,
    number: u32,
) -> Option<(&'static dyn Machine, &'static Table)> {
    MACHINES.iter().find_map(|machine| {
        let mut tables = machine.tables().iter();
        let table = tables.find(|table| table.format == format && table.machine == number)?;
        Some((*machine, table))
    })
}

/// What to call a machine that is not linked for.
pub(crate) fn foreign_name(format: BinaryFormat, number: u32) -> Option<&'static str> {
    let is_asked =
        |foreign: &&(BinaryFormat, u32, &'static str)| (foreign.0, foreign.1) == (format, number);
    FOREIGN.iter().find(is_asked).map(|foreign| foreign.2)
}

/// Every row of every machine.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    let tables = MACHINES.iter().flat_map(|machine| machine.tables());
    tables.flat_map(|table| table.rows)
}

#[cfg(test)]
mod tests {
    use super::row::Far;
    use super::*;

    #[test]
    fn a_relocation_type_has_one_name_and_its_number_leads_to_it() {
        let mut names: Vec<&str> = rows().map(|row| row.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        for table in MACHINES.iter().flat_map(|machine| machine.tables()) {
            for row in table.rows {
                let found = table.row(row.number).expect(row.name);
                assert_eq!(found.name, row.name);
            }
            assert!(table.row(u32::MAX).is_none());
            for kind in table.unsupported {
                assert!(table.row(kind.number).is_none(), "{}", kind.name);
            }
        }
    }

    #[test]
    fn rows_are_of_the_machine_that_has_them() {
        for machine in MACHINES {
            let rows = machine.tables().iter().flat_map(|table| table.rows);
            for row in rows {
                assert_eq!(row.architecture, machine.architecture(), "{}", row.name);
                assert!(row.align.is_power_of_two(), "{}", row.name);
                let is_bounded = row.range.greatest < i128::MAX;
                let is_direct = row.far == Far::Placement;
                assert!(is_bounded || !is_direct, "{}", row.name);
            }
            assert!(machine.entry_size().is_power_of_two());
            assert!(machine.stub_size().is_power_of_two());
        }
    }

    #[test]
    fn a_machine_is_found_by_its_architecture_and_by_what_files_call_it() {
        for known in MACHINES {
            let name = known.name();
            let found = machine(known.architecture()).expect(name);
            assert_eq!(found.name(), name);
            for table in known.tables() {
                let (found, _) = by_number(table.format, table.machine).expect(name);
                assert_eq!(found.name(), name);
                assert_eq!(foreign_name(table.format, table.machine), None);
            }
        }
        assert!(by_number(BinaryFormat::Elf, u32::MAX).is_none());
        for (format, number, name) in FOREIGN {
            assert!(by_number(format, number).is_none(), "{name}");
            assert_eq!(foreign_name(format, number), Some(name));
        }
    }
}
