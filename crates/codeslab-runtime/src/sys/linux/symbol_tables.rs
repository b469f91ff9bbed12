//! Which symbols of the process are functions, and which are constants.
//!
//! `dlsym` gives an address and says nothing of what lies there, and an object that refers to a symbol of a library does not know
//! either. The file in which the symbol is defined knows: its dynamic symbol table has a type and a size for each. The mapping in which the
//! address lies names that file, and has to be executable for a function, and not to be writable for a constant, which the dynamic linker
//! sees to once it has filled in addresses: a program that was linked with a copy of a library's variable has that copy in a mapping of its
//! own.
//!
//! Files are read with the `object` crate and not through the loader's own structures, so nothing here is unsafe. Answering takes a
//! few milliseconds; the linker asks only where a link depends on it. Every doubt is answered with no.
//!
//! Source: `proc_pid_maps(5)`; System V ABI, "Symbol Table".

use crate::symbol::ProcessSymbolKind;
use codeslab::Address;
use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{FileHeader, Sym};
use object::{NativeEndian, SymbolIndex};
use std::collections::HashMap;
use std::fs::File;

const ENDIAN: NativeEndian = NativeEndian;

type Header = FileHeader64<NativeEndian>;

/// The kernel's own library has no file. What it exports is functions only, to which those of the C library resolve.
const KERNEL_LIBRARY: &str = "[vdso]";

/// The symbols that a file is asked about, and what it says.
type Answers<'n> = HashMap<&'n str, ProcessSymbolKind>;

/// What each of `symbols` is, by name and address.
pub(crate) fn kinds_of(symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapping_of = |(_, at): &(&str, Address)| Mapping::find(&maps, at.value());
    let mappings: Vec<Option<Mapping<'_>>> = symbols.iter().map(mapping_of).collect();
    let mut files: HashMap<&str, Answers<'_>> = HashMap::new();
    for ((name, _), mapping) in symbols.iter().zip(&mappings) {
        if let Some(mapping) = mapping {
            let answers = files.entry(mapping.file).or_default();
            answers.insert(name, ProcessSymbolKind::Unknown);
        }
    }
    for (file, answers) in &mut files {
        if *file == KERNEL_LIBRARY {
            let all = answers.values_mut();
            all.for_each(|answer| *answer = ProcessSymbolKind::Function);
        } else {
            // What cannot be read leaves them unknown.
            let _ = ask(file, answers);
        }
    }
    let answer = |((name, _), mapping): (&(&str, Address), Option<Mapping<'_>>)| {
        let mapping = mapping?;
        let kind = *files.get(mapping.file)?.get(name)?;
        mapping.allows(kind).then_some(kind)
    };
    let kinds = symbols.iter().zip(mappings).map(answer);
    kinds
        .map(|kind| kind.unwrap_or(ProcessSymbolKind::Unknown))
        .collect()
}

/// One line of the kernel's list.
struct Mapping<'a> {
    first: u64,
    end: u64,
    is_writable: bool,
    is_executable: bool,
    /// Empty for memory without a file.
    file: &'a str,
}

impl<'a> Mapping<'a> {
    /// The one that an address lies in.
    fn find(maps: &'a str, address: u64) -> Option<Self> {
        let mut mappings = maps.lines().filter_map(Self::parse);
        mappings.find(|mapping| mapping.first <= address && address < mapping.end)
    }

    /// Whether a symbol of that kind can lie in it.
    const fn allows(&self, kind: ProcessSymbolKind) -> bool {
        match kind {
            ProcessSymbolKind::Function => self.is_executable,
            ProcessSymbolKind::Constant { .. } => !self.is_writable,
            ProcessSymbolKind::Unknown => true,
        }
    }

