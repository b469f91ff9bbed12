//! What lies between sections.

use crate::support::memory;
use codeslab::{Architecture, CodeMemory, Protection};
use codeslab_link::{
    Content, Definition, Graph, GraphSection, Image, Input, LinkOptions, Symbol, link,
};

const CODE: u8 = 0x5a;
const LENGTH: usize = 80_000;

fn link_code(memory: &CodeMemory, architecture: Architecture, sections: &[(usize, u64)]) -> Image {
    let mut graph = Graph::new("code", architecture);
    for (number, &(length, align)) in sections.iter().enumerate() {
        let content = Content::Bytes(vec![CODE; length].into());
        let section = GraphSection::new(".text", Protection::ReadExecute, align, content);
        let section = graph.add_section(section).unwrap();
        let definition = Definition::Section { section, offset: 0 };
        let name = format!("code_{number}");
        graph.add_symbol(Symbol::new(name, definition)).unwrap();
    }
    let linked = link(memory, &[Input::Graph(&graph)], &LinkOptions::default());
    linked.unwrap().into_image().expect("nothing is run")
}

#[test]
fn between_sections_there_are_traps_and_never_what_was_linked_before() {
    let memory = memory();
    let architecture = codeslab::architecture().unwrap();
    // A thread writes the next image where it wrote this one.
    link_code(&memory, architecture, &[(2 * LENGTH, 16)]).free();
    let image = link_code(&memory, architecture, &[(4, 16), (LENGTH, 4096), (8, 4)]);
    let (start, size) = image.allocation().segment(Protection::ReadExecute).unwrap();
    // Memory is given by the granule.
    let used = 4096 + LENGTH + 8;
    assert_eq!(size as usize, used.next_multiple_of(16));
    let start = start.value() as *const u8;
    #[allow(unsafe_code, reason = "published code is read")]
    // SAFETY: code may be read, and the image lives.
    let code = unsafe { std::slice::from_raw_parts(start, used) };
    let (first, rest) = code.split_at(4);
    let (gap, rest) = rest.split_at(4096 - 4);
    assert!(first.iter().chain(rest).all(|byte| *byte == CODE));
    for word in gap.chunks_exact(4) {
        assert_eq!(word, architecture.fill_pattern());
    }
}
