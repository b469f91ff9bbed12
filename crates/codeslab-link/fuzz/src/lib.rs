//! What every fuzz target asserts of a link, whatever it is given.
//!
//! A link ends with an image or with an error that can be read; it leaves nothing in the code memory; and it takes no more memory, steps
//! and time than its input is long. The targets make inputs and options, and rely on `codeslab_testing` for counting memory. The program
//! that links this crate has the counting allocator.

use codeslab::{Architecture, CodeMemory, Options, Protection};
use codeslab_link::{
    Binding, Content, Definition, Error, Files, Graph, GraphSection, Input, LinkOptions, Linked,
    Result, Symbol, Work, estimate, link_counted,
};
use codeslab_testing::{CountingAllocator, count_heap};
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

pub mod archive;
pub mod coff;
pub mod encoders;
mod error;
pub mod graph;
pub mod link;
pub mod macho;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The most memory that a link may take for each byte of its input, and besides.
const BYTES_PER_BYTE: u64 = 64;
const BYTES_BESIDES: u64 = 1 << 20;

/// The most processor time that it may take for each byte of its input, and besides. With instrumentation it is ten times as much.
///
/// What the system does meanwhile on behalf of others (interrupts, pages that it has to find) counts as well, so a link that took longer is
/// made again, and the shortest time counts.
const TIME_PER_BYTE: Duration = Duration::from_micros(1);
const TIME_BESIDES: Duration = Duration::from_millis(1);
const TRIES: u32 = 20;
const SLOWER: u32 = if cfg!(fuzzing) { 10 } else { 1 };

/// The processor time of this thread: a machine that has other work takes no longer by it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("time is not negative")
}

/// A memory for data of up to a mebibyte, because the fuzzers ask for as much as they can, and an image that keeps its block: making one
/// for each link takes longer than all else. It is written in its places, so that the system is asked for little: what
/// is tried is the linker.
static MEMORY: LazyLock<(CodeMemory, Linked)> = LazyLock::new(|| {
    let options = Options {
        max_committed: Some(1 << 20),
        hardened: false,
        ..Options::default()
    };
    let memory = CodeMemory::new(options).expect("this machine has code memory");
    let options = LinkOptions::default();
    let image = link_counted(&memory, &[Input::Graph(&CALLER)], &options).0;
    (memory, image.expect("it links"))
});

