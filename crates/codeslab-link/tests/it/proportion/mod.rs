//! What a link takes is in proportion to what it is given, whatever that says: memory, and steps.
//!
//! `graphs` does the same with graphs, `libraries` with many libraries. Hostile files come from `codeslab_testing::hostile`. Memory is counted by the allocator of this binary.

mod graphs;
mod libraries;

use crate::support::{fact, file, link_error, link_files, memory, zlib};
use codeslab::{Architecture, CodeMemory, Protection};
use codeslab_link::{
    Content, Error, Graph, GraphSection, Input, LinkOptions, Linked, Result, Work, link,
    link_counted,
};
use codeslab_testing::hostile::{self, Hostile, LINKED};
use codeslab_testing::{CountingAllocator, Heap, count_heap};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The most memory that a link may take for each byte of input, and besides.
const BYTES_PER_BYTE: i64 = 64;
const BYTES_BESIDES: i64 = 1 << 20;

/// How much may be taken and given back for each byte, one time after the other: copies that are made again and again show here.
const CHURN_PER_BYTE: i64 = 256;

/// What a link of `inputs` ended with, and in which respects it took too much.
fn measure(
    memory: &CodeMemory,
    inputs: &[Input<'_>],
    options: &LinkOptions<'_>,
) -> (String, Vec<String>) {
    let ((result, work), heap) = count_heap(|| link_counted(memory, inputs, options));
    let ended = outcome(&result);
    // What an error says is made of it when it is shown.
    let error = result.as_ref().err();
    let (_, shown) = count_heap(|| error.map(|error| (error.to_string(), error.facts())));
    let complaints = [complaint(work, heap), complaint(work, shown)];
    drop(result);
    let stats = memory.stats();
    let left = (stats.live, stats.in_flight, stats.used_bytes);
    assert_eq!(left, (0, 0, 0), "{ended}");
    (ended, complaints.into_iter().flatten().collect())
}

fn outcome(result: &Result<Linked>) -> String {
    match result {
        Ok(_) => LINKED.to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

/// What is too much, if anything is.
fn complaint(work: Work, heap: Heap) -> Option<String> {
    let signed = |number: u64| i64::try_from(number).expect("inputs are small");
    let (input, written) = (signed(work.input), signed(work.bytes));
    let is_right = heap.peak + written <= input * BYTES_PER_BYTE + BYTES_BESIDES
        && heap.total <= input * CHURN_PER_BYTE + BYTES_BESIDES
        && work.is_within(&Work::limit(work.input));
    (!is_right).then(|| format!("{heap:?} {work:?}"))
}

/// A memory that has linked before: its first block takes memory of its own, whatever is linked.
fn used_memory() -> CodeMemory {
    let memory = memory();
    let mut graph = Graph::new("first", Architecture::X86_64);
    for protection in Protection::ALL {
        let content = Content::Bytes(vec![0xc3].into());
        let section = GraphSection::new("first", protection, 1, content);
        graph.add_section(section).expect("a section");
    }
    let image = link(&memory, &[Input::Graph(&graph)], &LinkOptions::default());
    drop(image.expect("it links"));
    memory
}

/// Links a hostile file in each of the sizes, as an input and as a library. What is wrong about it.
fn survive(kind: &Hostile, sizes: &[usize]) -> Vec<String> {
    let memory = used_memory();
    let mut complaints = Vec::new();
    for &size in sizes {
        let bytes = (kind.make)(size);
        let input = file("hostile", &bytes);
        let options = LinkOptions {
            process_symbols: false,
            ..LinkOptions::default()
        };
        let by_need = LinkOptions {
            roots: vec!["f".to_owned()],
            libraries: vec![input],
            ..options.clone()
        };
        let (whole, too_much) = measure(&memory, &[input], &options);
        complaints.extend(too_much);
        let (needed, too_much) = measure(&memory, &[], &by_need);
        complaints.extend(too_much);
        let is_last = size == sizes[sizes.len() - 1];
        if is_last && ![&whole, &needed].contains(&&kind.outcome.to_owned()) {
            complaints.push(format!("{whole}, {needed}, not {}", kind.outcome));
        }
    }
    let name = |complaint| format!("{}: {complaint}", kind.name);
    complaints.into_iter().map(name).collect()
}

/// Small enough for tests, large enough for a square of it to show.
const SIZES: [usize; 3] = [20, 300, 4000];

#[test]
fn a_hostile_object_takes_memory_and_steps_in_proportion_to_its_size() {
    let complaints = hostile::objects()
        .iter()
        .flat_map(|kind| survive(kind, &SIZES));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_hostile_archive_takes_memory_and_steps_in_proportion_to_its_size() {
    let complaints = hostile::archives()
        .iter()
        .flat_map(|kind| survive(kind, &SIZES));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_seed_of_the_fuzz_targets_links_or_says_why_not_in_proportion_to_its_size() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/link");
    let memory = used_memory();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the seeds are kept") {
        let path = entry.expect("a seed").path();
        let bytes = std::fs::read(&path).expect("a seed");
        let inputs = [file("seed", &bytes)];
        let (ended, too_much) = measure(&memory, &inputs, &LinkOptions::default());
        assert_eq!(too_much, [""; 0], "{}: {ended}", path.display());
        count += 1;
    }
    assert!(count > 100, "{count} seeds");
}

/// What a hostile file is refused with, as an input or as a library.
fn refusal(name: &str) -> Error {
    let kinds = [hostile::objects(), hostile::archives()].concat();
    let kind = kinds.iter().find(|kind| kind.name == name).expect(name);
    let bytes = (kind.make)(1000);
    let is_archive = bytes.starts_with(hostile::archive::MAGIC);
    let roots = is_archive.then(|| "f".to_owned());
    let options = LinkOptions {
        roots: roots.into_iter().collect(),
        process_symbols: false,
        ..LinkOptions::default()
    };
    link_error(&[file("hostile", &bytes)], &options)
}

#[test]
fn a_refusal_says_what_there_is_too_much_of_and_what_to_do() {
    let cases = [
        (
            "members that lie in each other",
            "parsed",
            "make it again with `ar`",
        ),
        (
            "sections that share a long name",
            "steps",
            "with shorter names",
        ),
        ("code at large alignments", "bytes", "lower the alignment"),
    ];
    for (name, resource, advice) in cases {
        let error = refusal(name);
        assert_eq!(error.code(), "WORK_BUDGET");
        assert_eq!(fact(&error, "resource"), resource, "{error}");
        let (limit, size) = (fact(&error, "limit"), fact(&error, "input"));
        let message = error.to_string();
        assert!(message.starts_with("hostile"), "{message}");
        assert!(message.contains(advice), "{message}");
        assert!(message.contains(&format!("more than {limit}, the most for {size} bytes")));
    }
}

#[test]
fn an_archive_with_a_long_name_costs_no_more_for_many_members() {
    let name = "a".repeat(1 << 20);
    let bytes = archive_of(2000);
    let ended = measure(
        &used_memory(),
        &[file(&name, &bytes)],
        &LinkOptions::default(),
    );
    assert_eq!(ended, ("WORK_BUDGET".to_owned(), Vec::new()));
}

#[test]
fn a_member_with_a_long_name_links_under_the_start_of_it() {
    let names = [&b"m".repeat(100_000)[..], b"/\n"].concat();
    let object = hostile::elf::defining("f", &[]);
    let bytes = hostile::archive::archive(&[
        hostile::archive::member("//", &names),
        hostile::archive::member("/0", &object),
    ]);
    let image = link_files(&memory(), &[("lib.a", &bytes)]);
    let expected = format!("lib.a({}...)", "m".repeat(255));
    assert_eq!(&*image.symbol("f").expect("f").object, expected);
}

/// An archive of `n` objects, each of which defines a name.
fn archive_of(n: usize) -> Vec<u8> {
    let members = (0..n).map(|number| {
        let object = hostile::elf::defining(&format!("symbol{number}"), &[]);
        hostile::archive::member(&format!("{number}.o/"), &object)
    });
    hostile::archive::archive(&members.collect::<Vec<_>>())
}

#[test]
fn ordinary_inputs_take_a_small_part_of_their_budget() {
    let zlib = zlib();
    let inputs = [file("libz.a", &zlib)];
    let (result, work) = link_counted(&memory(), &inputs, &LinkOptions::default());
    result.expect("it links");
    let limit = Work::limit(work.input);
    assert!(work.members * 10 < limit.members, "{work:?}");
    assert!(work.steps * 10 < limit.steps, "{work:?}");
    assert!(work.symbols * 10 < limit.symbols, "{work:?}");
    assert!(work.bytes * 10 < limit.bytes, "{work:?}");
    assert!(work.parsed <= work.input && work.parsed * 2 > work.input);
}
