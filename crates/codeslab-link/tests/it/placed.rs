//! What a link keeps for debuggers: objects with the addresses that their sections got.

use crate::support::{Workshop, file, memory};
use codeslab::{Architecture, Protection};
use codeslab_link::{
    Binding, Content, Definition, Graph, GraphSection, Input, LinkOptions, Linked, PlacedObject,
    Symbol, SymbolKind, link,
};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};

const SOURCE: &str = "
static int twice(int n) { return n * 2; }
int (*volatile pointer)(int) = twice;
int start(int n) { return pointer(n) + 1; }";

fn keep(inputs: &[Input<'_>]) -> Linked {
    let options = LinkOptions {
        keep_objects: true,
        ..LinkOptions::default()
    };
    link(&memory(), inputs, &options).expect("it links")
}

fn address(linked: &Linked, name: &str) -> u64 {
    linked.address(name).expect(name).value()
}

#[test]
fn a_kept_object_says_where_its_functions_are_local_ones_as_well() {
    let bytes = Workshop::new().compile("program", SOURCE, &["-O1", "-g", "-ffunction-sections"]);
    let mut image = keep(&[file("program.o", &bytes)]);
    let objects = image.take_objects();
    let [PlacedObject::File(placed)] = objects.as_slice() else {
        panic!("one file: {objects:?}");
    };
    let placed = object::File::parse(&**placed).expect("it is an object still");
    let found = |name: &str| {
        let symbol = placed.symbols().find(|symbol| symbol.name() == Ok(name));
        let symbol = symbol.expect(name);
        let section = symbol.section_index().expect("it is defined");
        let section = placed.section_by_index(section).expect("it exists");
        section.address() + symbol.address()
    };
    assert_eq!(found("start"), address(&image, "start"));
    assert_eq!(found("pointer"), address(&image, "pointer"));
    let pointer = crate::support::peek_u64(address(&image, "pointer"));
    assert_eq!(found("twice"), pointer);
    assert!(image.take_objects().is_empty(), "they were taken");
}

#[test]
fn sections_that_are_left_out_do_not_seem_to_lie_at_zero() {
    let workshop = Workshop::new();
    let source = |name: &str| {
        format!(
            ".section .text.shared,\"axG\",@progbits,shared,comdat\n.weak shared\nshared: ret\n.text\n.globl {name}\n{name}: ret\n"
        )
    };
    let (first, second) = (source("first"), source("second"));
    let (first, second) = (
        workshop.assemble("a", &first),
        workshop.assemble("b", &second),
    );
    let mut image = keep(&[file("a.o", &first), file("b.o", &second)]);
    let lies = |object: &PlacedObject| {
        let PlacedObject::File(bytes) = object else {
            panic!("a file");
        };
        let object = object::File::parse(&**bytes).expect("an object");
        let section = object.section_by_name(".text.shared").expect("it is there");
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            panic!("ELF");
        };
        let is_loaded = sh_flags.contains(object::elf::SHF_ALLOC);
        (section.address() != 0, is_loaded)
    };
    let objects = image.take_objects();
    let lie: Vec<_> = objects.iter().map(lies).collect();
    assert_eq!(lie, [(true, true), (false, false)]);
}

#[test]
fn addresses_that_an_object_brings_along_are_not_kept() {
    let mut bytes = Workshop::new().compile("program", SOURCE, &["-O1", "-g"]);
    let word = |bytes: &[u8], at: usize| {
        let word = bytes[at..at + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(word) as usize
    };
    // e_shoff, e_shnum; sh_addr of each section.
    let (table, count) = (word(&bytes, 0x28), usize::from(bytes[0x3c]));
    for section in 0..count {
        let at = table + section * 64 + 0x10;
        bytes[at..at + 8].copy_from_slice(&0x6666_u64.to_le_bytes());
    }
    let mut image = keep(&[file("program.o", &bytes)]);
    let objects = image.take_objects();
    let [PlacedObject::File(placed)] = objects.as_slice() else {
        panic!("one file: {objects:?}");
    };
    let placed = object::File::parse(&**placed).expect("it is an object still");
    let addresses: Vec<_> = placed.sections().map(|section| section.address()).collect();
    assert!(addresses.contains(&0), "some are not loaded");
    assert!(!addresses.contains(&0x6666), "{addresses:x?}");
}

#[test]
fn a_function_of_a_graph_ends_where_its_section_does() {
    let mut graph = Graph::new("graph", Architecture::X86_64);
    let code = Content::Bytes(vec![0xc3; 12].into());
    let text = GraphSection::new("text", Protection::ReadExecute, 16, code);
    let section = graph.add_section(text).expect("a section");
    for (name, offset, size) in [("whole", 0, u64::MAX), ("end", 12, 7), ("last", 8, 1 << 40)] {
        let definition = Definition::Section { section, offset };
        let symbol = Symbol::new(name, definition).with_kind(SymbolKind::Function, size);
        graph.add_symbol(symbol).expect("a symbol");
    }
    let objects = keep(&[Input::Graph(&graph)]).take_objects();
    let [PlacedObject::Functions(functions)] = objects.as_slice() else {
        panic!("functions: {objects:?}");
    };
    let found: Vec<_> = functions
        .iter()
        .map(|function| (function.name.as_str(), function.size))
        .collect();
    assert_eq!(found, [("whole", 12), ("last", 4)]);
}

#[test]
fn a_graph_has_functions_up_to_the_next_symbol() {
    let mut graph = Graph::new("graph", Architecture::X86_64);
    let code = Content::Bytes(vec![0xc3; 12].into());
    let text = GraphSection::new("text", Protection::ReadExecute, 16, code);
    let section = graph.add_section(text).expect("a section");
    let at = |offset| Definition::Section { section, offset };
    let last = Symbol::new("last", at(8));
    graph.add_symbol(last).expect("a symbol");
    let local = Symbol::new("local", at(4)).with_binding(Binding::Local);
    graph.add_symbol(local).expect("a symbol");
    let sized = Symbol::new("sized", at(0)).with_kind(SymbolKind::Function, 3);
    graph.add_symbol(sized).expect("a symbol");
    let mut image = keep(&[Input::Graph(&graph)]);
    let start = address(&image, "sized");
    let objects = image.take_objects();
    let [PlacedObject::Functions(functions)] = objects.as_slice() else {
        panic!("functions: {objects:?}");
    };
    let found: Vec<_> = functions
        .iter()
        .map(|function| {
            (
                function.name.as_str(),
                function.address.value() - start,
                function.size,
            )
        })
        .collect();
    assert_eq!(found, [("sized", 0, 3), ("local", 4, 4), ("last", 8, 4)]);
}
