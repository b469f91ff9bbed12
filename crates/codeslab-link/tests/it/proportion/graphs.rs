//! Graphs, whose parts may be many and empty, and which may ask for much.

use super::{measure, used_memory};
use crate::support::fact;
use codeslab::{Address, Architecture, Protection};
use codeslab_link::{
    Binding, Content, Definition, Graph, GraphSection, Input, LinkOptions, Relocation,
    RelocationKind, SectionIndex, Symbol, Work, link, link_counted,
};

const MANY: u32 = 20_000;

fn graph_with(sections: impl Iterator<Item = GraphSection<'static>>) -> Graph<'static> {
    let mut graph = Graph::new("graph", Architecture::X86_64);
    for section in sections {
        graph.add_section(section).expect("a section");
    }
    graph
}

fn bytes(count: usize) -> Content<'static> {
    Content::Bytes(vec![0; count].into())
}

/// What a link of `graph` ends with, if it takes what its size allows.
fn outcome(graph: &Graph<'_>, options: &LinkOptions<'_>) -> String {
    let (ended, too_much) = measure(&used_memory(), &[Input::Graph(graph)], options);
    assert_eq!(too_much, [""; 0]);
    ended
}

#[test]
fn a_graph_may_have_many_empty_sections_and_symbols_in_them() {
    let all = Protection::ALL.into_iter().cycle().take(MANY as usize);
    let mut graph =
        graph_with(all.map(|protection| GraphSection::new("", protection, 1, bytes(0))));
    for number in 0..MANY {
        let section = SectionIndex(number);
        let definition = Definition::Section { section, offset: 0 };
        let symbol = Symbol::new(format!("{number}"), definition);
        graph.add_symbol(symbol).expect("a symbol");
    }
    assert_eq!(outcome(&graph, &LinkOptions::default()), "LINKED");
}

#[test]
fn constants_and_code_of_zeros_are_written_only_as_far_as_the_graph_is_long() {
    let zeros = |protection, size| {
        let section = GraphSection::new("zeros", protection, 1, Content::Zeros(size));
        graph_with(std::iter::once(section))
    };
    for protection in [Protection::ReadOnly, Protection::ReadExecute] {
        let small = zeros(protection, 1 << 18);
        assert_eq!(outcome(&small, &LinkOptions::default()), "LINKED");
        let large = zeros(protection, 1 << 30);
        assert_eq!(outcome(&large, &LinkOptions::default()), "WORK_BUDGET");
    }
    // As much as may be, and what the link itself takes, is within the proportion.
    let inputs = [Input::Graph(&zeros(Protection::ReadOnly, 0))];
    let (_, work) = link_counted(&used_memory(), &inputs, &LinkOptions::default());
    let most = Work::limit(work.input).bytes;
    for (size, expected) in [(most, "LINKED"), (most + 1, "WORK_BUDGET")] {
        let graph = zeros(Protection::ReadOnly, size);
        assert_eq!(outcome(&graph, &LinkOptions::default()), expected);
    }
    // Those that are written later cost nothing until then.
    let data = zeros(Protection::ReadWrite, 1 << 28);
    assert_eq!(outcome(&data, &LinkOptions::default()), "LINKED");
}

#[test]
fn many_short_sections_at_large_alignments_are_refused_and_some_are_not() {
    for (count, expected) in [(100, "LINKED"), (MANY, "WORK_BUDGET")] {
        let text = |_| GraphSection::new("text", Protection::ReadExecute, 4096, bytes(1));
        let graph = graph_with((0..count).map(text));
        assert_eq!(outcome(&graph, &LinkOptions::default()), expected);
    }
}

/// A graph of code with as many relocations as fit, all of this kind and of one symbol.
fn referring(kind: &str, symbol: Symbol<'static>) -> Graph<'static> {
    let size = MANY as usize * 4;
    let text = GraphSection::new("text", Protection::ReadExecute, 1, bytes(size));
    let mut graph = graph_with(std::iter::once(text));
    let symbol = graph.add_symbol(symbol).expect("a symbol");
    for number in 0..MANY {
        let relocation = Relocation {
            offset: u64::from(number) * 4,
            kind: RelocationKind::from_name(kind).expect(kind),
            symbol,
            addend: 0,
        };
        let added = graph.add_relocation(SectionIndex(0), relocation);
        added.expect("a relocation");
    }
    graph
}

#[test]
fn many_references_to_one_distant_function_ask_for_it_once() {
    let name = "f".repeat(100_000);
    let graph = referring("R_X86_64_32", Symbol::undefined(name.clone()));
    let mut options = LinkOptions::default();
    // What is there is no function of the process, so no stub can stand for it.
    options.externals.insert(name, Address::new(1 << 40));
    assert_eq!(outcome(&graph, &options), "OVERFLOW");
}

#[test]
fn many_references_to_one_undefined_symbol_name_it_once() {
    let graph = referring("R_X86_64_PLT32", Symbol::undefined("u".repeat(100_000)));
    assert_eq!(outcome(&graph, &LinkOptions::default()), "UNDEFINED_SYMBOL");
}

#[test]
fn many_references_to_what_is_left_out_are_refused_at_the_first() {
    let symbol = Symbol::new("d".repeat(100_000), Definition::Discarded);
    let symbol = symbol.with_binding(Binding::Local);
    let graph = referring("R_X86_64_PC32", symbol);
    assert_eq!(
        outcome(&graph, &LinkOptions::default()),
        "DISCARDED_SECTION"
    );
}

#[test]
fn names_that_an_image_keeps_count_for_every_graph() {
    // One string, many graphs: each would give the image a copy.
    let object = "o".repeat(10_000);
    let text = GraphSection::new("text", Protection::ReadExecute, 1, bytes(1));
    let mut graph = graph_with(std::iter::once(text));
    let definition = Definition::Section {
        section: SectionIndex(0),
        offset: 0,
    };
    let symbol = Symbol::new(object, definition).with_binding(Binding::Weak);
    graph.add_symbol(symbol).expect("a symbol");
    let inputs = vec![Input::Graph(&graph); 500];
    let (ended, too_much) = measure(&used_memory(), &inputs, &LinkOptions::default());
    assert_eq!((ended.as_str(), too_much), ("LINKED", Vec::new()));
}

#[test]
fn a_refused_graph_is_named() {
    let section = GraphSection::new("zeros", Protection::ReadOnly, 1, Content::Zeros(1 << 30));
    let graph = graph_with(std::iter::once(section));
    let inputs = [Input::Graph(&graph)];
    let error = link(&used_memory(), &inputs, &LinkOptions::default()).expect_err("too much");
    assert_eq!(fact(&error, "object"), "graph");
    assert_eq!(fact(&error, "resource"), "bytes");
}
