//! Machines: what the linker has to know about instruction sets.
//!
//! A machine is one folder here and its lines below. It has its relocation types as rows (a file for each object format that has the
//! machine), and it writes stubs and GOT entries. The files beside the folders are the vocabulary that rows are written in. Formats ask
//! for the machine that a file names, `link` for the one of this process; `plan` and `apply` are handed a machine and its rows and know
//! no machine by name. `fake` is a machine that never was built, in the tests of everything above.

mod aarch64;
pub(crate) mod compact;
pub(crate) mod encoding;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod formula;
pub(crate) mod machine;
pub(crate) mod plain;
pub(crate) mod row;
mod x86_64;

use codeslab::Architecture;
use machine::{Machine, Table};
use object::BinaryFormat;
use plain::Plain;
use row::Row;

/// A machine, and what object files say about it.
struct Entry {
    machine: &'static dyn Machine,
    tables: &'static [Table],
}

/// Every machine that is linked for.
#[rustfmt::skip] // A line for each machine.
static MACHINES: &[Entry] = &[
    Entry { machine: &x86_64::X86_64, tables: &x86_64::TABLES },
    Entry { machine: &aarch64::Aarch64, tables: &aarch64::TABLES },
    #[cfg(test)]
    Entry { machine: &fake::Fake, tables: &fake::TABLES },
];

/// How many rows there are.
const COUNT: usize = {
    let mut count = 0;
    let mut machine = 0;
    while machine < MACHINES.len() {
        let tables = MACHINES[machine].tables;
        let mut table = 0;
        while table < tables.len() {
            count += tables[table].rows.len();
            table += 1;
        }
        machine += 1;
    }
    assert!(count <= u16::MAX as usize, "a row is named by two bytes");
    count
};

/// Every row of every machine, in the order of the machines and their tables.
static ROWS: [Plain; COUNT] = {
    let mut all = [Plain::of(&MACHINES[0].tables[0].rows[0]); COUNT];
    let mut count = 0;
    let mut machine = 0;
    while machine < MACHINES.len() {
        let tables = MACHINES[machine].tables;
        let mut table = 0;
        while table < tables.len() {
            let mut row = 0;
            while row < tables[table].rows.len() {
                all[count] = Plain::of(&tables[table].rows[row]);
                count += 1;
                row += 1;
            }
            table += 1;
        }
        machine += 1;
    }
    all
};

/// Names a row of some machine, by its place among all: two bytes, because objects have more relocations than anything else, and going
/// through them takes as long as memory needs to bring them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct RowId(u16);

impl RowId {
    #[inline]
    pub(crate) fn row(self) -> &'static Row {
        self.plain().row
    }

    /// The row as far as the usual case goes.
    #[inline]
    pub(crate) fn plain(self) -> &'static Plain {
        &ROWS[usize::from(self.0)]
    }

    /// Every row of every machine.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u16).map(Self)
    }
}

/// A machine as the files of one format have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Types {
    pub(crate) machine: &'static dyn Machine,
    pub(crate) table: &'static Table,
    /// The place of the table's first row among all rows.
    first: u16,
}

impl Types {
    /// The row of the relocation type with this number.
    #[inline]
    pub(crate) fn row(&self, number: u32) -> Option<RowId> {
        let row = self.table.row(number)?;
        Some(RowId(self.first + u16::from(row)))
    }
}

/// Machines that people have objects for and that are not linked for, by their number in a format, so that an error can name them.
const FOREIGN: [(BinaryFormat, u32, &str); 8] = [
    (BinaryFormat::Elf, 243, "RISC-V"),
    (BinaryFormat::Coff, 0x14c, "x86"),
    (BinaryFormat::Coff, 0x1c4, "32-bit Arm"),
    (BinaryFormat::Coff, 0xaa64, "AArch64"),
    (BinaryFormat::MachO, 7, "x86"),
    (BinaryFormat::MachO, 12, "32-bit Arm"),
    // The subtype in the third byte: signed pointers, and pointers of 32 bits.
    (BinaryFormat::MachO, 0x0102_000c, "arm64e"),
    (BinaryFormat::MachO, 0x0200_000c, "arm64_32"),
];

/// The machine of this architecture.
pub(crate) fn machine(architecture: Architecture) -> Option<&'static dyn Machine> {
    let mut machines = MACHINES.iter().map(|entry| entry.machine);
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

/// The machine that files of a format call by this number.
pub(crate) fn by_number(format: BinaryFormat, number: u32) -> Option<Types> {
    let tables = MACHINES.iter().flat_map(|entry| {
        let machine = entry.machine;
        entry.tables.iter().map(move |table| (machine, table))
    });
    let mut first = 0;
    for (machine, table) in tables {
        if table.format == format && table.machine == number {
            return Some(Types {
                machine,
                table,
                first,
            });
        }
        first += table.rows.len() as u16;
    }
    None
}

/// What files of a format call the machine of this process.
pub(crate) fn native_number(format: BinaryFormat) -> Option<u32> {
    let architecture = codeslab::architecture().ok()?;
    let mut machines = MACHINES.iter();
    let entry = machines.find(|entry| entry.machine.architecture() == architecture)?;
    let mut tables = entry.tables.iter();
    let table = tables.find(|table| table.format == format)?;
    Some(table.machine)
}

/// What to call a machine that is not linked for.
pub(crate) fn foreign_name(format: BinaryFormat, number: u32) -> Option<&'static str> {
    let is_asked =
        |foreign: &&(BinaryFormat, u32, &'static str)| (foreign.0, foreign.1) == (format, number);
    FOREIGN.iter().find(is_asked).map(|foreign| foreign.2)
}

#[cfg(test)]
mod tests {
    use super::row::Far;
    use super::*;

    #[test]
    fn a_relocation_type_has_one_name_and_its_number_leads_to_it() {
        let mut names: Vec<&str> = RowId::all().map(|id| id.row().name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        let mut count = 0;
        for table in MACHINES.iter().flat_map(|entry| entry.tables) {
            let types = by_number(table.format, table.machine).expect("it is listed");
            for row in table.rows {
                let found = types.row(row.number).expect(row.name);
                assert_eq!(found.row().name, row.name);
            }
            assert_eq!(types.row(u32::MAX), None);
            for kind in table.unsupported {
                assert_eq!(types.row(kind.number), None, "{}", kind.name);
            }
            count += table.rows.len();
        }
        assert_eq!(names.len(), count);
    }

    #[test]
    fn rows_are_of_the_machine_that_has_them_and_direct_ones_have_a_reach() {
        for Entry { machine, tables } in MACHINES {
            for row in tables.iter().flat_map(|table| table.rows) {
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
        for entry in MACHINES {
            let name = entry.machine.name();
            let found = machine(entry.machine.architecture()).expect(name);
            assert_eq!(found.name(), name);
            for table in entry.tables {
                let types = by_number(table.format, table.machine).expect(name);
                assert_eq!(types.machine.name(), name);
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
