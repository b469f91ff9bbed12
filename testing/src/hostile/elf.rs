//! A writer of ELF objects that checks nothing: headers say whatever a test wants them to say.

/// `sh_type` and `sh_flags` as the System V ABI numbers them.
pub const PROGBITS: u32 = 1;
#[allow(missing_docs, reason = "the ABI's own names")]
pub mod kind {
    pub const NULL: u32 = 0;
    pub const SYMTAB: u32 = 2;
    pub const STRTAB: u32 = 3;
    pub const RELA: u32 = 4;
    pub const NOBITS: u32 = 8;
    pub const REL: u32 = 9;
    pub const GROUP: u32 = 17;
}
/// Writable.
pub const WRITE: u64 = 1;
/// Loaded.
pub const ALLOC: u64 = 2;
/// Executable.
pub const CODE: u64 = 4;
/// Thread-local.
pub const TLS: u64 = 0x400;

/// A section header, and the bytes it is about.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Where its name begins in the table of section names.
    pub name: u32,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_addr`, where a linked section lies.
    pub address: u64,
    /// What is stored; `None` stores nothing and leaves `size` to the header.
    pub bytes: Option<Vec<u8>>,
    /// `sh_offset` of a section that stores nothing.
    pub offset: u64,
    /// `sh_size` of a section that stores nothing.
    pub size: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// `sh_addralign`.
    pub align: u64,
    /// `sh_entsize`.
    pub entry_size: u64,
}

/// A section that stores `bytes`.
#[must_use]
pub fn stored(kind: u32, flags: u64, bytes: Vec<u8>) -> Section {
    Section {
        kind,
        flags,
        bytes: Some(bytes),
        align: 1,
        ..Section::default()
    }
}

/// A symbol table whose names are in section `link`. All symbols but the first are global.
#[must_use]
pub fn symbol_table(link: u32, symbols: &[[u8; 24]]) -> Section {
    Section {
        link,
        info: 1,
        entry_size: 24,
        ..stored(kind::SYMTAB, 0, [&[[0; 24]], symbols].concat().concat())
    }
}

/// A relocation table for section `info` with the symbols of section `link`.
#[must_use]
pub fn relocation_table(link: u32, info: u32, relocations: &[[u8; 24]]) -> Section {
    Section {
        link,
        info,
        entry_size: 24,
        ..stored(kind::RELA, 0, relocations.concat())
    }
}

/// A table of names: a zero byte, then these, each with a zero byte behind it.
#[must_use]
pub fn name_table(names: &[&[u8]]) -> Section {
    let mut bytes = vec![0];
    for name in names {
        bytes.extend_from_slice(name);
        bytes.push(0);
    }
    stored(kind::STRTAB, 0, bytes)
}

/// A symbol: where its name begins, `st_info`, and the number of its section.
#[must_use]
pub fn symbol(name: u32, info: u8, section: u16) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..4].copy_from_slice(&name.to_le_bytes());
    bytes[4] = info;
    bytes[6..8].copy_from_slice(&section.to_le_bytes());
    bytes
}

/// A relocation at the start of a section.
#[must_use]
pub fn relocation(kind: u32, symbol: u32) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[8..12].copy_from_slice(&kind.to_le_bytes());
    bytes[12..16].copy_from_slice(&symbol.to_le_bytes());
    bytes
}

/// An object for x86-64 of these sections, counted from 1; the last is the table of section names.
#[must_use]
pub fn object(sections: &[Section]) -> Vec<u8> {
    const HEADER_SIZE: u16 = 64;
    let mut bytes = vec![0; HEADER_SIZE.into()];
    let mut headers = vec![0; HEADER_SIZE.into()];
    for section in sections {
        let offset = section
            .bytes
            .as_ref()
            .map_or(section.offset, |_| bytes.len() as u64);
        let size = section
            .bytes
            .as_ref()
            .map_or(section.size, |bytes| bytes.len() as u64);
        headers.extend_from_slice(&header_of(section, offset, size));
        bytes.extend_from_slice(section.bytes.as_deref().unwrap_or_default());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let count = sections.len() + 1;
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let table = (bytes.len() as u64).to_le_bytes();
    let short = |number: usize| (number as u16).to_le_bytes();
    bytes[16..24].copy_from_slice(&[1, 0, 62, 0, 1, 0, 0, 0]);
    bytes[40..48].copy_from_slice(&table);
    bytes[52..54].copy_from_slice(&HEADER_SIZE.to_le_bytes());
    bytes[58..60].copy_from_slice(&HEADER_SIZE.to_le_bytes());
    // From 0xff00 on, the count and the table of names stand in the first section header.
    let is_long = count >= 0xff00;
    bytes[60..62].copy_from_slice(&short(if is_long { 0 } else { count }));
    bytes[62..64].copy_from_slice(&short(if is_long { 0xffff } else { count - 1 }));
    if is_long {
        headers[32..40].copy_from_slice(&(count as u64).to_le_bytes());
        headers[40..44].copy_from_slice(&(count as u32 - 1).to_le_bytes());
    }
    bytes.extend_from_slice(&headers);
    bytes
}

fn header_of(section: &Section, offset: u64, size: u64) -> Vec<u8> {
    [
        &section.name.to_le_bytes()[..],
        &section.kind.to_le_bytes(),
        &section.flags.to_le_bytes(),
        &section.address.to_le_bytes(),
        &offset.to_le_bytes(),
        &size.to_le_bytes(),
        &section.link.to_le_bytes(),
        &section.info.to_le_bytes(),
        &section.align.to_le_bytes(),
        &section.entry_size.to_le_bytes(),
    ]
    .concat()
}

/// A sound object that defines a function of this name, and refers to others.
#[must_use]
pub fn defining(name: &str, others: &[&str]) -> Vec<u8> {
    let names: Vec<&[u8]> = std::iter::once(&name)
        .chain(others)
        .map(|name| name.as_bytes())
        .collect();
    let mut at = 1;
    let symbols = names.iter().enumerate().map(|(number, name)| {
        let start = at;
        at += name.len() as u32 + 1;
        symbol(start, 0x10, u16::from(number == 0))
    });
    let symbols: Vec<_> = symbols.collect();
    let code = stored(PROGBITS, ALLOC | CODE, vec![0xc3; 8]);
    object(&[
        code,
        symbol_table(3, &symbols),
        name_table(&names),
        name_table(&[]),
    ])
}
