//! What a link takes is in proportion to what it is given, whatever that says: memory, and steps.
//!
//! Hostile files come from `codeslab_testing::hostile`. Memory is counted by the allocator of this binary.

use crate::support::{file, memory};
use codeslab::CodeMemory;
use codeslab_link::{Image, Input, LinkOptions, Result, Work, link_counted};
use codeslab_testing::hostile::{self, Hostile, LINKED};
use codeslab_testing::{CountingAllocator, Heap, count_heap};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The most memory that a link may take for each byte of input, and besides.
const BYTES_PER_BYTE: i64 = 64;
const BYTES_BESIDES: i64 = 1 << 20;

/// How much may be taken and given back for each byte, one time after the other: copies that are made again and again show here.
const CHURN_PER_BYTE: i64 = 256;

/// Links, and checks what it took.
fn measure(memory: &CodeMemory, what: &str, inputs: &[Input<'_>], options: &LinkOptions<'_>) -> String {
    let ((result, work), heap) = count_heap(|| link_counted(memory, inputs, options));
    let (outcome, text) = outcome(&result);
    // What an error says is made of it when it is shown.
    let (_, shown) = count_heap(|| result.as_ref().err().map(|error| (error.to_string(), error.facts())));
    check(what, work, heap, &text);
    check(what, work, shown, &text);
    drop(result);
    let stats = memory.stats();
    assert_eq!((stats.live, stats.in_flight, stats.used_bytes), (0, 0, 0), "{what}");
    outcome
}

fn outcome(result: &Result<Image>) -> (String, String) {
    match result {
        Ok(_) => (LINKED.to_owned(), LINKED.to_owned()),
        Err(error) => {
            let mut text = error.to_string();
            assert!(!text.is_empty());
            text.truncate(200);
            (error.code().to_owned(), text)
        }
    }
}

fn check(what: &str, work: Work, heap: Heap, text: &str) {
    let input = i64::try_from(work.input).expect("inputs are small");
    let most = input * BYTES_PER_BYTE + BYTES_BESIDES;
    let written = i64::try_from(work.bytes).expect("images are small");
    assert!(heap.peak + written <= most, "{what}: {heap:?} and {written} of {input} bytes: {text}");
    let most = input * CHURN_PER_BYTE + BYTES_BESIDES;
    assert!(heap.total <= most, "{what}: {heap:?} of {input} bytes: {text}");
    assert!(work.is_within(Work::limit(work.input)), "{what}: {work:?}");
}

/// Links `kind` in each of the sizes, as an input and as a library.
fn survive(kind: &Hostile, sizes: &[usize]) {
    let memory = memory();
    for &size in sizes {
        let bytes = (kind.make)(size);
        let input = file("hostile", &bytes);
        let options = LinkOptions { process_symbols: false, ..LinkOptions::default() };
        let whole = measure(&memory, kind.name, &[input], &options);
        let by_need = LinkOptions {
            roots: vec!["f".to_owned()],
            libraries: vec![input],
            ..options.clone()
        };
        let needed = measure(&memory, kind.name, &[], &by_need);
        if size == sizes[sizes.len() - 1] {
            assert!([whole.as_str(), &needed].contains(&kind.outcome), "{}: {whole}, {needed}", kind.name);
        }
    }
}

/// Small enough for tests, large enough for a square of it to show.
const SIZES: [usize; 3] = [20, 300, 4000];

#[test]
fn a_hostile_object_takes_memory_and_steps_in_proportion_to_its_size() {
    for kind in hostile::objects() {
        survive(kind, &SIZES);
    }
}

#[test]
fn a_hostile_archive_takes_memory_and_steps_in_proportion_to_its_size() {
    for kind in hostile::archives() {
        survive(kind, &SIZES);
    }
}
