//! ELF object files for debuggers, which read them from memory and the code from the process.
//!
//! Their type is that of an object file (`ET_REL`), in which symbols count from their section, and a section with an address lies there. Layout
//! as in the System V ABI, "Object Files", for 64 bits and little-endian.

use object::elf;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;

/// Bytes of a symbol.
pub(crate) const SYMBOL: usize = 24;

/// One section of a file.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) content: Vec<u8>,
    /// Bytes of one that has none in the file.
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) entry: u64,
}

impl Section {
    /// Code that is elsewhere.
    pub(crate) fn code(address: u64, size: u64) -> Self {
        Self {
            name: ".text",
            kind: elf::SHT_NOBITS.0,
            flags: elf::SHF_ALLOC.0 | elf::SHF_EXECINSTR.0,
            address,
            size,
            ..Self::default()
        }
    }

    /// Names, one after the other.
    pub(crate) fn names(name: &'static str, content: Vec<u8>) -> Self {
        Self {
            name,
            kind: elf::SHT_STRTAB.0,
            content,
            ..Self::default()
        }
    }

    fn put(&self, file: &mut Vec<u8>, name: u32, offset: u64) {
        let size = self.size.max(self.content.len() as u64);
        file.extend(name.to_le_bytes());
        file.extend(self.kind.to_le_bytes());
        for word in [self.flags, self.address, offset, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend(self.link.to_le_bytes());
        file.extend(self.info.to_le_bytes());
        // Alignment, and the size of an entry.
        file.extend(1_u64.to_le_bytes());
        file.extend(self.entry.to_le_bytes());
    }
}

/// A file of sections, which are counted from 1, on a machine with this ELF number.
pub(crate) fn file(machine: u16, sections: Vec<Section>) -> Vec<u8> {
    // Those of all sections that there are.
    let mut names = Vec::with_capacity(64);
    names.push(0);
    let mut all = Vec::with_capacity(sections.len() + 2);
    all.push(Section::default());
    all.extend(sections);
    all.push(Section::names(".shstrtab", Vec::new()));
    let name_offsets: Vec<u32> = all
        .iter()
        .map(|section| put_name(&mut names, section.name))
        .collect();
    let count = all.len();
    all[count - 1].content = names;

    let start = HEADER + count * SECTION_HEADER;
    let contents: usize = all.iter().map(|section| section.content.len()).sum();
    let mut file = Vec::with_capacity(start + contents);
    put_header(&mut file, machine, count);
    let mut offset = start as u64;
    for (section, name) in all.iter().zip(name_offsets) {
        section.put(&mut file, name, offset);
        offset += section.content.len() as u64;
    }
    for section in all {
        file.extend(section.content);
    }
    file
}

/// Appends a name, and says where it begins; the empty one is there already.
pub(crate) fn put_name(names: &mut Vec<u8>, name: &str) -> u32 {
    if name.is_empty() {
        return 0;
    }
    let offset = names.len() as u32;
    names.extend(name.bytes().filter(|byte| *byte != 0));
    names.push(0);
    offset
}

fn put_header(file: &mut Vec<u8>, machine: u16, sections: usize) {
    file.extend(elf::ELFMAG);
    // 64 bits, little-endian, version 1, and padding.
    file.extend([2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(elf::ET_REL.0.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    // No entry point, no program headers; section headers follow at once.
    file.extend(0_u64.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend((HEADER as u64).to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for half in [HEADER, 0, 0, SECTION_HEADER, sections, sections - 1] {
        file.extend((half as u16).to_le_bytes());
    }
}
