//! Graphs as an assembler could build them, right or wrong, one or two to a link.

use crate::{Choices, check_link};
use arbitrary::{Arbitrary, Unstructured};
use codeslab::{Address, Architecture, Protection};
use codeslab_link::{
    Binding, Content, Definition, Graph, GraphSection, Input, LinkOptions, Relocation,
    RelocationKind, SectionIndex, Symbol, SymbolIndex,
};

#[derive(Arbitrary, Debug)]
struct Link {
    graphs: Vec<Parts>,
    externals: Vec<(u8, u64)>,
    roots: Vec<u8>,
    are_libraries: bool,
}

#[derive(Arbitrary, Debug)]
struct Parts {
    sections: Vec<Section>,
    symbols: Vec<Named>,
    relocations: Vec<Reference>,
    groups: Vec<(u8, Vec<u8>)>,
}

#[derive(Arbitrary, Debug)]
struct Section {
    name: u8,
    protection: u8,
    align_log2: u8,
    size: u64,
    is_zeros: bool,
    describes_code: bool,
    repeat: u8,
}

#[derive(Arbitrary, Debug)]
struct Named {
    name: u8,
    definition: Place,
    binding: u8,
    size: u64,
    repeat: u8,
}

#[derive(Arbitrary, Debug)]
enum Place {
    Undefined,
    Section(u8, u16),
    Absolute(u64),
    Common(u64, u8),
    Discarded,
}

#[derive(Arbitrary, Debug)]
struct Reference {
    section: u8,
    offset: u16,
    kind: u8,
    symbol: u8,
    addend: i64,
    repeat: u8,
}

/// Names that mean something to a linker, and long ones.
fn name(number: u8) -> String {
    const NAMES: [&str; 8] = [
        "a",
        "b",
        "",
        "strlen",
        "__start_a",
        "__stop_a",
        "_GLOBAL_OFFSET_TABLE_",
        "environ",
    ];
    match NAMES.get(usize::from(number)) {
        Some(name) => (*name).to_owned(),
        None => "l".repeat(usize::from(number) * 8),
    }
}

fn graph(parts: &Parts) -> Graph<'static> {
    let mut graph = Graph::new("graph", Architecture::X86_64);
    for section in &parts.sections {
        add_sections(&mut graph, section);
    }
    for symbol in &parts.symbols {
        add_symbols(&mut graph, symbol);
    }
    let kinds: Vec<RelocationKind> = RelocationKind::all().collect();
    for reference in &parts.relocations {
        for number in 0..=u64::from(reference.repeat / 4) {
            let relocation = Relocation {
                offset: u64::from(reference.offset) + number,
                kind: kinds[usize::from(reference.kind) % kinds.len()],
                symbol: SymbolIndex(reference.symbol.into()),
                addend: reference.addend,
            };
            let _ = graph.add_relocation(SectionIndex(reference.section.into()), relocation);
        }
    }
    for (number, sections) in &parts.groups {
        let sections: Vec<_> = sections
            .iter()
            .map(|section| SectionIndex((*section).into()))
            .collect();
        let _ = graph.add_group(name(*number), &sections);
    }
    graph
}

fn add_sections(graph: &mut Graph<'static>, section: &Section) {
    const LONGEST: u64 = 4096;
    for _ in 0..=section.repeat / 8 {
        let content = if section.is_zeros {
            Content::Zeros(section.size)
        } else {
            Content::Bytes(vec![0x90; (section.size % LONGEST) as usize].into())
        };
        let protection = Protection::ALL[usize::from(section.protection) % 3];
        let align = 1_u64.checked_shl(section.align_log2.into()).unwrap_or(0);
        let made = GraphSection::new(name(section.name), protection, align, content);
        let made = if section.describes_code {
            made.describing_code()
        } else {
            made
        };
        let _ = graph.add_section(made);
    }
}

fn add_symbols(graph: &mut Graph<'static>, symbol: &Named) {
    let bindings = [Binding::Global, Binding::Weak, Binding::Local];
    let definition = match symbol.definition {
        Place::Undefined => Definition::Undefined,
        Place::Section(section, offset) => Definition::Section {
            section: SectionIndex(section.into()),
            offset: offset.into(),
        },
        Place::Absolute(value) => Definition::Absolute(value),
        Place::Common(size, align_log2) => Definition::Common {
            size,
            align: 1_u64.checked_shl(align_log2.into()).unwrap_or(0),
        },
        Place::Discarded => Definition::Discarded,
    };
    for number in 0..=symbol.repeat / 8 {
        let base = name(symbol.name);
        let name = if number == 0 {
            base
        } else {
            format!("{base}{number}")
        };
        let made =
            Symbol::new(name, definition).with_binding(bindings[usize::from(symbol.binding) % 3]);
        let _ = graph.add_symbol(made.with_kind(codeslab_link::SymbolKind::Data, symbol.size));
    }
}

/// Links the graphs that `data` describes. Whether it describes any.
pub fn run(data: &[u8]) -> bool {
    let Ok(link) = Link::arbitrary_take_rest(Unstructured::new(data)) else {
        return false;
    };
    let graphs: Vec<Graph<'_>> = link.graphs.iter().take(3).map(graph).collect();
    let mut inputs: Vec<Input<'_>> = graphs.iter().map(Input::Graph).collect();
    let libraries = if link.are_libraries {
        inputs.split_off(inputs.len().min(1))
    } else {
        Vec::new()
    };
    let externals = link
        .externals
        .iter()
        .map(|(number, value)| (name(*number), Address::new(*value)));
    let options = LinkOptions {
        externals: externals.collect(),
        roots: link.roots.iter().map(|number| name(*number)).collect(),
        libraries,
        // Asking for them takes most of the time.
        process_symbols: link.externals.len() % 2 == 1,
        ..LinkOptions::default()
    };
    let sum = |sum: u64, (number, value): &(u8, u64)| {
        sum.wrapping_add(*value).wrapping_add((*number).into())
    };
    let choices = link.externals.iter().fold(link.roots.len() as u64, sum);
    check_link(&inputs, &Choices::of(choices).applied_to(options));
    true
}
