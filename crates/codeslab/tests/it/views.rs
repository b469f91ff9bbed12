//! At which addresses the process could write what was published: at none, by the kernel's own list of mappings and by trying.

use crate::support::memories;
use crate::support::memory;
use codeslab::{Protection, Writer};

/// Part of a memory file that is mapped.
pub(crate) struct Mapped {
    pub(crate) addresses: std::ops::Range<u64>,
    pub(crate) is_writable: bool,
    pub(crate) offset: u64,
    // Other tests have files, too.
    pub(crate) file: String,
}

pub(crate) fn mapped_files() -> Vec<Mapped> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ours = maps.lines().filter(|line| line.contains("memfd:codeslab"));
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (first, end) = fields[0].split_once('-').unwrap();
        Mapped {
            addresses: hex(first)..hex(end),
            is_writable: fields[1].contains('w'),
            offset: hex(fields[2]),
            file: fields[4].to_owned(),
        }
    };
    ours.map(parse).collect()
}

#[test]
fn no_address_exists_at_which_published_constants_can_be_written() {
    let memory = memory(Writer::DualMapping);
    let functions = crate::support::functions(&memory, 2_000, 100);
    let files = mapped_files();
    let mut shows_code = 0;
    for (allocation, ..) in &functions {
        let is_writable = |protection| {
            let at = allocation.segment_address(protection).unwrap().value();
            let mut mapped = files.iter();
            let found = mapped.find(|one| one.addresses.contains(&at));
            let found = found.expect("it is part of a memory file");
            let byte = found.offset + at - found.addresses.start;
            let views = files
                .iter()
                .filter(|one| one.is_writable && one.file == found.file);
            let mut shown = views.map(|view| {
                let size = view.addresses.end - view.addresses.start;
                view.offset..view.offset + size
            });
            shown.any(|shown| shown.contains(&byte))
        };
        assert!(!is_writable(Protection::ReadOnly));
        shows_code += u32::from(is_writable(Protection::ReadExecute));
    }
    assert!(shows_code > 0, "there was a view to look at");
    crate::support::call_all(&functions, Writer::DualMapping);
}

#[test]
fn no_call_by_address_makes_code_in_a_memory_file_writable_or_writes_to_it() {
    use std::os::unix::fs::FileExt;
    let files = [Writer::DualMapping, Writer::FileWrite];
    for (writer, memory) in memories() {
        if !files.contains(&writer) {
            continue;
        }
        let functions = crate::support::functions(&memory, 1, 16);
        let (allocation, code, _) = &functions[0];
        let constants = allocation.segment_address(Protection::ReadOnly).unwrap();
        let itself = std::fs::File::options().write(true).open("/proc/self/mem");
        let itself = itself.unwrap();
        for at in [*code, constants] {
            let page = (at.value() & !4095) as *mut libc::c_void;
            for rights in [
                libc::PROT_WRITE,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            ] {
                assert_eq!(
                    unsafe { libc::mprotect(page, 4096, rights) },
                    -1,
                    "{writer}"
                );
            }
            assert!(itself.write_at(&[0x90], at.value()).is_err(), "{writer}");
        }
        crate::support::call_all(&functions, writer);
    }
}
