//! A shared object without code, which asks the dynamic linker what only it knows of thread-local variables.
//!
//! Which number a module has, where its block lies in a thread, and what a descriptor consists of are things that a dynamic linker keeps
//! to itself. It tells them in one way, by relocating. So this is the smallest file that it loads: the template as its thread-local
//! segment, two words for each question, and relocations that have them filled in. Variables of the process are undefined symbols, which
//! are looked up as for any library, and variables that other images refer to are defined ones. All of it is one segment, in which nothing can be executed. `thread_local` loads it.
//!
//! Sources: System V ABI, "Object Files" and "Dynamic Linking" (<https://gabi.xinuos.com>); Drepper, "ELF Handling For Thread-Local
//! Storage" (<https://www.akkadia.org/drepper/tls.pdf>).

use super::machine::{DESCRIPTOR, MACHINE, MODULE, MODULE_OFFSET, THREAD_OFFSET};
use crate::storage::{Question, Template, Variable};
use std::collections::HashMap;

/// The file.
#[derive(Debug)]
pub(super) struct SharedObject {
    /// All of it up to the template.
    pub(super) head: Vec<u8>,
    /// Bytes from the start of the file to the template.
    pub(super) template: u64,
    /// Bytes from the start of what is loaded to the answers, two words each.
    pub(super) answers: u64,
}

// Every table of such a file is words of eight bytes, or can be written as such.
const WORD: u64 = 8;
const HEADER: u64 = 8;
const SEGMENT: u64 = 7;
const SYMBOL: u64 = 3;
const RELOCATION: u64 = 3;
const DYNAMIC: u64 = 2;

/// How many entries the dynamic section has, besides the libraries that are needed.
const DYNAMIC_COUNT: u64 = 10;

/// What the dynamic linker maps by; the largest page that Linux has on the processors that are supported.
const PAGE: u64 = 1 << 16;

/// Where each table begins, in words.
struct Tables {
    symbols: u64,
    hash: u64,
    relocations: u64,
    dynamic: u64,
    answers: u64,
    names: u64,
}

impl Tables {
    fn new(
        segments: u64,
        symbols: u64,
        hash_words: u64,
        [relocations, answers]: [u64; 2],
        dynamic_count: u64,
    ) -> Self {
        let symbols_at = HEADER + segments * SEGMENT;
        let hash = symbols_at + symbols * SYMBOL;
        let relocations_at = hash + hash_words;
        let dynamic = relocations_at + relocations * RELOCATION;
        let answers_at = dynamic + dynamic_count * DYNAMIC;
        Self {
            symbols: symbols_at,
            hash,
            relocations: relocations_at,
            dynamic,
            answers: answers_at,
            names: answers_at + answers * 2,
        }
    }
}

