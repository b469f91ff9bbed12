//! Graphs and objects for the fake machine, resolved, planned, written to memory of the test's own, and executed.
//!
//! It is a machine that shares nothing with the one that these tests run on, so what passes here rests on the contract in
//! `arch::machine` and on rows alone.

mod memory;
mod processor;

use crate::apply::{self, Addresses};
use crate::arch::fake::elf::MACHINE;
use crate::arch::fake::{CALL, Fake, JUMP, LOAD, LOW, PAGE, SKIP, instruction};
use crate::budget::Budget;
use crate::destination::Destination as _;
use crate::error::Error;
use crate::graph::{
    Content, Definition, Graph, GraphSection, Relocation, RelocationKind, SectionIndex, Symbol,
    SymbolIndex,
};
use crate::input::{self, Input, LinkOptions};
use crate::plan::{self, Plan};
use crate::resolve::resolve;
use codeslab::Protection::{self, ReadExecute, ReadOnly, ReadWrite};
use codeslab::{Address, Architecture, Window};
use memory::Scattered;
use processor::Processor;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Where code, constants and data begin, unless a test says otherwise: data is farther from code than a branch spans, but not
/// farther than `page` does.
const CODE: u64 = 0x10_0000_0000;
const STARTS: [u64; 3] = [CODE, CODE + 3 * GIB, CODE + 2 * GIB];

/// A graph with a section of code.
struct Program<'a> {
    graph: Graph<'a>,
    text: SectionIndex,
}

impl Program<'_> {
    fn new(code: &[u32]) -> Self {
        let mut graph = Graph::new("program", Architecture::Riscv64);
        let bytes: Vec<u8> = code.iter().flat_map(|code| code.to_le_bytes()).collect();
        let section = GraphSection::new("text", ReadExecute, 4, Content::Bytes(bytes.into()));
        let text = graph.add_section(section).expect("a section");
        Self { graph, text }
    }

    fn undefined(&mut self, name: &'static str) -> SymbolIndex {
        self.graph.add_symbol(Symbol::undefined(name)).expect(name)
    }

    fn define(&mut self, name: &'static str, section: SectionIndex, offset: u64) -> SymbolIndex {
        let symbol = Symbol::new(name, Definition::Section { section, offset });
        self.graph.add_symbol(symbol).expect(name)
    }

    fn add(
        &mut self,
        name: &'static str,
        protection: Protection,
        content: Content<'static>,
    ) -> SectionIndex {
        let section = GraphSection::new(name, protection, 8, content);
        self.graph.add_section(section).expect(name)
    }

    /// Has a relocation of this type at an instruction of the code.
    fn relocate(&mut self, index: u64, kind: &str, symbol: SymbolIndex) {
        let kind = RelocationKind::from_name(kind).expect(kind);
        let relocation = Relocation {
            offset: index * 4,
            kind,
            symbol,
            addend: 0,
        };
        self.graph
            .add_relocation(self.text, relocation)
            .expect("a relocation");
    }

    /// Links it to memory that begins at these addresses.
    fn link(
        &self,
        externals: &[(&str, u64)],
        starts: [u64; 3],
    ) -> Result<(Plan, Scattered), Error> {
        let named = externals.iter();
        let options = LinkOptions {
            externals: named
                .map(|(name, value)| ((*name).to_owned(), Address::new(*value)))
                .collect(),
            process_symbols: false,
            ..LinkOptions::default()
        };
        let inputs = [Input::Graph(&self.graph)];
        let budget = Budget::of(input::size(&inputs, &options));
        let resolution = resolve(&Fake, &inputs, &options, &budget)?;
        let plan = plan::plan(&resolution)?;
        let mut memory = Scattered::new(&plan.layout, starts);
        let addresses = Addresses::of(&resolution, &plan, &memory);
        apply::write(&resolution, &plan, &addresses, &mut memory)?;
        Ok((plan, memory))
    }
}

