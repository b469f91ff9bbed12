//! Mach-O objects for both machines of Apple's, relocated at chosen addresses: what another linker makes of the same object at the same
//! addresses is the same, byte for byte.
//!
//! The other linker is LLVM's (`ld64.lld`). It rewrites code that goes through the GOT to do without wherever it can, on 64-bit Arm too;
//! here the entry stays on that machine, so entries are looked into instead.

mod memory;

use crate::apply::{self, Addresses};
use crate::arch::machine;
use crate::budget::Budget;
use crate::error::Error;
use crate::input::{self, Input, LinkOptions};
use crate::plan;
use crate::resolve::resolve;
use codeslab::{Address, Architecture, SectionId};
use codeslab_testing::{apple_object, llvm_program};
use memory::Placed;
use object::read::{Object as _, ObjectSection as _};
use std::collections::HashMap;
use std::process::Command;

/// A machine, what Apple calls it, and a program for it.
type Case = (Architecture, &'static str, &'static str);

const X86_64: Case = (Architecture::X86_64, "x86_64", include_str!("x86_64.s"));
const ARM64: Case = (Architecture::Aarch64, "arm64", include_str!("arm64.s"));

/// An object that was linked: its memory, and its sections by name.
struct Linked {
    memory: Placed,
    sections: Vec<(String, SectionId)>,
}

impl Linked {
    fn new(
        architecture: Architecture,
        object: &[u8],
        externals: &[(&str, u64)],
        place_of: impl Fn(&str) -> Option<u64>,
    ) -> Result<Self, Error> {
        let named = externals.iter();
        let options = LinkOptions {
            externals: named
                .map(|(name, value)| ((*name).to_owned(), Address::new(*value)))
                .collect(),
            process_symbols: false,
            ..LinkOptions::default()
        };
        let inputs = [Input::File {
            name: "object.o",
            bytes: object,
        }];
        let budget = Budget::of(input::size(&inputs, &options));
        let machine = machine(architecture).expect("it is linked for");
        let resolution = resolve(machine, &inputs, &options, &budget)?;
        let plan = plan::plan(&resolution)?;
        let mut memory = Placed::new(&plan.layout);
        let mut sections = Vec::new();
        for (_, section, number) in resolution.live_sections() {
            let id = plan.sections[number as usize].expect("it is loaded");
            if let Some(address) = place_of(section.name()) {
                memory.place(id, address);
            }
            sections.push((section.name().to_owned(), id));
        }
        let addresses = Addresses::of(&resolution, &plan, &memory);
        apply::write(&resolution, &plan, &addresses, &mut memory)?;
        Ok(Self { memory, sections })
    }

    fn section(&self, name: &str) -> (u64, &[u8]) {
        let found = self.sections.iter().find(|(known, _)| known == name);
        self.memory.content(found.expect(name).1)
    }
}

/// What LLVM's linker makes of an object: sections by their names in it, with addresses. `None` counts as skipped.
fn by_llvm(test: &str, apple: &str, object: &[u8]) -> Option<HashMap<String, (u64, Vec<u8>)>> {
    let linker = llvm_program(test, "ld64.lld", "lld")?;
    let name = format!("codeslab-lld-{}-{test}-{apple}", std::process::id());
    let path = |end: &str| std::env::temp_dir().join(format!("{name}{end}"));
    let (input, output) = (path(".o"), path(".out"));
    std::fs::write(&input, object).expect("the temporary directory is writable");
    let done = Command::new(linker)
        .args(["-arch", apple, "-platform_version", "macos", "11.0", "11.0"])
        .args(["-e", "_start", "-o"])
        .args([&output, &input])
        .output()
        .expect("it starts");
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{complaints}");
    let bytes = std::fs::read(&output).expect("it was written");
    for path in [input, output] {
        let _ = std::fs::remove_file(path);
    }
    let file = object::read::macho::MachOFile64::<object::LittleEndian>::parse(&*bytes);
    let file = file.expect("it is a file of its format");
    let sections = file.sections().map(|section| {
        // Constants with addresses in them have a segment of their own in what is linked.
        let segment = section.segment_name().ok().flatten().unwrap_or_default();
        let segment = segment.replace("__DATA_CONST", "__DATA");
        let name = format!("{segment},{}", section.name().unwrap_or_default());
        let data = section.data().expect("it has bytes").to_vec();
        (name, (section.address(), data))
    });
    Some(sections.collect())
}

