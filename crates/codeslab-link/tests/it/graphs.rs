//! Graphs built by hand, as an assembler would.

use crate::support::{externals, fact, function, link, link_error, memory, peek_u64};
use codeslab::Architecture;
use codeslab::Protection::{ReadExecute, ReadOnly, ReadWrite};
use codeslab_link::{
    Binding, Content, Definition, Error, Graph, GraphSection, Input, LinkOptions, Relocation,
    RelocationKind, SectionIndex, Symbol, SymbolIndex, SymbolKind,
};

fn bytes(bytes: &[u8]) -> Content<'_> {
    Content::Bytes(bytes.into())
}

fn relocation(offset: u64, kind: &str, symbol: SymbolIndex, addend: i64) -> Relocation {
    Relocation {
        offset,
        kind: RelocationKind::from_name(kind).expect(kind),
        symbol,
        addend,
    }
}

/// A function that adds what lies in `state` to its argument.
fn adder() -> Result<Graph<'static>, Error> {
    let mut graph = Graph::new("adder", Architecture::X86_64);
    // mov %edi, %eax; add state(%rip), %eax; ret
    let code = bytes(&[0x89, 0xf8, 0x03, 0x05, 0, 0, 0, 0, 0xc3]);
    let text = graph.add_section(GraphSection::new("text", ReadExecute, 16, code))?;
    let data = graph.add_section(GraphSection::new(
        "data",
        ReadWrite,
        4,
        bytes(&[5, 0, 0, 0]),
    ))?;
    let at = |section| Definition::Section { section, offset: 0 };
    let entry = Symbol::new("add_state", at(text)).with_kind(SymbolKind::Function, 9);
    graph.add_symbol(entry)?;
    let local = Symbol::new("state", at(data)).with_binding(Binding::Local);
    let state = graph.add_symbol(local)?;
    graph.add_relocation(text, relocation(4, "R_X86_64_PC32", state, -4))?;
    Ok(graph)
}

#[test]
fn a_graph_is_linked_and_called() {
    let graph = adder().expect("a valid graph");
    let memory = memory();
    let image = link(&memory, &[Input::Graph(&graph)], &LinkOptions::default()).expect("it links");
    let add_state = function!(image, "add_state", extern "C" fn(i32) -> i32);
    assert_eq!(add_state(37), 42);
    assert_eq!(image.symbol("add_state").expect("add_state").size, 9);
    assert_eq!(image.address("state"), None, "local");
}

#[test]
fn graphs_are_libraries_too() {
    let library = adder().expect("a valid graph");
    let mut user = Graph::new("user", Architecture::X86_64);
    let data = GraphSection::new("data", ReadOnly, 8, bytes(&[0; 8]));
    let data = user.add_section(data).expect("a section");
    let definition = Definition::Section {
        section: data,
        offset: 0,
    };
    user.add_symbol(Symbol::new("pointer", definition))
        .expect("a symbol");
    let wanted = user
        .add_symbol(Symbol::undefined("add_state"))
        .expect("a symbol");
    user.add_relocation(data, relocation(0, "R_X86_64_64", wanted, 0))
        .expect("a relocation");
    let options = LinkOptions {
        libraries: vec![Input::Graph(&library)],
        ..externals(&[])
    };
    let memory = memory();
    let image = link(&memory, &[Input::Graph(&user)], &options).expect("it links");
    let pointer = image.address("pointer").expect("pointer").value();
    assert_eq!(
        Some(peek_u64(pointer)),
        image.address("add_state").map(codeslab::Address::value)
    );
}

#[test]
fn zero_filled_sections_are_zero_whatever_their_protection() {
    let memory = memory();
    for protection in [ReadOnly, ReadWrite, ReadExecute] {
        let mut graph = Graph::new("zeros", Architecture::X86_64);
        let zeros = GraphSection::new("zeros", protection, 8, Content::Zeros(64));
        let section = graph.add_section(zeros).expect("a section");
        let definition = Definition::Section {
            section,
            offset: 56,
        };
        graph
            .add_symbol(Symbol::new("last", definition))
            .expect("a symbol");
        let image =
            link(&memory, &[Input::Graph(&graph)], &LinkOptions::default()).expect("it links");
        let last = image.address("last").expect("last").value();
        assert!(
            (0..=56).step_by(8).all(|back| peek_u64(last - back) == 0),
            "{protection}"
        );
    }
}