impl SharedObject {
    /// That which gives threads copies of `template` and asks `questions`, also of what the libraries with the names `needed` have. Others need
    /// what it exports by `name`.
    pub(super) fn new(
        template: &Template<'_>,
        questions: &[(Variable<'_>, Question)],
        needed: &[&str],
        name: Option<&str>,
    ) -> Self {
        let mut symbols = Symbols::of(questions, template.exports);
        let needed = needed
            .iter()
            .map(|name| [DT_NEEDED, symbols.add_name(name)]);
        let mut libraries: Vec<[u64; 2]> = needed.collect();
        libraries.extend(name.map(|name| [DT_SONAME, symbols.add_name(name)]));
        let dynamic_count = DYNAMIC_COUNT + libraries.len() as u64;
        let hash = symbols.hash_table();
        let fields = fields(questions, &symbols);
        let has_template = template.size > 0;
        let tables = Tables::new(
            3 + u64::from(has_template),
            symbols.count(),
            hash.len() as u64,
            [fields.len() as u64, questions.len() as u64],
            dynamic_count,
        );
        let names_end = tables.names * WORD + symbols.names.len() as u64;
        let start = names_end.next_multiple_of(template.align.max(WORD));
        let size = start + template.bytes.len() as u64;
        let mut words = header(3 + u64::from(has_template));
        words.extend(segment(PT_LOAD, 0, size, size, PAGE));
        let dynamic_size = dynamic_count * DYNAMIC * WORD;
        let dynamic_at = tables.dynamic * WORD;
        words.extend(segment(
            PT_DYNAMIC,
            dynamic_at,
            dynamic_size,
            dynamic_size,
            WORD,
        ));
        // Without this one, glibc makes every stack of the process executable.
        words.extend(segment(PT_GNU_STACK, 0, 0, 0, 16));
        if has_template {
            let stored = template.bytes.len() as u64;
            words.extend(segment(
                PT_TLS,
                start,
                stored,
                template.size,
                template.align,
            ));
        }
        words.extend(symbols.table.iter().flatten());
        words.extend(hash);
        for field in &fields {
            words.extend(field.relocation(tables.answers * WORD));
        }
        let is_static = questions
            .iter()
            .any(|(_, question)| *question == Question::ThreadOffset);
        let sizes = [fields.len() as u64, symbols.names.len() as u64];
        words.extend(libraries.iter().flatten());
        words.extend(dynamic(&tables, sizes, is_static));
        words.resize(tables.names as usize, 0);
        let mut head: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        head.extend(symbols.names);
        Self {
            head,
            template: start,
            answers: tables.answers * WORD,
        }
    }
}

/// The header, with segments behind it and no sections.
fn header(segments: u64) -> Vec<u64> {
    const MAGIC: u64 = u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0");
    const ET_DYN: u64 = 3;
    const VERSION: u64 = 1 << 32;
    let sizes = (HEADER * WORD) << 32 | (SEGMENT * WORD) << 48;
    let kind = ET_DYN | MACHINE << 16 | VERSION;
    vec![MAGIC, 0, kind, 0, HEADER * WORD, 0, sizes, segments]
}

const DT_NEEDED: u64 = 1;
const DT_SONAME: u64 = 14;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_TLS: u64 = 7;
const PT_GNU_STACK: u64 = 0x6474_e551;

/// A segment that may be read and written, and lies in memory where it lies in the file.
fn segment(kind: u64, offset: u64, stored: u64, size: u64, align: u64) -> [u64; 7] {
    const READ_WRITE: u64 = 6 << 32;
    [
        kind | READ_WRITE,
        offset,
        offset,
        offset,
        stored,
        size,
        align,
    ]
}

/// The hash of a name in the tables of symbols: System V ABI, "Dynamic Linking", "Hash Table".
fn hash_of(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// The dynamic section, given the number of relocations and the bytes of all names.
fn dynamic(tables: &Tables, [relocations, names]: [u64; 2], is_static: bool) -> [u64; 20] {
    const BIND_NOW: u64 = 0x8;
    const STATIC_TLS: u64 = 0x10;
    let flags = BIND_NOW | if is_static { STATIC_TLS } else { 0 };
    let entries = [
        [4, tables.hash * WORD],
        [5, tables.names * WORD],
        [6, tables.symbols * WORD],
        [10, names],
        [11, SYMBOL * WORD],
        [7, tables.relocations * WORD],
        [8, relocations * RELOCATION * WORD],
        [9, RELOCATION * WORD],
        [30, flags],
        [0, 0],
    ];
    let mut words = [0; 20];
    words.copy_from_slice(entries.as_flattened());
    words
}

const THREAD_LOCAL: u64 = 6;
const GLOBAL: u64 = 1 << 4;

/// Undefined symbols, for variables that other files have, and defined ones for those that others may refer to. The first one of a table is for
/// those that need none: this file's own.
struct Symbols<'q> {
    table: Vec<[u64; 3]>,
    names: Vec<u8>,
    numbers: HashMap<&'q str, u64>,
    /// The numbers of the defined ones, and the hashes of their names.
    defined: Vec<(u64, u32)>,
}

impl<'q> Symbols<'q> {
    fn of(questions: &[(Variable<'q>, Question)], exports: &[(&str, u64)]) -> Self {
        let mut symbols = Self {
            table: vec![[0; 3]],
            names: vec![0],
            numbers: HashMap::new(),
            defined: Vec::new(),
        };
        for (variable, _) in questions {
            match variable {
                Variable::Own(_) => {}
                Variable::Process(name) => symbols.add(name),
                Variable::Nobody => symbols.add(""),
            }
        }
        for (name, offset) in exports {
            symbols.define(name, *offset);
        }
        symbols
    }

    /// Adds a variable that other files may refer to.
    fn define(&mut self, name: &str, offset: u64) {
        /// Any section that is not none: there are no sections.
        const SOMEWHERE: u64 = 1 << 48;
        self.defined.push((self.count(), hash_of(name)));
        let at = self.add_name(name);
        let row = [at | (GLOBAL | THREAD_LOCAL) << 32 | SOMEWHERE, offset, 0];
        self.table.push(row);
    }

    /// The table by which the defined ones are found, in words.
    fn hash_table(&self) -> Vec<u64> {
        let symbols = self.table.len();
        let count = self.defined.len().max(1);
        let mut buckets = vec![0_u32; count];
        let mut chains = vec![0_u32; symbols];
        for &(number, hash) in &self.defined {
            let first = &mut buckets[hash as usize % count];
            chains[number as usize] = std::mem::replace(first, number as u32);
        }
        let entries = [count as u32, symbols as u32].into_iter();
        let entries: Vec<u32> = entries.chain(buckets).chain(chains).collect();
        let words = entries.chunks(2).map(|pair| {
            let high = pair.get(1).copied().unwrap_or_default();
            u64::from(pair[0]) | u64::from(high) << 32
        });
        words.collect()
    }

    /// The empty name is no variable's, and need not be one's.
    fn add(&mut self, name: &'q str) {
        const WEAK: u64 = 2 << 4;
        let number = self.count();
        if *self.numbers.entry(name).or_insert(number) != number {
            return;
        }
        let (at, binding) = match name {
            "" => (0, WEAK),
            _ => (self.add_name(name), GLOBAL),
        };
        self.table.push([at | (binding | THREAD_LOCAL) << 32, 0, 0]);
    }

    /// Adds a name, and says where it is among all.
    fn add_name(&mut self, name: &str) -> u64 {
        let at = self.names.len() as u64;
        self.names.extend(name.as_bytes());
        self.names.push(0);
        at
    }

    fn count(&self) -> u64 {
        self.table.len() as u64
    }

    /// The symbol of a variable, and what is added to its value.
    fn place(&self, variable: &Variable<'_>) -> (u64, u64) {
        match variable {
            Variable::Own(offset) => (0, *offset),
            Variable::Process(name) => (self.numbers[name], 0),
            Variable::Nobody => (self.numbers[""], 0),
        }
    }
}

/// A word of an answer, and what the dynamic linker is to put there.
struct Field {
    /// Bytes from the start of the answers.
    offset: u64,
    kind: u64,
    symbol: u64,
    addend: u64,
}

impl Field {
    const fn relocation(&self, answers: u64) -> [u64; 3] {
        [
            answers + self.offset,
            self.symbol << 32 | self.kind,
            self.addend,
        ]
    }
}

fn fields(questions: &[(Variable<'_>, Question)], symbols: &Symbols<'_>) -> Vec<Field> {
    let numbered = (0..).zip(questions);
    let fields = numbered.flat_map(|(number, (variable, question))| {
        let (symbol, addend) = symbols.place(variable);
        let field = |word: u64, kind: u64, addend: u64| Field {
            offset: (number * 2 + word) * WORD,
            kind,
            symbol,
            addend,
        };
        let (first, second) = match question {
            Question::ModuleAndOffset => {
                (field(0, MODULE, 0), Some(field(1, MODULE_OFFSET, addend)))
            }
            Question::ThreadOffset => (field(0, THREAD_OFFSET, addend), None),
            Question::Descriptor => (field(0, DESCRIPTOR, addend), None),
        };
        std::iter::once(first).chain(second)
    });
    fields.collect()
}
