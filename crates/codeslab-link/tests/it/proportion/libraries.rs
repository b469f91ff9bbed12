//! Many libraries, and libraries that need each other.

use super::{measure, used_memory};
use crate::support::{file, memory};
use codeslab_link::{Input, LinkOptions, Work, link, link_counted};
use codeslab_testing::hostile::archive::{MAGIC, archive, gnu_index, member};
use codeslab_testing::hostile::elf::defining;

const MANY: usize = 10_000;

/// An archive with an index, of one object for each name, which refers to others.
fn library(objects: &[(String, String)]) -> Vec<u8> {
    let members: Vec<Vec<u8>> = objects
        .iter()
        .map(|(name, other)| member("m.o/", &defining(name, &[other])))
        .collect();
    let names: Vec<&str> = objects.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join("\0") + "\0";
    let index = gnu_index(&vec![0; members.len()], names.as_bytes());
    let first = MAGIC.len() + index.len();
    let offsets = members.iter().scan(first, |at, member| {
        let offset = u32::try_from(*at).expect("it is small");
        *at += member.len();
        Some(offset)
    });
    let index = gnu_index(&offsets.collect::<Vec<_>>(), names.as_bytes());
    archive(&[vec![index], members].concat())
}

/// Names `f0` to `f(count - 1)`, each of which needs the next, and the last the first.
fn circle(count: usize) -> Vec<(String, String)> {
    let name = |number: usize| format!("f{}", number % count);
    (0..count)
        .map(|number| (name(number), name(number + 1)))
        .collect()
}

fn options(libraries: &[Vec<u8>]) -> LinkOptions<'_> {
    let libraries = libraries.iter().map(|bytes| file("library", bytes));
    LinkOptions {
        roots: vec!["f0".to_owned()],
        libraries: libraries.collect(),
        process_symbols: false,
        ..LinkOptions::default()
    }
}

#[test]
fn ten_thousand_libraries_that_need_each_other_in_a_circle_link() {
    let libraries: Vec<Vec<u8>> = circle(MANY).chunks(1).map(library).collect();
    let options = options(&libraries);
    let ended = measure(&used_memory(), &[], &options);
    assert_eq!(ended, ("LINKED".to_owned(), Vec::new()));
    let image = link(&memory(), &[], &options).expect("it links");
    assert_eq!(image.symbols().len(), MANY);
}

#[test]
fn two_libraries_that_need_each_other_again_and_again_link_in_any_order() {
    let objects = circle(MANY);
    let (even, odd): (Vec<_>, Vec<_>) = objects
        .chunks(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .unzip();
    let mut libraries = vec![library(&even), library(&odd)];
    for _ in 0..2 {
        let image = link(&memory(), &[], &options(&libraries)).expect("it links");
        assert_eq!(image.symbols().len(), MANY);
        libraries.reverse();
    }
}

#[test]
fn libraries_that_are_not_needed_are_not_parsed() {
    let libraries: Vec<Vec<u8>> = circle(MANY).chunks(1).map(library).collect();
    let mut all = options(&libraries);
    all.roots = Vec::new();
    let (result, work) = link_counted(&memory(), &[], &all);
    assert_eq!(result.expect("nothing links").symbols().len(), 0);
    assert_eq!((work.members, work.parsed), (0, 0));
}

/// What a link of so many libraries takes.
fn work_of(count: usize) -> Work {
    let libraries: Vec<Vec<u8>> = circle(count).chunks(1).map(library).collect();
    let (result, work) = link_counted(&memory(), &[], &options(&libraries));
    result.expect("it links");
    work
}

#[test]
fn ten_times_as_many_libraries_take_ten_times_the_steps() {
    let (some, many) = (work_of(MANY / 10), work_of(MANY));
    let ratio = many.steps * 10 / some.steps;
    assert!((90..=130).contains(&ratio), "{some:?} {many:?}");
    assert_eq!(many.members, some.members * 10);
}

#[test]
fn graphs_may_be_libraries_of_each_other_too() {
    let objects: Vec<Vec<u8>> = circle(MANY)
        .iter()
        .map(|(name, other)| defining(name, &[other]))
        .collect();
    let image = link(&memory(), &[], &options(&objects)).expect("it links");
    assert_eq!(image.symbols().len(), MANY);
    // One library as often as one likes: the first serves.
    let one = [Input::File {
        name: "same",
        bytes: &objects[0],
    }]
    .repeat(MANY);
    let options = LinkOptions {
        libraries: one,
        ..LinkOptions::default()
    };
    let image = link(&memory(), &[], &options).expect("nothing is needed");
    assert_eq!(image.symbols().len(), 0);
}