/// Links, and asserts what has to hold of every link.
pub fn check_link(inputs: &[Input<'_>], options: &LinkOptions<'_>) {
    let (memory, _) = &*MEMORY;
    // A few bytes can name any file of the machine.
    let options = &LinkOptions {
        files: Files::None,
        ..options.clone()
    };
    let before = in_use(memory);
    let start = processor_time();
    let ((result, work), heap) = count_heap(|| link_counted(memory, inputs, options));
    let first = processor_time() - start;
    let error = result.as_ref().err();
    let ((), shown) = count_heap(|| drop(error.map(|error| (error.to_string(), error.facts()))));
    let limit = work.input * BYTES_PER_BYTE + BYTES_BESIDES;
    let taken = u64::try_from(heap.peak).unwrap_or_default() + work.bytes;
    assert!(taken <= limit, "{taken} bytes: {heap:?} {work:?} {error:?}");
    assert!(shown.peak.unsigned_abs() <= limit, "{shown:?} {work:?}");
    assert!(work.is_within(&Work::limit(work.input)), "{work:?}");
    let length = u32::try_from(work.input).expect("inputs are small");
    let most = (TIME_PER_BYTE * length + TIME_BESIDES) * SLOWER;
    let elapsed = shortest(first, most, work.input, || {
        drop(link_counted(memory, inputs, options));
    });
    assert!(elapsed <= most, "{elapsed:?}: {work:?} {error:?}");
    Worst::record(work.input, taken, elapsed);
    if options.gc {
        check_estimate(inputs, options, error);
    }
    look_at(result);
    assert_eq!(in_use(memory), before);
}

/// The shortest time of several links, if the first was slower than any so far: until it is not, or there were enough.
fn shortest(first: Duration, most: Duration, input: u64, mut link: impl FnMut()) -> Duration {
    let mut shortest = first;
    let mut tries = 1;
    while tries < TRIES && (shortest > most || Worst::is_new(input, shortest)) {
        let start = processor_time();
        link();
        shortest = shortest.min(processor_time() - start);
        tries += 1;
    }
    shortest
}

/// What a link would be refused for before it has a place, its estimate is refused for.
fn check_estimate(inputs: &[Input<'_>], options: &LinkOptions<'_>, refused: Option<&Error>) {
    let refusal = estimate(inputs, options).err();
    let code = |error: &Error| error.code();
    if let Some(refusal) = &refusal {
        assert_eq!(Some(refusal.code()), refused.map(code), "{refusal}");
    }
}

/// The most that any link of this thread took.
#[derive(Clone, Copy, Default, Debug)]
pub struct Worst {
    /// Links.
    pub links: u64,
    /// Bytes of memory for each byte of input, in thousandths, without the mebibyte besides.
    pub memory: u64,
    /// Bytes of memory of the link that took most, with those besides.
    pub bytes: u64,
    /// Nanoseconds of the link that took longest, and bytes of its input.
    pub nanoseconds: u64,
    pub of: u64,
    /// Nanoseconds for each byte of an input of at least 4096 bytes.
    pub per_byte: u64,
    /// Nanoseconds that a link took beyond a microsecond for each byte of its input.
    pub besides: u64,
}

thread_local! {
    static WORST: Cell<Worst> = const { Cell::new(Worst { links: 0, memory: 0, bytes: 0, nanoseconds: 0, of: 0, per_byte: 0, besides: 0 }) };
}

impl Worst {
    /// What has been recorded so far.
    #[must_use]
    pub fn so_far() -> Self {
        WORST.get()
    }

    /// These figures and a link with an input of so many bytes.
    fn with(self, input: u64, taken: u64, elapsed: Duration) -> Self {
        const LARGE: u64 = 4096;
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let per_byte = if input < LARGE {
            0
        } else {
            nanoseconds / input
        };
        let beyond = taken.saturating_sub(BYTES_BESIDES) * 1000;
        let is_longer = nanoseconds > self.nanoseconds;
        Self {
            links: self.links + 1,
            memory: self.memory.max(beyond / input.max(1)),
            bytes: self.bytes.max(taken),
            nanoseconds: self.nanoseconds.max(nanoseconds),
            of: if is_longer { input } else { self.of },
            per_byte: self.per_byte.max(per_byte),
            besides: self.besides.max(nanoseconds.saturating_sub(input * 1000)),
        }
    }

    fn record(input: u64, taken: u64, elapsed: Duration) {
        WORST.set(WORST.get().with(input, taken, elapsed));
    }

    /// Whether so long a time would be the worst in any respect.
    fn is_new(input: u64, elapsed: Duration) -> bool {
        let worst = WORST.get();
        let times = |worst: Self| (worst.nanoseconds, worst.per_byte, worst.besides);
        times(worst.with(input, 0, elapsed)) != times(worst)
    }
}

/// Options that change what a link does with its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Choices(u64);

impl Choices {
    /// Those that a number stands for, one for each bit.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    fn has(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// Options with these choices made.
    #[must_use]
    pub fn applied_to(self, options: LinkOptions<'_>) -> LinkOptions<'_> {
        let name = |name: &str| vec![name.to_owned()];
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        LinkOptions {
            gc: self.has(0),
            keep_objects: self.has(1),
            wrap: if self.has(2) { name("f") } else { Vec::new() },
            defsym: match (self.has(3), self.has(4)) {
                (true, false) => pair("a", "b+8"),
                (true, true) => pair("b", "0x1000"),
                _ => Vec::new(),
            },
            ..options
        }
    }
}

/// What a memory holds: allocations, those in flight, and bytes.
fn in_use(memory: &CodeMemory) -> (u64, u64, u64) {
    let stats = memory.stats();
    (stats.live, stats.in_flight, stats.used_bytes)
}

fn look_at(result: Result<Linked>) {
    match result {
        Ok(image) => {
            assert_eq!(MEMORY.0.stats().live, 2);
            for symbol in image.symbols() {
                assert_eq!(image.address(&symbol.name), Some(symbol.address));
            }
            drop(image);
        }
        Err(error) => {
            // Errors are for reading: they must be able to say what they know.
            assert!(!error.code().is_empty());
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Links a file in both ways in which one can be used: whole, and as a library of which some names are needed.
pub fn check_file(bytes: &[u8]) {
    let input = Input::File {
        name: "input",
        bytes,
    };
    check_link(&[input], &LinkOptions::default());
    let options = LinkOptions {
        libraries: vec![input],
        process_symbols: false,
        ..LinkOptions::default()
    };
    let choices = Choices::of(bytes.last().copied().unwrap_or_default().into());
    check_link(&[Input::Graph(&CALLER)], &choices.applied_to(options));
}

/// Refers to names that the objects of the corpus define, so that members are pulled in.
static CALLER: LazyLock<Graph<'static>> = LazyLock::new(|| {
    let mut graph = Graph::new("caller", Architecture::X86_64);
    for protection in Protection::ALL {
        let content = Content::Bytes(vec![0xc3].into());
        let section = GraphSection::new("caller", protection, 16, content);
        graph.add_section(section).expect("a valid section");
    }
    for name in ["crc32", "square", "it", "f", "variable", "shared", "a", "b"] {
        let symbol = Symbol::undefined(name);
        graph.add_symbol(symbol).expect("a valid symbol");
    }
    let definition = Definition::Absolute(1);
    let symbol = Symbol::new("caller", definition).with_binding(Binding::Weak);
    graph.add_symbol(symbol).expect("a valid symbol");
    graph
});
