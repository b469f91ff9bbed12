//! The contract of a machine: what the linker asks about the instruction set that it links for.
//!
//! A machine is a folder here with a value that implements [`Machine`], which writes the two things that linkers make, stubs and GOT
//! entries, and with a [`Table`] of relocation types for each object format. All of it is data or bytes; how addresses are found and
//! which entries are needed is decided by `plan` and `apply`, for all machines alike. Formats find a machine by the number that their
//! files have for it.

use super::compact::CompactForm;
use super::row::{Misfit, Row};
use crate::error::Feature;
use codeslab::{Architecture, Protection};
use codeslab_runtime::Convention;
use object::BinaryFormat;
use std::fmt;

/// One instruction set.
pub(crate) trait Machine: fmt::Debug + Sync {
    fn architecture(&self) -> Architecture;

    /// What errors call it.
    fn name(&self) -> &'static str;

    /// Whether a local symbol only tells disassemblers what begins there, and is nothing that a person has named.
    fn is_mark(&self, _name: &str) -> bool {
        false
    }

    /// Bytes of a GOT entry, a power of two.
    fn entry_size(&self) -> u64 {
        8
    }

    /// Fills a GOT entry so that code that goes through it arrives at `address`.
    fn write_entry(&self, entry: &mut [u8], address: u64) {
        entry.copy_from_slice(&address.to_le_bytes());
    }

    /// Bytes of a stub, a power of two.
    fn stub_size(&self) -> u64;

    /// Fills a stub at the address `at`, so that it continues where the GOT entry at the address `entry` says. It changes no register
    /// that carries an argument.
    ///
    /// # Errors
    /// [`Misfit`] if the stub cannot reach the entry.
    fn write_stub(&self, stub: &mut [u8], at: u64, entry: u64) -> Result<(), Misfit>;

    /// Bytes of a detour, a multiple of 16; 0 if the machine has none.
    fn detour_size(&self) -> u64 {
        0
    }

    /// The instructions whose operands are the fields at these offsets of `code`; `None` for those that can take no detour. Functions
    /// begin at `starts`; both lists ascend.
    fn instructions(
        &self,
        _code: &[u8],
        _starts: &[usize],
        fields: &[usize],
    ) -> Vec<Option<Instruction>> {
        vec![None; fields.len()]
    }

    /// Fills a detour that does what an instruction does, with an operand that lies where a GOT entry says, and puts the way there in the
    /// place of the instruction.
    ///
    /// # Errors
    /// [`Misfit`] if one of the three cannot reach another.
    fn write_detour(
        &self,
        _detour: &mut [u8],
        _instruction: &mut [u8],
        _places: &Detour,
    ) -> Result<(), Misfit> {
        Ok(())
    }

    /// What instructions are aligned to, in bytes.
    fn code_align(&self) -> u64 {
        1
    }

    /// What comes before and after instructions that call functions, to make a function of them that saves what the convention asks for.
    /// `None` where objects have no such fragments.
    fn function_frame(&self) -> Option<[&'static [u8]; 2]> {
        None
    }

    /// A function that passes its arguments on to another, with the address of something as one more. `None` where it cannot be made.
    fn binder(&self, _binding: Binder) -> Option<BinderCode> {
        None
    }

    /// Whether the field at this offset of some code says where a branch goes. Formats that have one type for branches and for data are
    /// asked, because a stub stands for what is called, and not for data.
    fn is_branch(&self, _code: &[u8], _field: usize) -> bool {
        false
    }

    /// The binary logarithm of how many bytes the instruction at this offset of some code loads or stores, if it keeps its operand's place
    /// divided by that; 0 for any other. Formats that have one type for all such instructions ask.
    fn access_log2(&self, _code: &[u8], _field: usize) -> u32 {
        0
    }

    /// The name of the type of a pointer to a symbol. `None` where the linker makes no cells for symbols.
    fn pointer(&self) -> Option<&'static str> {
        None
    }

    /// The property of an ELF object whose lowest bit says that indirect branches arrive in its code at landing pads only. `None` where no
    /// system guards pages of code.
    fn landing_pad_property(&self) -> Option<u32> {
        None
    }

    /// What functions say of their frames in the compact form of Apple's systems. `None` where no such system was.
    fn compact_form(&self) -> Option<&'static CompactForm> {
        None
    }

    /// What code of this machine refers to because compilers have it in a library of their own.
    fn builtins(&self) -> &'static [&'static [Builtin]] {
        &[]
    }
}