#[test]
fn sections_are_what_another_linker_makes_of_them() {
    let test = "sections_are_what_another_linker_makes_of_them";
    for (architecture, apple, source) in [X86_64, ARM64] {
        let Some(object) = apple_object(test, apple, "s", source, &[]) else {
            return;
        };
        let Some(theirs) = by_llvm(test, apple, &object) else {
            return;
        };
        let ours = Linked::new(architecture, &object, &[], |name| {
            theirs.get(name).map(|(address, _)| *address)
        });
        let ours = ours.unwrap_or_else(|error| panic!("{apple}: {error}"));
        for name in [
            "__TEXT,__text",
            "__TEXT,__const",
            "__DATA,__const",
            "__DATA,__data",
        ] {
            let (address, bytes) = ours.section(name);
            let (expected_address, expected) = &theirs[name];
            assert_eq!(address, *expected_address, "{apple} {name}");
            assert!(!bytes.is_empty(), "{apple} {name}");
            assert_eq!(bytes, expected, "{apple} {name}");
        }
    }
}

/// Where `adrp` and a load of 8 bytes behind it read from.
fn loaded_from(at: u64, code: [u32; 2]) -> u64 {
    let [page, load] = code;
    let pages = (page >> 5 & 0x7_ffff) << 2 | page >> 29 & 3;
    let pages = i64::from((pages << 11).cast_signed() >> 11);
    let offset = u64::from(load >> 10 & 0xfff) * 8;
    (at & !0xfff).wrapping_add_signed(pages << 12) + offset
}

#[test]
fn entries_of_64_bit_arm_lead_to_their_symbols() {
    const NEAR: u64 = 0x1_4321_0000;
    let test = "entries_of_64_bit_arm_lead_to_their_symbols";
    let source = "
        .text
        .globl _load
        _load: adrp x0, _near@GOTPAGE
               ldr x0, [x0, _near@GOTPAGEOFF]
               adrp x1, _far@GOTPAGE
               ldr x1, [x1, _far@GOTPAGEOFF]
               bl _far
               ret
        .data
        .p2align 3
        .globl _near
        _near: .quad 1
        .long _near@GOT - .
    ";
    let Some(object) = apple_object(test, "arm64", "s", source, &[]) else {
        return;
    };
    let far = 0x7fff_1234_5678;
    let linked = Linked::new(Architecture::Aarch64, &object, &[("far", far)], |name| {
        (name == "__DATA,__data").then_some(NEAR)
    });
    let linked = linked.expect("it links");
    let (at, _) = linked.section("__TEXT,__text");
    let word = |at: u64| u32::from_le_bytes(linked.memory.read(at));
    let entry = |at: u64| loaded_from(at, [word(at), word(at + 4)]);
    let value = |at: u64| u64::from_le_bytes(linked.memory.read(at));
    assert_eq!(value(entry(at)), NEAR);
    assert_eq!(value(entry(at + 8)), far);
    let field = NEAR + 8;
    let distance = word(field).cast_signed().into();
    assert_eq!(field.wrapping_add_signed(distance), entry(at));
    // The stub: bti c; adrp x16; ldr x17; br x17
    let branch = (word(at + 16) << 6).cast_signed() >> 4;
    let stub = (at + 16).wrapping_add_signed(branch.into());
    assert_eq!(
        value(loaded_from(stub + 4, [word(stub + 4), word(stub + 8)])),
        far
    );
}

#[test]
fn what_64_bit_arm_cannot_have_is_named() {
    let test = "what_64_bit_arm_cannot_have_is_named";
    let source = ".text\nldr x0, [x0, l_odd@PAGEOFF]\n.data\n.byte 0\nl_odd: .quad 1\n";
    let Some(object) = apple_object(test, "arm64", "s", source, &[]) else {
        return;
    };
    let linked = Linked::new(Architecture::Aarch64, &object, &[], |_| None);
    let error = linked.err().expect("it is refused");
    assert_eq!(error.code(), "OVERFLOW", "{error}");
    let name = "ARM64_RELOC_PAGEOFF12 (8 bytes)";
    assert!(error.to_string().contains(name), "{error}");
}

/// Differences against symbols of the table itself, which compilers for this machine write with relocations.
#[test]
fn unwind_tables_of_64_bit_arm_lead_to_their_functions() {
    const TABLE: u64 = 0x1_5000_0000;
    let test = "unwind_tables_of_64_bit_arm_lead_to_their_functions";
    let source = "
        .text
        nop
        .globl _f
        _f: .cfi_startproc
            .cfi_def_cfa_offset 32
            .cfi_escape 0x2e, 0x10
            ret
            .cfi_endproc
    ";
    let Some(object) = apple_object(test, "arm64", "s", source, &[]) else {
        return;
    };
    let linked = Linked::new(Architecture::Aarch64, &object, &[], |name| {
        (name == "__TEXT,__eh_frame").then_some(TABLE)
    });
    let linked = linked.expect("it links");
    let (code, _) = linked.section("__TEXT,__text");
    let (_, table) = linked.section("__TEXT,__eh_frame");
    let pointers = crate::unwind::pointers(table);
    assert_eq!(pointers.len(), 1, "{table:x?}");
    let pointer = pointers[0];
    let meant = (TABLE + pointer.at as u64).wrapping_add_signed(pointer.value);
    assert_eq!(meant, code + 4);
}