    /// `7f00c0d00000-7f00c0e00000 r-xp 00028000 fe:00 1234   /usr/lib/libc.so.6`
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (first, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        Some(Self {
            first: u64::from_str_radix(first, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            is_writable: rights.contains('w'),
            is_executable: rights.contains('x'),
            file: fields.nth(3).unwrap_or_default().trim_start(),
        })
    }
}

/// Fills in what the file says of symbols that it exports. Only the tables that are needed are read: programs can be large.
fn ask(file: &str, answers: &mut Answers<'_>) -> Option<()> {
    let data = &ReadCache::new(File::open(file).ok()?);
    let header = Header::parse(data).ok()?;
    let sections = header.sections(ENDIAN, data).ok()?;
    let symbols = sections.symbols(ENDIAN, data, elf::SHT_DYNSYM).ok()?;
    let exported = (0..symbols.len())
        .filter_map(|index| symbols.symbol(SymbolIndex(index)).ok())
        .filter(|symbol| symbol.st_shndx(ENDIAN) != elf::SHN_UNDEF);
    for symbol in exported {
        let kind = match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => ProcessSymbolKind::Function,
            elf::STT_OBJECT => ProcessSymbolKind::Constant {
                size: symbol.st_size(ENDIAN),
            },
            _ => continue,
        };
        let name = symbols.symbol_name(ENDIAN, symbol).ok();
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        if let Some(answer) = name.and_then(|name| answers.get_mut(name)) {
            *answer = kind;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::process_symbol;

    use ProcessSymbolKind::{Constant, Function, Unknown};

    /// What is said of symbols of this process.
    fn kinds_here(names: &[&str]) -> Vec<ProcessSymbolKind> {
        let symbols = names.iter().map(|name| {
            let found = process_symbol(name);
            (*name, found.expect(name))
        });
        kinds_of(&symbols.collect::<Vec<_>>())
    }

    #[test]
    fn functions_of_the_process_are_told_from_its_data_and_constants_from_variables() {
        // Of these, strcmp is chosen by processor and time may be the kernel's: neither is where the table says.
        let functions = ["free", "qsort", "strcmp", "time"];
        assert_eq!(kinds_here(&functions), [Function; 4]);
        // The last one is beside the code in libraries that do not separate the two.
        let data = ["stderr", "environ", "in6addr_any"];
        let kinds = [Unknown, Unknown, Constant { size: 16 }];
        assert_eq!(kinds_here(&data), kinds);
    }

    #[test]
    fn a_name_is_a_function_only_at_an_address_in_the_file_that_exports_it() {
        // Sanitizers have functions of their own in the place of many others, not of this one.
        let function = process_symbol("getppid").unwrap();
        let constant = process_symbol("in6addr_any").unwrap();
        let here = kinds_of as *const () as u64;
        let symbols = [
            ("getppid", Address::new(here)),
            ("getppid", function),
            ("getppid", Address::new(0)),
            ("codeslab has no such symbol", function),
            ("codeslab has no such symbol", constant),
        ];
        let kinds = [Unknown, Function, Unknown, Unknown, Unknown];
        assert_eq!(kinds_of(&symbols), kinds);
        assert_eq!(kinds_of(&[]), []);
    }

    #[test]
    fn lines_of_the_kernels_list_are_read() {
        let maps = "\
            1000-3000 r--p 00000000 fe:00 12   /a b/c.so\n\
            3000-4000 r-xp 00002000 fe:00 12   /a b/c.so\n\
            5000-6000 rw-p 00000000 00:00 0 \n\
            7000-8000 r-xp 00000000 00:00 0    [vdso]\n";
        let (constant, file) = (Constant { size: 1 }, "/a b/c.so");
        let table = [
            (0x2000, Some((file, false, true))),
            (0x3000, Some((file, true, true))),
            (0x3fff, Some((file, true, true))),
            (0x4000, None),
            (0x5000, Some(("", false, false))),
            (0x7000, Some((KERNEL_LIBRARY, true, true))),
        ];
        for (address, expected) in table {
            let found = Mapping::find(maps, address);
            let found = found.map(|one| (one.file, one.allows(Function), one.allows(constant)));
            assert_eq!(found, expected, "{address:#x}");
        }
        assert!(Mapping::find("noise", 0).is_none());
    }
}