/// An instruction that can take a detour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instruction {
    /// Bytes from the start of its section to its own, and to its end.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The number of a register that it does not use.
    pub(crate) scratch: u8,
    /// How it says where its operand is.
    pub(crate) operand: OperandForm,
}

/// How an instruction refers to something in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OperandForm {
    /// Its operand is there, so far from the end of the instruction.
    Distance,
    /// Its operand is there, at an address in fewer bits than addresses have.
    Address,
    /// Its operand is that address itself.
    Value,
}

/// Where the parts of a detour are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detour {
    /// The address of the detour, of the instruction and of the GOT entry.
    pub(crate) start: u64,
    pub(crate) instruction: u64,
    pub(crate) entry: u64,
    /// Bytes from the start of the instruction to its field.
    pub(crate) field: usize,
    pub(crate) scratch: u8,
    pub(crate) operand: OperandForm,
    /// A.
    pub(crate) addend: i64,
}

/// How a function passes its arguments on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Binder {
    /// How the function is called, and calls.
    pub(crate) convention: Convention,
    /// The argument that is null, counted from 0, if one is.
    pub(crate) null: Option<u8>,
    /// The argument that is the address, counted from 0.
    pub(crate) address: Option<u8>,
}

/// Code with two references: to what the address is of, and to the function that goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BinderCode {
    pub(crate) bytes: Vec<u8>,
    /// Where the field for the address is, if there is one, and of which type.
    pub(crate) address: Option<Field>,
    /// Where the field for the function is, and of which type.
    pub(crate) function: Field,
}

/// A field of made code: offset, type by name, addend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub(crate) offset: u64,
    pub(crate) kind: &'static str,
    pub(crate) addend: i64,
}

/// Something that a compiler's own library defines in every image that needs it.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) protection: Protection,
    /// Bytes, a power of two.
    pub(crate) align: u64,
    /// What it holds in this process.
    pub(crate) content: fn() -> Vec<u8>,
}

/// What the files of one format say about one machine.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) format: BinaryFormat,
    /// The number by which files of the format name the machine.
    pub(crate) machine: u32,
    pub(crate) rows: &'static [Row],
    /// For each type's number, which row it has, counted from 1; 0 for none. See [`by_number`].
    pub(crate) by_number: &'static [u8],
    /// Types that are known and cannot be applied.
    pub(crate) unsupported: &'static [Unsupported],
    /// Numbers in the place of a symbol's section that make it a common symbol, beside the format's own.
    pub(crate) common_sections: &'static [u16],
}

/// What is added to the number of a type that formats have for branches and for operands alike, to make the number of its row for branches.
/// Files have no such numbers.
pub(crate) const BRANCHES: u32 = 0x20;

/// What is added to the number of a type, once or more, to make the numbers of rows for what other fields of a relocation say, or the code
/// around it: formats that count fewer than sixteen types have several operands for one. Files have no such numbers.
pub(crate) const VARIANT: u32 = 0x10;

/// The variants of an address in data, in units of [`VARIANT`]. They are added up.
pub(crate) mod address {
    /// In 4 bytes instead of 8.
    pub(crate) const NARROW: u32 = 1;
    /// Less the address of the symbol that the relocation before names.
    pub(crate) const DIFFERENCE: u32 = 2;
    /// Less the address of the field.
    pub(crate) const DISTANCE: u32 = 4;
    /// Of what tells a thread where its copy of the variable is.
    pub(crate) const DESCRIPTOR: u32 = 8;
}

/// A type of relocation that cannot be applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsupported {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) feature: Feature,
}

impl Table {
    /// Which row has the type with this number. Every relocation of every object is looked up, so it takes no search.
    #[inline]
    pub(crate) fn row(&self, number: u32) -> Option<u8> {
        self.by_number.get(number as usize)?.checked_sub(1)
    }

    pub(crate) fn unsupported(&self, number: u32) -> Option<&'static Unsupported> {
        self.unsupported.iter().find(|kind| kind.number == number)
    }
}

/// The index of a table. `N` is the greatest number of a row, plus 1.
pub(crate) const fn by_number<const N: usize>(rows: &[Row]) -> [u8; N] {
    let mut index = [0; N];
    let mut i = 0;
    while i < rows.len() {
        i += 1;
        let number = rows[i - 1].number as usize;
        assert!(i <= u8::MAX as usize && index[number] == 0);
        index[number] = i as u8;
    }
    index
}