#[test]
fn an_invalid_graph_cannot_be_built() {
    let mut graph = Graph::new("mine", Architecture::X86_64);
    for (align, text) in [(0, "0"), (3, "3"), (1 << 23, "8388608")] {
        let section = GraphSection::new("odd", ReadOnly, align, bytes(&[]));
        let error = graph.add_section(section).expect_err(text);
        assert_eq!(
            (error.code(), fact(&error, "align").as_str()),
            ("INVALID_ALIGNMENT", text)
        );
    }
    let section = GraphSection::new("text", ReadExecute, 1, bytes(&[0; 6]));
    let text = graph.add_section(section).expect("a section");
    let bss = GraphSection::new("bss", ReadWrite, 1, Content::Zeros(6));
    let bss = graph.add_section(bss).expect("a section");
    let within = |section, offset| Symbol::new("s", Definition::Section { section, offset });
    let symbol = graph
        .add_symbol(within(text, 6))
        .expect("the end is allowed");
    let code = |result: Result<_, Error>| result.expect_err("invalid").code();
    assert_eq!(
        code(graph.add_symbol(within(text, 7)).map(drop)),
        "OUT_OF_BOUNDS"
    );
    assert_eq!(
        code(graph.add_symbol(within(SectionIndex(9), 0)).map(drop)),
        "INVALID_INDEX"
    );
    let odd = Definition::Common { size: 1, align: 6 };
    assert_eq!(
        code(graph.add_symbol(Symbol::new("c", odd)).map(drop)),
        "INVALID_ALIGNMENT"
    );
    let lost = Symbol::undefined("lost").with_binding(Binding::Local);
    assert_eq!(code(graph.add_symbol(lost).map(drop)), "MALFORMED");
    let mut relocate = |section, offset, symbol| {
        graph.add_relocation(section, relocation(offset, "R_X86_64_PC32", symbol, 0))
    };
    assert_eq!(relocate(text, 2, symbol), Ok(()));
    for offset in [3, 6, 7, u64::MAX] {
        let error = relocate(text, offset, symbol).expect_err("it does not fit");
        assert_eq!(
            (error.code(), fact(&error, "length").as_str()),
            ("OUT_OF_BOUNDS", "4")
        );
    }
    assert_eq!(code(relocate(bss, 0, symbol)), "OUT_OF_BOUNDS");
    assert_eq!(code(relocate(SectionIndex(2), 0, symbol)), "INVALID_INDEX");
    assert_eq!(code(relocate(text, 0, SymbolIndex(1))), "INVALID_INDEX");
    assert_eq!(
        code(graph.add_group("g", &[SectionIndex(5)])),
        "INVALID_INDEX"
    );
    assert_eq!(graph.add_group("g", &[text]), Ok(()));
    assert_eq!(code(graph.add_group("h", &[text])), "MALFORMED");
    assert_eq!(graph.sections()[0].relocations().len(), 1);
}

#[test]
fn relocation_types_are_found_by_the_names_of_the_psabi() {
    for kind in RelocationKind::all() {
        assert_eq!(RelocationKind::from_name(kind.name()), Some(kind));
    }
    let kind = RelocationKind::from_name("R_X86_64_PC32").expect("the psABI has it");
    assert_eq!((kind.number(), kind.size()), (2, 4));
    assert_eq!(kind.architecture(), Architecture::X86_64);
    assert_eq!(kind.to_string(), "R_X86_64_PC32");
    assert_eq!(RelocationKind::from_name("R_X86_64_DTPMOD64"), None);
}

/// TypeScript's type is a list of what names begin with.
#[test]
fn typescript_knows_the_beginnings_of_all_relocation_types_and_no_others() {
    let source = codeslab_testing::document("src/graph.ts");
    let (_, list) = source.split_once("export type RelocationType =").unwrap();
    let beginnings: Vec<&str> = list
        .split('`')
        .filter_map(|part| part.strip_suffix("${string}"))
        .collect();
    let begins = |kind: &RelocationKind, beginning: &str| kind.name().starts_with(beginning);
    for beginning in &beginnings {
        let is_used = RelocationKind::all().any(|kind| begins(&kind, beginning));
        assert!(is_used, "{beginning}");
    }
    for kind in RelocationKind::all() {
        let is_known = beginnings.iter().any(|beginning| begins(&kind, beginning));
        assert!(is_known, "{kind}");
    }
}

#[test]
fn a_graph_for_another_machine_is_refused_by_name() {
    let mut graph = Graph::new("other.s", Architecture::Riscv64);
    let section = GraphSection::new("text", ReadExecute, 4, bytes(&[0; 4]));
    let text = graph.add_section(section).expect("a section");
    let symbol = graph
        .add_symbol(Symbol::undefined("there"))
        .expect("a symbol");
    let refused = graph.add_relocation(text, relocation(0, "R_X86_64_PC32", symbol, 0));
    let error = refused.expect_err("a type of another machine");
    assert_eq!(error.code(), "UNKNOWN_RELOCATION");
    assert_eq!(
        error.to_string(),
        "other.s(text+0x0): R_X86_64_PC32 there: relocation of an unknown type"
    );
    let error = link_error(&[Input::Graph(&graph)], &LinkOptions::default());
    assert_eq!(error.code(), "WRONG_ARCHITECTURE");
    assert_eq!(
        error.to_string(),
        "other.s: made for riscv64, not for x86_64"
    );
    let names = ["object", "found", "expected"].map(|name| fact(&error, name));
    assert_eq!(names, ["other.s", "riscv64", "x86_64"]);
    assert_eq!(graph.architecture(), Architecture::Riscv64);
}

#[test]
fn a_group_that_is_refused_leaves_the_graph_as_it_was() {
    let mut graph = adder().expect("a valid graph");
    let before = graph.clone();
    let (text, missing) = (SectionIndex(0), SectionIndex(2));
    for sections in [&[text, missing][..], &[text, text]] {
        assert!(graph.add_group("group", sections).is_err());
        assert_eq!(graph, before);
    }
    graph.add_group("group", &[text]).expect("a group");
    assert!(graph.add_group("group", &[SectionIndex(1), text]).is_err());
    link(&memory(), &[Input::Graph(&graph)], &LinkOptions::default()).expect("it links");
}
