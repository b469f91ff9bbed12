//! What the guide for embedders names exists.

use codeslab_testing::{document, sources};

#[test]
fn every_test_and_function_that_the_guide_names_is_there() {
    let guide = document("docs/embedding.md");
    let folders = ["crates", "adapters/cranelift"].into_iter();
    let sources: Vec<_> = folders.flat_map(sources).collect();
    let prose = guide.split("```").step_by(2);
    let quoted = prose.flat_map(|prose| prose.split('`').skip(1).step_by(2));
    let is_name = |name: &&str| {
        let is_word = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_';
        name.contains('_') && name.chars().all(is_word)
    };
    let names: Vec<&str> = quoted.filter(is_name).collect();
    assert!(names.len() > 15, "the guide is read: {names:?}");
    let is_there = |name: &str| {
        let (function, kind) = (format!("fn {name}("), format!("struct {name} "));
        let field = format!("{name}:");
        let says = |text: &str| {
            [&function, &kind, &field]
                .iter()
                .any(|words| text.contains(*words))
        };
        sources.iter().any(|source| says(&source.text))
    };
    let lacking: Vec<_> = names.into_iter().filter(|name| !is_there(name)).collect();
    assert_eq!(lacking, Vec::<&str>::new());
}
