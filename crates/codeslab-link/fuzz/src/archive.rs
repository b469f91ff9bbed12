//! Archives whose parts are all there and say what the fuzzer wants: indexes of every kind, long names, members that may lie in each
//! other, and objects whose tables and names overlap.

use crate::check_file;
use arbitrary::{Arbitrary, Unstructured};
use codeslab_testing::hostile::archive::{MAGIC, bsd_index, coff_index, gnu_index, header};
use codeslab_testing::hostile::elf::{
    self, Section, defining, name_table, object, relocation, relocation_table, stored, symbol,
    symbol_table,
};

#[derive(Arbitrary, Debug)]
struct Archive {
    index: Index,
    /// The table of long names, and how often it is repeated.
    long_names: Option<(Vec<u8>, u8)>,
    members: Vec<Member>,
    /// Bytes that are changed at the end: where, and to what.
    patches: Vec<(u16, u8)>,
}

#[derive(Arbitrary, Debug)]
enum Index {
    Absent,
    Gnu(Vec<Entry>),
    Bsd(Vec<Entry>),
    Coff(Vec<Entry>),
    Wide(Vec<Entry>),
}

/// A symbol of an index: its name, or where one begins, and the member that it leads to, or any offset.
#[derive(Arbitrary, Debug)]
struct Entry {
    name: Name,
    at: u8,
    member: u8,
    besides: i8,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Name {
    A,
    B,
    F,
    Empty,
    Long(u8),
}

impl Name {
    fn text(self) -> String {
        match self {
            Self::A => "a".to_owned(),
            Self::B => "b".to_owned(),
            Self::F => "f".to_owned(),
            Self::Empty => String::new(),
            Self::Long(length) => "l".repeat(usize::from(length) * 16),
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Member {
    title: Title,
    content: Body,
    /// What the header says more or less than there is.
    extra: Option<u16>,
    repeat: u8,
}

#[derive(Arbitrary, Debug)]
enum Title {
    Short,
    Long(u8),
    Bsd(u8),
    Any([u8; 16]),
}

#[derive(Arbitrary, Debug)]
enum Body {
    Defining(Name, Vec<Name>),
    Object(Vec<Part>, Vec<u8>),
    Bytes(Vec<u8>),
}

/// A section of an object.
#[derive(Arbitrary, Debug)]
struct Part {
    kind: u8,
    flags: u16,
    name: u8,
    align_log2: u8,
    size: u16,
    repeat: u8,
    link: u8,
    info: u8,
    symbols: Vec<(u8, u8, u8, u8)>,
    relocations: Vec<(u8, u8)>,
}

const MOST_REPETITIONS: u8 = 16;

const KINDS: u8 = 8;
const GROUP: u8 = 4;

impl Part {
    fn section(&self) -> Section {
        let section = self.content();
        let is_group = self.kind % KINDS == GROUP;
        Section {
            name: self.name.into(),
            align: 1_u64.checked_shl(self.align_log2.into()).unwrap_or(3),
            link: self.link.into(),
            info: self.info.into(),
            entry_size: if is_group { 4 } else { section.entry_size },
            ..section
        }
    }

    fn content(&self) -> Section {
        let flags = u64::from(self.flags);
        let some = |byte: u8| vec![byte; usize::from(self.size % 512)];
        let nothing = |kind: u32, flags: u64| Section {
            bytes: None,
            offset: self.info.into(),
            size: self.size.into(),
            ..stored(kind, flags, Vec::new())
        };
        match self.kind % KINDS {
            0 => stored(elf::PROGBITS, flags | elf::ALLOC, some(0xc3)),
            1 => nothing(elf::kind::NOBITS, flags | elf::ALLOC),
            2 => symbol_table(0, &self.symbols.iter().map(symbol_of).collect::<Vec<_>>()),
            3 => relocation_table(0, 0, &self.relocations()),
            GROUP => stored(elf::kind::GROUP, flags, self.group()),
            5 => {
                let long = vec![b'n'; usize::from(self.size % 1024)];
                name_table(&[&long, b"a", b"b", b".init_array"])
            }
            6 => nothing(u32::from(self.link % 12), flags),
            _ => stored(u32::from(self.link % 20), flags, some(0)),
        }
    }

    fn relocations(&self) -> Vec<[u8; 24]> {
        let pairs = self.relocations.iter();
        pairs
            .map(|(kind, symbol)| relocation((*kind).into(), (*symbol).into()))
            .collect()
    }

    /// A COMDAT group.
    fn group(&self) -> Vec<u8> {
        let members = self.relocations.iter();
        let members = members.flat_map(|(_, section)| u32::from(*section).to_le_bytes());
        [1, 0, 0, 0].into_iter().chain(members).collect()
    }
}

fn symbol_of((name, info, section, special): &(u8, u8, u8, u8)) -> [u8; 24] {
    let section = match special {
        0 => 0xfff1,
        1 => 0xfff2,
        _ => u16::from(*section),
    };
    let mut symbol = symbol((*name).into(), *info, section);
    symbol[16] = *special;
    symbol
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Defining(name, others) => {
                let others: Vec<String> = others.iter().map(|name| name.text()).collect();
                let others: Vec<&str> = others.iter().map(String::as_str).collect();
                defining(&name.text(), &others)
            }
            Self::Object(parts, names) => {
                let parts = parts.iter().flat_map(|part| {
                    let repeat = part.repeat % MOST_REPETITIONS;
                    std::iter::repeat_n(part.section(), usize::from(repeat) + 1)
                });
                let names = name_table(&[names]);
                object(&parts.chain([names]).collect::<Vec<_>>())
            }
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

impl Member {
    fn bytes(&self) -> Vec<u8> {
        let body = self.content.bytes();
        let size = body.len() + usize::from(self.extra.unwrap_or_default());
        let mut bytes = match &self.title {
            Title::Short => header("m.o/", size),
            Title::Long(at) => header(&format!("/{at}"), size),
            Title::Bsd(length) => header(&format!("#1/{length}"), size),
            Title::Any(name) => [&name[..], &header("", size)[16..]].concat(),
        };
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        bytes
    }
}

impl Index {
    fn bytes(&self, offset: impl Fn(&Entry) -> u32) -> Vec<u8> {
        let names = |entries: &[Entry]| -> Vec<u8> {
            let names = entries.iter().map(|entry| entry.name.text() + "\0");
            names.collect::<String>().into_bytes()
        };
        match self {
            Self::Absent => Vec::new(),
            Self::Gnu(entries) => gnu_index(
                &entries.iter().map(offset).collect::<Vec<_>>(),
                &names(entries),
            ),
            Self::Bsd(entries) => {
                let places: Vec<_> = entries
                    .iter()
                    .map(|entry| (entry.at.into(), offset(entry)))
                    .collect();
                bsd_index(&places, &names(entries))
            }
            Self::Coff(entries) => coff_index(
                entries.first().map_or(0, offset),
                entries.len() as u32,
                &names(entries),
            ),
            Self::Wide(entries) => {
                let mut bytes = (entries.len() as u64).to_be_bytes().to_vec();
                bytes.extend(
                    entries
                        .iter()
                        .flat_map(|entry| u64::from(offset(entry)).to_be_bytes()),
                );
                bytes.extend(names(entries));
                [header("/SYM64/", bytes.len()), bytes].concat()
            }
        }
    }
}

impl Archive {
    fn bytes(&self) -> Vec<u8> {
        let members: Vec<Vec<u8>> = self
            .members
            .iter()
            .flat_map(|member| {
                std::iter::repeat_n(
                    member.bytes(),
                    usize::from(member.repeat % MOST_REPETITIONS) + 1,
                )
            })
            .collect();
        let long_names = self
            .long_names
            .as_ref()
            .map_or_else(Vec::new, |(names, repeat)| {
                let names = names.repeat(usize::from(*repeat) + 1);
                [
                    header("//", names.len() + names.len() % 2),
                    names.clone(),
                    vec![b'\n'; names.len() % 2],
                ]
                .concat()
            });
        let mut starts = vec![0];
        for member in &members {
            starts.push(starts[starts.len() - 1] + member.len());
        }
        let index_size = self.index.bytes(|_| 0).len();
        let first = MAGIC.len() + index_size + index_size % 2 + long_names.len();
        let offset = |entry: &Entry| {
            let start = first + starts[usize::from(entry.member) % starts.len()];
            (start as u32).wrapping_add_signed(entry.besides.into())
        };
        let mut index = self.index.bytes(offset);
        index.resize(index_size + index_size % 2, b'\n');
        let mut bytes = [MAGIC, &index, &long_names, &members.concat()].concat();
        for (at, value) in &self.patches {
            let at = usize::from(*at) % bytes.len();
            bytes[at] = *value;
        }
        bytes
    }
}

/// Links the archive that `data` describes. Whether it describes one of a size that is worth it.
pub fn run(data: &[u8]) -> bool {
    let Ok(archive) = Archive::arbitrary_take_rest(Unstructured::new(data)) else {
        return false;
    };
    let bytes = archive.bytes();
    // More says no more about proportions.
    let is_small = bytes.len() < 1 << 16;
    if is_small {
        check_file(&bytes);
    }
    is_small
}
