//! Which symbols of the process are functions.
//!
//! `dlsym` gives an address and says nothing of what lies there, and an object that refers to a symbol of a library does not know
//! either. The file in which the symbol is defined knows: its dynamic symbol table has a type for each. The mapping in which the
//! address lies names that file, and has to be executable: a program that was linked with a copy of a library's variable has that copy
//! in a mapping of its own.
//!
//! Files are read with the `object` crate and not through the loader's own structures, so nothing here is unsafe. Answering takes a
//! few milliseconds; the linker asks only where a link depends on it. Every doubt is answered with no.
//!
//! Source: `proc_pid_maps(5)`; System V ABI, "Symbol Table".

use super::address_map::range;
use crate::model::address::{Address, Window};
use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{FileHeader, Sym};
use object::{NativeEndian, SymbolIndex};
use std::collections::{HashMap, HashSet};
use std::fs::File;

const ENDIAN: NativeEndian = NativeEndian;

type Header = FileHeader64<NativeEndian>;

/// The kernel's own library has no file. What it exports is functions only, to which those of the C library resolve.
const KERNEL_LIBRARY: &str = "[vdso]";

/// Whether each of `symbols`, by name and address, is a function.
pub(super) fn are_functions(symbols: &[(&str, Address)]) -> Vec<bool> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let file_of = |(_, at): &(&str, Address)| executable_file(&maps, *at);
    let files: Vec<Option<&str>> = symbols.iter().map(file_of).collect();
    let mut asked: HashMap<&str, HashSet<&str>> = HashMap::new();
    for ((name, _), file) in symbols.iter().zip(&files) {
        if let Some(file) = file {
            asked.entry(file).or_default().insert(name);
        }
    }
    let answers = asked.into_iter().map(|(file, names)| {
        let functions = match file {
            KERNEL_LIBRARY => names,
            _ => functions_of(file, &names).unwrap_or_default(),
        };
        (file, functions)
    });
    let answers: HashMap<&str, HashSet<&str>> = answers.collect();
    let answer = |((name, _), file): (&(&str, Address), Option<&str>)| {
        file.is_some_and(|file| answers[file].contains(name))
    };
    symbols.iter().zip(files).map(answer).collect()
}

/// The file that is mapped executable at `address`; an empty name for memory without a file. A line of the kernel's list:
/// `7f00c0d00000-7f00c0e00000 r-xp 00028000 fe:00 1234   /usr/lib/libc.so.6`
fn executable_file(maps: &str, address: Address) -> Option<&str> {
    let is_there = |range: Window| range.first() <= address && address <= range.last();
    let line = maps.lines().find(|line| range(line).is_some_and(is_there));
    let mut fields = line?.splitn(6, ' ').skip(1);
    let is_executable = fields.next()?.contains('x');
    let file = fields.nth(3).unwrap_or_default().trim_start();
    is_executable.then_some(file)
}

/// Those of `names` that the file exports as functions. Only the tables that are needed are read: programs can be large.
fn functions_of<'n>(file: &str, names: &HashSet<&'n str>) -> Option<HashSet<&'n str>> {
    let data = &ReadCache::new(File::open(file).ok()?);
    let header = Header::parse(data).ok()?;
    let sections = header.sections(ENDIAN, data).ok()?;
    let symbols = sections.symbols(ENDIAN, data, elf::SHT_DYNSYM).ok()?;
    let is_function = |symbol: &&<Header as FileHeader>::Sym| {
        matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC)
            && symbol.st_shndx(ENDIAN) != elf::SHN_UNDEF
    };
    let exported = (0..symbols.len())
        .filter_map(|index| symbols.symbol(SymbolIndex(index)).ok())
        .filter(is_function)
        .filter_map(|symbol| symbols.symbol_name(ENDIAN, symbol).ok())
        .filter_map(|name| std::str::from_utf8(name).ok());
    Some(
        exported
            .filter_map(|name| names.get(name).copied())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dynamic_linker;
    use std::ffi::CString;

    /// What is said of symbols of this process.
    fn are_functions_here(names: &[&str]) -> Vec<bool> {
        let symbols = names.iter().map(|name| {
            let found = dynamic_linker::symbol(&CString::new(*name).unwrap());
            (*name, found.expect(name))
        });
        are_functions(&symbols.collect::<Vec<_>>())
    }

    #[test]
    fn functions_of_the_process_are_told_from_its_data() {
        // Of these, strcmp is chosen by processor and time may be the kernel's: neither is where the table says.
        let functions = ["free", "qsort", "strcmp", "time"];
        assert_eq!(are_functions_here(&functions), [true; 4]);
        // The last one is a constant, beside the code in libraries that do not separate the two.
        let data = ["stderr", "environ", "in6addr_any"];
        assert_eq!(are_functions_here(&data), [false; 3]);
    }

    #[test]
    fn a_name_is_a_function_only_at_an_address_in_the_file_that_exports_it() {
        // Sanitizers have functions of their own in the place of many others, not of this one.
        let function = dynamic_linker::symbol(c"getppid").unwrap();
        let here = functions_of_the_process_are_told_from_its_data as *const () as u64;
        let symbols = [
            ("getppid", Address::new(here)),
            ("getppid", function),
            ("getppid", Address::new(0)),
            ("codeslab has no such symbol", function),
        ];
        assert_eq!(are_functions(&symbols), [false, true, false, false]);
        assert_eq!(are_functions(&[]), []);
    }

    #[test]
    fn lines_of_the_kernels_list_are_read() {
        let maps = "\
            1000-3000 r--p 00000000 fe:00 12   /a b/c.so\n\
            3000-4000 r-xp 00002000 fe:00 12   /a b/c.so\n\
            5000-6000 r-xp 00000000 00:00 0 \n\
            7000-8000 r-xp 00000000 00:00 0    [vdso]\n";
        let table = [
            (0x2000, None),
            (0x3000, Some("/a b/c.so")),
            (0x3fff, Some("/a b/c.so")),
            (0x4000, None),
            (0x5000, Some("")),
            (0x7000, Some(KERNEL_LIBRARY)),
        ];
        for (address, file) in table {
            assert_eq!(
                executable_file(maps, Address::new(address)),
                file,
                "{address:#x}"
            );
        }
        assert_eq!(executable_file("noise", Address::new(0)), None);
    }
}
