//! Mach-O objects whose tables are tables, with anything in them: sections, symbols, relocations in pairs and alone, and files for several machines.

use crate::{check_file, check_link};
use arbitrary::{Arbitrary, Unstructured};
use codeslab_link::{Input, LinkOptions};

#[derive(Arbitrary, Debug)]
struct Link {
    objects: Vec<Object>,
    patches: Vec<(u16, u8)>,
    gc: bool,
    /// Whether the first is wrapped as one for several machines, and as which of them.
    universal: Option<u8>,
}

#[derive(Arbitrary, Debug)]
struct Object {
    is_whole: bool,
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    commands: Vec<(u8, u8)>,
}

#[derive(Arbitrary, Debug)]
struct Section {
    name: u8,
    flags: u8,
    align: u8,
    size: u16,
    gap: u8,
    content: u8,
    relocations: Vec<Relocation>,
    repeat: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Relocation {
    offset: u16,
    symbol: u8,
    bits: u8,
}

#[derive(Arbitrary, Debug)]
struct Symbol {
    name: u8,
    kind: u8,
    section: u8,
    description: u16,
    value: u16,
    repeat: u8,
}

/// Sections by segment and name, with the type that compilers give them.
const SECTIONS: [(&str, &str, u32); 16] = [
    ("__TEXT", "__text", 0x8000_0400),
    ("__TEXT", "__const", 0),
    ("__TEXT", "__cstring", 2),
    ("__TEXT", "__literal8", 4),
    ("__TEXT", "__eh_frame", 0x6800_000b),
    ("__TEXT", "__gcc_except_tab", 0),
    ("__LD", "__compact_unwind", 0x0200_0000),
    ("__DATA", "__data", 0),
    ("__DATA", "__const", 0),
    ("__DATA", "__bss", 1),
    ("__DATA", "__mod_init_func", 9),
    ("__DATA", "__mod_term_func", 10),
    ("__DATA", "__thread_vars", 0x13),
    ("__DATA", "__thread_bss", 0x12),
    ("__DWARF", "__debug_info", 0x0200_0000),
    ("__OTHER", "__other", 5),
];

const NAMES: [&str; 12] = [
    "_a",
    "_b",
    "_f",
    "_it",
    "ltmp0",
    "l_own",
    "plain",
    "_strlen",
    "",
    "section$start$__DATA$__data",
    "___dso_handle",
    "__tlv_bootstrap",
];

/// CPU_TYPE_X86_64, CPU_TYPE_ARM64
const MACHINES: [u32; 2] = [0x0100_0007, 0x0100_000c];
const HEADER: usize = 32;
const SEGMENT: usize = 72;
const SECTION: usize = 80;
const SYMTAB: usize = 24;

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn name(name: &str) -> [u8; 16] {
    let mut field = [0; 16];
    field[..name.len()].copy_from_slice(name.as_bytes());
    field
}

impl Object {
    fn bytes(&self) -> Vec<u8> {
        let sections: Vec<&Section> = self
            .sections
            .iter()
            .flat_map(|section| (0..=section.repeat / 16).map(move |_| section))
            .take(255)
            .collect();
        let others: Vec<u8> = self.commands.iter().flat_map(other).collect();
        let commands = SEGMENT + SECTION * sections.len() + SYMTAB + others.len();
        let start = HEADER + commands;
        let (mut headers, mut bodies, mut address) = (Vec::new(), Vec::new(), 0_u64);
        for section in &sections {
            section.write(start, &mut address, &mut headers, &mut bodies);
        }
        let symbols_at = start + bodies.len();
        let (symbols, strings, count) = self.symbols();
        let (strings_at, length) = (symbols_at + symbols.len(), strings.len());
        // Subsections by symbols, or all of a section at once.
        let flags = if self.is_whole { 0 } else { 0x2000 };
        let ncmds = 2 + self.commands.len() as u32;
        let header = [
            0xfeed_facf,
            MACHINES[0],
            3,
            1,
            ncmds,
            commands as u32,
            flags,
            0,
        ];
        let size = (SEGMENT + SECTION * sections.len()) as u32;
        let segment = [
            numbers(&[0x19, size]),
            name("").to_vec(),
            [0, address, start as u64, bodies.len() as u64]
                .map(u64::to_le_bytes)
                .concat(),
            numbers(&[7, 7, sections.len() as u32, 0]),
        ];
        let table = [
            2,
            SYMTAB as u32,
            symbols_at as u32,
            count,
            strings_at as u32,
            length as u32,
        ];
        [
            numbers(&header),
            segment.concat(),
            headers,
            numbers(&table),
            others,
            bodies,
            symbols,
            strings,
        ]
        .concat()
    }

