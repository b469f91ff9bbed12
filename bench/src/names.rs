//! Links with very many names: whether a name among 100,000 takes as long as one among 10,000.
#![allow(unsafe_code)] // Starting what was linked runs it: here nothing.

use crate::allocator::unhardened;
use crate::link::median;
use crate::report::Report;
use codeslab::{Address, Architecture, CodeMemory, Protection};
use codeslab_link::{
    Content, Definition, Graph, GraphSection, Input, LinkOptions, Relocation, RelocationKind,
    Symbol, link,
};
use std::error::Error;
use std::time::{Duration, Instant};

/// What all are compared with.
const FIRST: u32 = 10_000;

/// How often each number of names is linked.
const ROUNDS: u32 = 7;

/// Names that the embedder gives addresses.
pub(crate) fn externals(_: &str, count: u32) -> Result<Report, Box<dyn Error>> {
    compare(count, |count| {
        let named = (1..=count).map(|number| (name(number), Address::new(number.into())));
        let options = LinkOptions {
            externals: named.collect(),
            ..LinkOptions::default()
        };
        Ok((graph(count, |_| Definition::Undefined)?, options))
    })
}

/// Tentative definitions of C.
pub(crate) fn commons(_: &str, count: u32) -> Result<Report, Box<dyn Error>> {
    compare(count, |count| {
        let common = |_| Definition::Common { size: 8, align: 8 };
        Ok((graph(count, common)?, LinkOptions::default()))
    })
}

/// Names that nothing defines: the error tells all of them, and what needs each.
pub(crate) fn undefined(_: &str, count: u32) -> Result<Report, Box<dyn Error>> {
    compare(count, |count| {
        Ok((
            graph(count, |_| Definition::Undefined)?,
            LinkOptions::default(),
        ))
    })
}

type Case = (Graph<'static>, LinkOptions<'static>);

/// The time of a name among `count` of them, and against that of one among the first.
fn compare(
    count: u32,
    case: impl Fn(u32) -> Result<Case, Box<dyn Error>>,
) -> Result<Report, Box<dyn Error>> {
    let memory = unhardened()?;
    let (few, many) = (case(FIRST)?, case(count)?);
    let (mut few_times, mut many_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        few_times.push(time(&memory, &few)?);
        many_times.push(time(&memory, &many)?);
    }
    let report = |count: u32, times: &mut [Duration]| Report {
        objects: count.into(),
        elapsed: median(times),
        ..Report::default()
    };
    let first = report(FIRST, &mut few_times).us_per_object();
    let mut report = report(count, &mut many_times);
    report.add("times_first", report.us_per_object() / first);
    Ok(report)
}

fn time(memory: &CodeMemory, (graph, options): &Case) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let linked = link(memory, &[Input::Graph(graph)], options);
    let elapsed = start.elapsed();
    match linked {
        // SAFETY: there is nothing to run in it.
        Ok(linked) => drop(unsafe { linked.start() }?),
        Err(error) if error.code() == "UNDEFINED_SYMBOL" => {}
        Err(error) => return Err(error.into()),
    }
    Ok(elapsed)
}

fn name(number: u32) -> String {
    format!("a_name_as_long_as_many_{number}")
}

/// An object with so many symbols, and a word of data with the address of each.
fn graph(
    count: u32,
    definition: impl Fn(u32) -> Definition,
) -> Result<Graph<'static>, Box<dyn Error>> {
    const WORD: u64 = 8;
    let mut graph = Graph::new("names", Architecture::X86_64);
    let words = Content::Bytes(vec![0; count as usize * WORD as usize].into());
    let data = GraphSection::new(".data", Protection::ReadWrite, WORD, words);
    let data = graph.add_section(data)?;
    let kind = RelocationKind::from_name("R_X86_64_64").ok_or("a relocation type")?;
    for number in 1..=count {
        let symbol = graph.add_symbol(Symbol::new(name(number), definition(number)))?;
        let offset = u64::from(number - 1) * WORD;
        let relocation = Relocation {
            offset,
            kind,
            symbol,
            addend: 0,
        };
        graph.add_relocation(data, relocation)?;
    }
    Ok(graph)
}
