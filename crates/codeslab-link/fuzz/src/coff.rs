//! COFF objects whose tables are tables, with anything in them: sections, symbols with auxiliary records, relocations, directives.

use crate::{check_file, check_link};
use arbitrary::{Arbitrary, Unstructured};
use codeslab_link::{Input, LinkOptions};

#[derive(Arbitrary, Debug)]
struct Link {
    objects: Vec<Object>,
    patches: Vec<(u16, u8)>,
    gc: bool,
}

#[derive(Arbitrary, Debug)]
struct Object {
    is_large: bool,
    time: u32,
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    directives: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Section {
    name: u8,
    flags: u8,
    align: u8,
    size: u16,
    relocations: Vec<(u16, u8, u8)>,
    repeat: u8,
}

#[derive(Arbitrary, Debug)]
struct Symbol {
    name: u8,
    value: u16,
    section: i8,
    class: u8,
    record: Option<(u8, u8)>,
    repeat: u8,
}

const NAMES: [&str; 16] = [
    ".text$a",
    ".data",
    ".pdata",
    ".xdata",
    ".CRT$XC",
    ".ctors.9",
    ".idata$5",
    ".idata$6",
    ".drectve",
    "a",
    "b",
    "__imp_a",
    "__imp_b",
    "strlen",
    "_tls_index",
    ".tls$",
];

/// Code, constants, data, zeros, and what is for linkers.
const FLAGS: [u32; 6] = [
    0x6000_0020,
    0x4000_0040,
    0xc000_0040,
    0xc000_0080,
    0x0000_0a00,
    0xe000_0020,
];

const CLASSES: [u8; 6] = [2, 3, 6, 103, 104, 105];

impl Object {
    fn bytes(&self) -> Vec<u8> {
        let mut sections: Vec<(&Section, u8)> = Vec::new();
        for section in &self.sections {
            sections.extend((0..=section.repeat / 16).map(|_| (section, section.name)));
        }
        let count = sections.len() + 1;
        let header = if self.is_large { 56 } else { 20 };
        let mut strings = Strings(vec![0; 4]);
        let mut headers = Vec::new();
        let mut bodies = Vec::new();
        let start = header + 40 * count;
        for (section, name) in &sections {
            let at = start + bodies.len();
            let flags = FLAGS[usize::from(section.flags) % FLAGS.len()];
            let flags = flags | u32::from(section.align % 16) << 20;
            let flags = flags | if section.flags >= 128 { 0x1000 } else { 0 };
            let is_zeros = flags & 0x80 != 0;
            let content = vec![section.align; usize::from(section.size % 512)];
            let stored = if is_zeros { &[][..] } else { &content };
            bodies.extend(stored);
            let relocations = start + bodies.len();
            for (offset, symbol, kind) in &section.relocations {
                bodies.extend(u32::from(*offset % 600).to_le_bytes());
                bodies.extend(u32::from(*symbol).to_le_bytes());
                bodies.extend(u16::from(*kind % 18).to_le_bytes());
            }
            let size = if is_zeros {
                u32::from(section.size)
            } else {
                stored.len() as u32
            };
            headers.extend(strings.name(*name));
            for number in [0, 0, size, at as u32, relocations as u32, 0] {
                headers.extend(number.to_le_bytes());
            }
            headers.extend((section.relocations.len() as u16).to_le_bytes());
            headers.extend([0; 2]);
            headers.extend(flags.to_le_bytes());
        }
        headers.extend(*b".drectve");
        for number in [
            0,
            0,
            self.directives.len() as u32,
            (start + bodies.len()) as u32,
            0,
            0,
            0,
            0xa00,
        ] {
            headers.extend(number.to_le_bytes());
        }
        bodies.extend(&self.directives);
        let (symbols, symbol_count) = self.symbols(&mut strings);
        let table = (start + bodies.len()) as u32;
        let length = strings.0.len() as u32;
        strings.0[..4].copy_from_slice(&length.to_le_bytes());
        [
            self.header(count, table, symbol_count),
            headers,
            bodies,
            symbols,
            strings.0,
        ]
        .concat()
    }