    /// Symbols, their names, and how many they are.
    fn symbols(&self) -> (Vec<u8>, Vec<u8>, u32) {
        let (mut symbols, mut strings, mut count) = (Vec::new(), vec![0], 0);
        for symbol in &self.symbols {
            let long = "n".repeat(usize::from(symbol.name));
            let name = NAMES
                .get(usize::from(symbol.name))
                .copied()
                .unwrap_or(&long);
            for _ in 0..=symbol.repeat / 16 {
                symbols.extend(numbers(&[strings.len() as u32]));
                symbols.extend([symbol.kind, symbol.section]);
                symbols.extend(symbol.description.to_le_bytes());
                symbols.extend(u64::from(symbol.value).to_le_bytes());
                count += 1;
            }
            strings.extend(name.bytes().chain([0]));
        }
        (symbols, strings, count)
    }
}

/// A command that the linker may know or not, of any length.
fn other((kind, length): &(u8, u8)) -> Vec<u8> {
    // LC_DYSYMTAB, LC_BUILD_VERSION, LC_LINKER_OPTION, LC_DATA_IN_CODE, LC_LINKER_OPTIMIZATION_HINT, a second LC_SYMTAB
    const KINDS: [u32; 6] = [0xb, 0x32, 0x2d, 0x29, 0x2e, 2];
    let size = 8 + usize::from(length % 16) * 8;
    let mut bytes = numbers(&[KINDS[usize::from(*kind) % KINDS.len()], size as u32]);
    bytes.resize(size, *kind);
    bytes
}

impl Section {
    fn write(&self, start: usize, address: &mut u64, headers: &mut Vec<u8>, bodies: &mut Vec<u8>) {
        let (segment, own, kind) = SECTIONS[usize::from(self.name) % SECTIONS.len()];
        // No dead stripping, live support, another type.
        let more = [0, 0x1000_0000, 0x0800_0000, 3][usize::from(self.flags) % 4];
        let kind = kind | more;
        let is_zeros = matches!(kind & 0xff, 1 | 0xc | 0x12);
        let size = u64::from(self.size % 512);
        *address += u64::from(self.gap);
        let at = start + bodies.len();
        if !is_zeros {
            let end = bodies.len() + size as usize;
            bodies.resize(end, self.content);
        }
        let relocations = start + bodies.len();
        for relocation in &self.relocations {
            let (symbol, bits) = (u32::from(relocation.symbol), u32::from(relocation.bits));
            // Which symbol, whether it is a distance, its length, whether it is a symbol, the type.
            let packed = symbol | (bits & 0xf) << 24 | (bits >> 4) << 28;
            bodies.extend(numbers(&[u32::from(relocation.offset % 600), packed]));
        }
        headers.extend(name(own));
        headers.extend(name(segment));
        headers.extend([*address, size].map(u64::to_le_bytes).concat());
        let count = self.relocations.len() as u32;
        let align = u32::from(self.align % 20);
        headers.extend(numbers(&[
            at as u32,
            align,
            relocations as u32,
            count,
            kind,
            0,
            0,
            0,
        ]));
        *address += size;
    }
}

/// A file with the object for one of two machines.
fn universal(object: &[u8], choice: u8) -> Vec<u8> {
    const START: usize = 64;
    let big = |numbers: &[u32]| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    };
    let machine = MACHINES[usize::from(choice) % 2];
    let length = object.len() as u32;
    let parts = [
        0xcafe_babe,
        2,
        machine,
        u32::from(choice / 128),
        START as u32,
        length,
        3,
        MACHINES[1],
        0,
        START as u32,
        length / 2,
        3,
    ];
    let mut bytes = big(&parts);
    bytes.resize(START, 0);
    [bytes, object.to_vec()].concat()
}

/// The objects that `data` describes, and whether what nothing needs is left out. `None` if it describes none of a size that is worth it.
#[must_use]
pub fn objects(data: &[u8]) -> Option<(Vec<Vec<u8>>, bool)> {
    let link = Link::arbitrary_take_rest(Unstructured::new(data)).ok()?;
    let mut objects: Vec<Vec<u8>> = link.objects.iter().take(3).map(Object::bytes).collect();
    let first = objects.first_mut()?;
    for (at, value) in &link.patches {
        let at = usize::from(*at) % first.len();
        first[at] = *value;
    }
    if let Some(choice) = link.universal {
        *first = universal(first, choice);
    }
    let length: usize = objects.iter().map(Vec::len).sum();
    (length <= 1 << 16).then_some((objects, link.gc))
}

/// Links the objects that `data` describes. Whether it describes any.
pub fn run(data: &[u8]) -> bool {
    let Some((objects, gc)) = objects(data) else {
        return false;
    };
    let named = |bytes| Input::File {
        name: "fuzzed",
        bytes,
    };
    let inputs: Vec<Input<'_>> = objects.iter().map(|bytes| named(bytes)).collect();
    let options = LinkOptions {
        gc,
        ..LinkOptions::default()
    };
    check_link(&inputs, &options);
    check_file(&objects[0]);
    true
}
