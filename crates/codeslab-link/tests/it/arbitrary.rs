//! Every graph that can be built links or says why not: all kinds of relocations against all kinds of symbols.

use crate::support::memory;
use codeslab::{Architecture, CodeMemory, Protection};
use codeslab_link::{
    Binding, Content, Definition, Graph, GraphSection, Input, LinkOptions, Relocation,
    RelocationKind, SectionIndex, Symbol, SymbolIndex, link,
};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::LazyLock;

static MEMORY: LazyLock<CodeMemory> = LazyLock::new(memory);

/// Numbers at which arithmetic tends to go wrong.
const EDGES: [u64; 10] = [
    0,
    1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 47,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 3,
    u64::MAX,
];

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![select(EDGES.to_vec()), 0..64_u64]
}

/// Sizes that mostly fit.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![16 => 0..64_u64, 1 => select(EDGES.to_vec())]
}

fn content() -> impl Strategy<Value = Content<'static>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        3 => bytes.prop_map(|bytes| Content::Bytes(bytes.into())),
        1 => size().prop_map(Content::Zeros),
    ]
}

fn section() -> impl Strategy<Value = GraphSection<'static>> {
    let protection = select(Protection::ALL.to_vec());
    let align = (0..7_u32).prop_map(|log2| 1 << log2);
    (protection, align, content())
        .prop_filter(
            "constant zeros are filled in, which takes as long as they are many",
            |parts| parts.0 == Protection::ReadWrite || parts.2.size() < 1 << 16,
        )
        .prop_map(|(protection, align, content)| {
            GraphSection::new("section", protection, align, content)
        })
}

fn symbol() -> impl Strategy<Value = Symbol<'static>> {
    let name = select(vec![
        "a",
        "b",
        "c",
        "strlen",
        "_GLOBAL_OFFSET_TABLE_",
        "__start_section",
    ]);
    let align = (0..7_u32).prop_map(|log2| 1_u64 << log2);
    let definition = prop_oneof![
        Just(Definition::Undefined),
        (0..4_u32, 0..48_u64).prop_map(|(section, offset)| {
            let section = SectionIndex(section);
            Definition::Section { section, offset }
        }),
        number().prop_map(Definition::Absolute),
        (size(), align).prop_map(|(size, align)| Definition::Common { size, align }),
        Just(Definition::Discarded),
    ];
    let binding = select(vec![Binding::Local, Binding::Global, Binding::Weak]);
    (name, definition, binding)
        .prop_map(|(name, definition, binding)| Symbol::new(name, definition).with_binding(binding))
}

fn relocation() -> impl Strategy<Value = (SectionIndex, Relocation)> {
    let kind = select(RelocationKind::all().collect::<Vec<_>>());
    let addend = number().prop_map(u64::cast_signed);
    let addend = prop_oneof![Just(-4), addend];
    (0..4_u32, 0..40_u64, kind, 0..8_u32, addend).prop_map(
        |(section, offset, kind, symbol, addend)| {
            let symbol = SymbolIndex(symbol);
            (
                SectionIndex(section),
                Relocation {
                    offset,
                    kind,
                    symbol,
                    addend,
                },
            )
        },
    )
}

/// What is valid of random parts: the graph itself says what is not.
fn graph() -> impl Strategy<Value = Graph<'static>> {
    let parts = (
        prop::collection::vec(section(), 0..4),
        prop::collection::vec(symbol(), 0..8),
        prop::collection::vec(relocation(), 0..12),
        prop::collection::vec(0..4_u32, 0..2),
    );
    parts.prop_map(|(sections, symbols, relocations, group)| {
        let mut graph = Graph::new("graph", Architecture::X86_64);
        for section in sections {
            let _ = graph.add_section(section);
        }
        for symbol in symbols {
            let _ = graph.add_symbol(symbol);
        }
        for (section, relocation) in relocations {
            let _ = graph.add_relocation(section, relocation);
        }
        let group: Vec<SectionIndex> = group.into_iter().map(SectionIndex).collect();
        let _ = graph.add_group("group", &group);
        graph
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_graph_that_can_be_built_links_or_says_why_not(one in graph(), two in graph()) {
        let inputs = [Input::Graph(&one), Input::Graph(&two)];
        match link(&MEMORY, &inputs, &LinkOptions::default()) {
            Ok(image) => prop_assert!(image.symbols().all(|symbol| !symbol.name.is_empty())),
            Err(error) => prop_assert!(!error.to_string().is_empty() && !error.facts().is_empty()),
        }
        let stats = MEMORY.stats();
        prop_assert_eq!((stats.live, stats.in_flight, stats.used_bytes), (0, 0, 0));
    }
}
