//! Any bytes, linked as an object or archive: whole, and as a library. Whatever comes of it, nothing may leak.
//!
//! `seed` beside this directory fills the corpus with real objects and archives; then
//! `cargo +nightly fuzz run link -- -max_total_time=600`.
#![no_main]

use codeslab::{Architecture, CodeMemory, Options};
use codeslab_link::{Binding, Content, Definition, Graph, Input, LinkOptions, GraphSection, Symbol, link};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static MEMORY: LazyLock<CodeMemory> =
    LazyLock::new(|| CodeMemory::new(Options::default()).expect("this machine has code memory"));

fuzz_target!(|bytes: &[u8]| {
    let input = Input::File { name: "input", bytes };
    try_link(&[input], &LinkOptions::default());
    let graph = caller();
    let options = LinkOptions {
        libraries: vec![input],
        process_symbols: false,
        ..LinkOptions::default()
    };
    try_link(&[Input::Graph(&graph)], &options);
});

fn try_link(inputs: &[Input<'_>], options: &LinkOptions<'_>) {
    match link(&MEMORY, inputs, options) {
        Ok(image) => {
            assert_eq!(MEMORY.stats().live, 1);
            for symbol in image.symbols() {
                assert_eq!(image.address(&symbol.name), Some(symbol.address));
            }
            image.free();
        }
        Err(error) => {
            // Errors are for reading: they must be able to say what they know.
            assert!(!error.code().is_empty());
            assert!(!error.to_string().is_empty());
            let _ = error.facts();
        }
    }
    let stats = MEMORY.stats();
    assert_eq!((stats.live, stats.in_flight, stats.used_bytes), (0, 0, 0));
}

/// Refers to names that the objects of the corpus define, so that members are pulled in.
fn caller() -> Graph<'static> {
    let mut graph = Graph::new("caller", Architecture::X86_64);
    let text = Content::Bytes(vec![0xc3].into());
    let section = GraphSection::new(".text", codeslab::Protection::ReadExecute, 16, text);
    let section = graph.add_section(section).expect("a valid section");
    for name in ["crc32", "square", "it", "f", "variable", "shared"] {
        graph.add_symbol(Symbol::undefined(name)).expect("a valid symbol");
    }
    let definition = Definition::Section { section, offset: 0 };
    let symbol = Symbol::new("caller", definition).with_binding(Binding::Weak);
    graph.add_symbol(symbol).expect("a valid symbol");
    graph
}