    fn header(&self, sections: usize, table: u32, symbols: u32) -> Vec<u8> {
        const LARGE: [u8; 16] = [
            0xc7, 0xa1, 0xba, 0xd1, 0xee, 0xba, 0xa9, 0x4b, 0xaf, 0x20, 0xfa, 0xf6, 0x6a, 0xa4,
            0xdc, 0xb8,
        ];
        let mut bytes = Vec::new();
        if self.is_large {
            bytes.extend([0, 0, 0xff, 0xff, 2, 0, 0x64, 0x86]);
            bytes.extend(self.time.to_le_bytes());
            bytes.extend(LARGE);
            bytes.extend([0; 16]);
            for number in [sections as u32, table, symbols] {
                bytes.extend(number.to_le_bytes());
            }
        } else {
            bytes.extend([0x64, 0x86]);
            bytes.extend((sections as u16).to_le_bytes());
            for number in [self.time, table, symbols, 0] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    fn symbols(&self, strings: &mut Strings) -> (Vec<u8>, u32) {
        let mut bytes = Vec::new();
        let mut count = 0;
        for symbol in &self.symbols {
            for _ in 0..=symbol.repeat / 16 {
                bytes.extend(strings.name(symbol.name));
                bytes.extend(u32::from(symbol.value % 600).to_le_bytes());
                if self.is_large {
                    bytes.extend(i32::from(symbol.section).to_le_bytes());
                } else {
                    bytes.extend(i16::from(symbol.section).to_le_bytes());
                }
                bytes.extend([0, if symbol.value >= 0x8000 { 0x20 } else { 0 }]);
                bytes.push(CLASSES[usize::from(symbol.class) % CLASSES.len()]);
                bytes.push(symbol.record.is_some().into());
                count += 1;
                if let Some((number, kind)) = symbol.record {
                    let mut record = vec![0; if self.is_large { 20 } else { 18 }];
                    // The default of a weak external and its search, or the selection of a section and what it is associated with.
                    record[0] = number;
                    record[4] = kind % 5;
                    record[12] = number;
                    record[14] = kind % 9;
                    bytes.extend(record);
                    count += 1;
                }
            }
        }
        (bytes, count)
    }
}

/// Names that are longer than eight bytes.
struct Strings(Vec<u8>);

impl Strings {
    fn name(&mut self, number: u8) -> [u8; 8] {
        let long = "l".repeat(usize::from(number));
        let name = NAMES.get(usize::from(number)).copied().unwrap_or(&long);
        let mut field = [0; 8];
        if name.len() <= 8 {
            field[..name.len()].copy_from_slice(name.as_bytes());
        } else {
            field[4..].copy_from_slice(&(self.0.len() as u32).to_le_bytes());
            self.0.extend(name.as_bytes());
            self.0.push(0);
        }
        field
    }
}

/// Links the objects that `data` describes. Whether it describes any of a size that is worth it.
pub fn run(data: &[u8]) -> bool {
    let Ok(link) = Link::arbitrary_take_rest(Unstructured::new(data)) else {
        return false;
    };
    let mut objects: Vec<Vec<u8>> = link.objects.iter().take(3).map(Object::bytes).collect();
    for (at, value) in &link.patches {
        if let Some(bytes) = objects.first_mut().filter(|bytes| !bytes.is_empty()) {
            let at = usize::from(*at) % bytes.len();
            bytes[at] = *value;
        }
    }
    if objects.iter().map(Vec::len).sum::<usize>() > 1 << 16 {
        return false;
    }
    let inputs: Vec<Input<'_>> = objects
        .iter()
        .map(|bytes| Input::File {
            name: "fuzzed",
            bytes,
        })
        .collect();
    let options = LinkOptions {
        gc: link.gc,
        ..LinkOptions::default()
    };
    check_link(&inputs, &options);
    if let Some(bytes) = objects.first() {
        check_file(bytes);
    }
    !objects.is_empty()
}