fn calls(symbol: &'static str) -> Program<'static> {
    let mut program = Program::new(&[CALL]);
    let symbol = program.undefined(symbol);
    program.relocate(0, "R_FAKE_CALL", symbol);
    program
}

#[test]
fn a_call_goes_through_a_stub_only_beyond_the_reach_of_branches() {
    // The last distance that a branch spans, and the next, both ways.
    let (back, forth) = (128 * MIB, 128 * MIB - 4);
    let table = [
        (CODE + forth, false),
        (CODE + forth + 4, true),
        (CODE - back, false),
        (CODE - back - 4, true),
        (CODE + 64 * GIB, true),
        (0, true),
    ];
    for (there, through_stub) in table {
        let (plan, memory) = calls("there")
            .link(&[("there", there)], STARTS)
            .expect("it links");
        assert_eq!(plan.window, Window::ANYWHERE, "a stub leads anywhere");
        let mut processor = Processor::new(&memory, CODE);
        processor.step(u32::from_le_bytes(memory.read(CODE).expect("code")));
        let is_in_image = memory.read::<4>(processor.at).is_some();
        assert_eq!(is_in_image, through_stub, "{there:#x}");
        assert_eq!(processor.run(), there);
    }
}

#[test]
fn a_stub_beyond_the_reach_of_data_from_its_entry_is_an_error() {
    let there = [("there", 0)];
    for (constants, is_near) in [
        (CODE + 4 * GIB - 4096, true),
        (CODE + 4 * GIB, false),
        (CODE - 4 * GIB, true),
        (CODE - 4 * GIB - 4096, false),
    ] {
        match calls("there").link(&there, [CODE, constants, 0]) {
            Ok((_, memory)) => {
                assert!(is_near, "{constants:#x}");
                assert_eq!(Processor::new(&memory, CODE).run(), 0);
            }
            Err(error) => {
                assert!(!is_near && error.code() == "OUT_OF_REACH", "{error}");
                assert!(error.to_string().starts_with("stubs("), "{error}");
            }
        }
    }
}

#[test]
fn data_is_reached_by_its_page_and_the_rest_of_its_address() {
    let register = 7;
    let code = [PAGE, LOW, PAGE, LOAD, JUMP].map(|operation| instruction(operation, register));
    let mut program = Program::new(&code);
    let value = 0x1234_5678_9abc_u64.to_le_bytes();
    let bytes = [vec![0; 0x1678], value.to_vec()].concat();
    let data = program.add("data", ReadWrite, Content::Bytes(bytes.into()));
    let symbol = program.define("value", data, 0x1678);
    for (index, kind) in ["R_FAKE_PAGE", "R_FAKE_LOW", "R_FAKE_PAGE", "R_FAKE_LOAD"]
        .iter()
        .enumerate()
    {
        program.relocate(index as u64, kind, symbol);
    }
    for data in [
        CODE + 2 * GIB,
        CODE - 4 * GIB,
        CODE + 4 * GIB - 0x3000,
        CODE + 0xf000,
    ] {
        let (plan, memory) = program.link(&[], [CODE, 0, data]).expect("it links");
        assert_eq!(plan.window, Window::ANYWHERE, "nothing is fixed elsewhere");
        let mut processor = Processor::new(&memory, CODE);
        for _ in 0..2 {
            let code = memory.read(processor.at).expect("code");
            processor.step(u32::from_le_bytes(code));
        }
        assert_eq!(processor.registers[register as usize], data + 0x1678);
        assert_eq!(processor.run(), 0x1234_5678_9abc);
    }
}

#[test]
fn an_entry_of_the_machines_own_shape_says_where_a_symbol_is() {
    let code = [PAGE, LOAD, JUMP].map(|operation| instruction(operation, 3));
    let mut program = Program::new(&code);
    let symbols = [program.undefined("first"), program.undefined("second")];
    program.relocate(0, "R_FAKE_ENTRY_PAGE", symbols[1]);
    program.relocate(1, "R_FAKE_ENTRY_LOAD", symbols[1]);
    let first = program.add("first", ReadOnly, Content::Bytes(vec![0; 8].into()));
    assert_eq!(first, SectionIndex(1));
    let there = [("first", 1), ("second", 0x7777_0000_1110)];
    let (plan, memory) = program.link(&there, STARTS).expect("it links");
    assert_eq!(plan.layout.section(plan.got.expect("a GOT")).size, 16);
    assert_eq!(Processor::new(&memory, CODE).run(), 0x7777_0000_1110);
    let entry = memory.address(plan.got.expect("a GOT")).value();
    let complement = memory.read(entry + 8).expect("an entry");
    assert_eq!(u64::from_le_bytes(complement), !0x7777_0000_1110);
}

/// The window of a program with a reference of each of these types to one symbol at `there`.
fn window(kinds: &[&str], there: u64) -> Result<Window, Error> {
    let mut program = Program::new(&vec![SKIP; kinds.len() + 1]);
    let symbol = program.undefined("there");
    for (index, kind) in kinds.iter().enumerate() {
        program.relocate(index as u64, kind, symbol);
    }
    let inputs = [Input::Graph(&program.graph)];
    let mut options = LinkOptions::default();
    options
        .externals
        .insert("there".to_owned(), Address::new(there));
    let budget = Budget::of(input::size(&inputs, &options));
    plan::plan(&resolve(&Fake, &inputs, &options, &budget)?).map(|plan| plan.window)
}

#[test]
fn each_direct_reference_binds_the_image_by_its_own_reach() {
    const THERE: u64 = 0x5555_0000_0000;
    let between = |first: u64, last: u64| Window::new(Address::new(first), Address::new(last));
    let branch = between(THERE - (MIB - 1), THERE + MIB);
    assert_eq!(window(&["R_FAKE_SKIP"], THERE).ok(), branch);
    // Where in their pages the two lie is not known yet.
    let slack = 4095;
    let data = between(THERE - (4 * GIB - 1) + slack, THERE + 4 * GIB - slack);
    assert_eq!(window(&["R_FAKE_PAGE"], THERE).ok(), data);
    let both = ["R_FAKE_PAGE", "R_FAKE_SKIP", "R_FAKE_CALL"];
    assert_eq!(window(&both, THERE).ok(), branch);
    let others = [
        "R_FAKE_CALL",
        "R_FAKE_LOW",
        "R_FAKE_ENTRY_PAGE",
        "R_FAKE_64",
    ];
    assert_eq!(window(&others, THERE).ok(), Some(Window::ANYWHERE));
}

#[test]
fn an_address_in_few_bits_keeps_the_image_low_and_a_distance_to_far_data_contradicts_it() {
    let mut program = Program::new(&[PAGE]);
    let there = program.undefined("there");
    program.relocate(0, "R_FAKE_PAGE", there);
    let data = program.add("data", ReadOnly, Content::Bytes(vec![0; 8].into()));
    let own = program.define("own", program.text, 0);
    let kind = RelocationKind::from_name("R_FAKE_32").expect("a type");
    let relocation = Relocation {
        offset: 4,
        kind,
        symbol: own,
        addend: 0,
    };
    program
        .graph
        .add_relocation(data, relocation)
        .expect("a relocation");
    let low = [0x1_0000, 0x2_0000, 0];
    let (plan, memory) = program.link(&[("there", GIB)], low).expect("it links");
    assert_eq!(plan.window.last(), Address::new(0xffff_ffff));
    assert_eq!(memory.read(0x2_0004), Some([0, 0, 1, 0]));
    let error = program
        .link(&[("there", 64 * GIB)], low)
        .err()
        .expect("no place reaches both");
    assert_eq!(error.code(), "CONFLICTING_SYMBOLS");
}

#[test]
fn a_value_that_a_field_cannot_hold_is_an_error_with_its_numbers() {
    // Two mebibytes lie between the branch and its target.
    let mut program = Program::new(&[SKIP]);
    let bytes = Content::Bytes(vec![0; 2 << 20].into());
    let gap = program.add("gap", ReadExecute, bytes);
    let end = program.define("end", gap, 2 * MIB);
    program.relocate(0, "R_FAKE_SKIP", end);
    match program.link(&[], STARTS).err().expect("too far") {
        Error::OutOfReach {
            reference,
            distance,
            limit,
            ..
        } => {
            assert_eq!(reference.relocation, "R_FAKE_SKIP");
            assert_eq!(
                (distance, limit),
                ((8 + 2 * MIB).into(), i128::from(MIB) - 1)
            );
        }
        error => panic!("{error}"),
    }
    // A branch leads to instructions, and an instruction has an address that is a multiple of four.
    let mut program = Program::new(&[SKIP, SKIP]);
    let odd = program.define("odd", program.text, 6);
    program.relocate(0, "R_FAKE_SKIP", odd);
    let error = program
        .link(&[], STARTS)
        .err()
        .expect("not an instruction's");
    assert_eq!(error.code(), "OVERFLOW");
    let text = format!(
        "program(text+0x0): R_FAKE_SKIP odd: value 0x6 is no multiple of 4; symbol at {:#x}",
        CODE + 6
    );
    assert_eq!(error.to_string(), text);
    assert!(matches!(
        error,
        Error::Misaligned {
            value: 6,
            align: 4,
            ..
        }
    ));
}

#[test]
fn a_relocation_changes_its_field_and_not_the_rest_of_the_instruction() {
    let noise = instruction(SKIP, 21);
    let mut program = Program::new(&[noise, noise]);
    let target = program.define("target", program.text, 4);
    program.relocate(0, "R_FAKE_SKIP", target);
    let (_, memory) = program.link(&[], STARTS).expect("it links");
    let written = u32::from_le_bytes(memory.read(CODE).expect("code"));
    assert_eq!(written, noise | 1 << 28);
}

/// An ELF object with one section of code, one undefined symbol, and relocations by number.
fn elf_object(machine: u16, code: &[u32], relocations: &[(u64, u32)]) -> Vec<u8> {
    const HEADER: usize = 64;
    const NAMES: &[u8] = b"\0.text\0.rela.text\0.symtab\0.strtab\0there\0";
    let text: Vec<u8> = code.iter().flat_map(|code| code.to_le_bytes()).collect();
    let entry = |(offset, kind): &(u64, u32)| [*offset, 1 << 32 | u64::from(*kind), 0];
    let rela: Vec<u8> = relocations
        .iter()
        .flat_map(entry)
        .flat_map(u64::to_le_bytes)
        .collect();
    let mut symbols = vec![0; 48];
    // `there`, global and undefined.
    symbols[24..30].copy_from_slice(&[34, 0, 0, 0, 0x10, 0]);
    let bodies: [&[u8]; 4] = [&text, &rela, &symbols, NAMES];
    // Name, type, flags, link, info, size of an entry.
    let headers = [
        [1_u64, 1, 6, 0, 0, 0],
        [7, 4, 0, 3, 1, 24],
        [18, 2, 0, 4, 1, 24],
        [26, 3, 0, 0, 0, 0],
    ];
    let table = HEADER + bodies.map(<[u8]>::len).iter().sum::<usize>();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([1_u16.to_le_bytes(), machine.to_le_bytes()].concat());
    file.extend([1, 0, 0, 0]);
    file.extend([0, 0, table as u64].map(u64::to_le_bytes).concat());
    file.extend([0; 4]);
    file.extend([64_u16, 0, 0, 64, 5, 4].map(u16::to_le_bytes).concat());
    let mut offset = HEADER as u64;
    file.extend(bodies.concat());
    file.extend([0; 64]);
    for (body, [name, kind, flags, link, info, entry]) in bodies.iter().zip(headers) {
        let size = body.len() as u64;
        file.extend(
            [name | kind << 32, flags, 0, offset, size]
                .map(u64::to_le_bytes)
                .concat(),
        );
        file.extend([link | info << 32, 4, entry].map(u64::to_le_bytes).concat());
        offset += size;
    }
    file
}

#[test]
fn an_object_of_a_new_machine_is_parsed_and_linked_without_a_change_to_its_format() {
    let code = [PAGE, LOAD, JUMP].map(|operation| instruction(operation, 9));
    let bytes = elf_object(MACHINE, &code, &[(0, 305), (4, 306)]);
    let name = "object.o";
    let budget = Budget::of(bytes.len() as u64);
    let graph = crate::format::object(name.into(), &bytes, &budget).expect("an object");
    assert_eq!(graph.architecture(), Architecture::Riscv64);
    let kinds = graph.sections()[0].relocations().iter();
    let kinds: Vec<&str> = kinds.map(|relocation| relocation.kind.name()).collect();
    assert_eq!(kinds, ["R_FAKE_ENTRY_PAGE", "R_FAKE_ENTRY_LOAD"]);
    let program = Program {
        graph: graph.into_owned(),
        text: SectionIndex(0),
    };
    let there = 0x4444_4444_4444;
    let (_, memory) = program.link(&[("there", there)], STARTS).expect("it links");
    assert_eq!(Processor::new(&memory, CODE).run(), there);
    // In a process of another machine it is refused, and so is one that is linked for nowhere.
    let memory = codeslab::CodeMemory::new(codeslab::Options::default()).expect("code memory");
    for (machine, found) in [(MACHINE, "riscv64"), (0xbeef, "ELF machine 48879")] {
        let bytes = elf_object(machine, &code, &[]);
        let input = Input::File {
            name,
            bytes: &bytes,
        };
        match crate::link(&memory, &[input], &LinkOptions::default()) {
            Err(Error::WrongArchitecture { found: other, .. }) => assert_eq!(other, found),
            other => panic!("{other:?}"),
        }
    }
}
