//! One scenario per process, one line of JSON per scenario: `codeslab-bench SCENARIO FILE REPETITIONS`.
//!
//! A process of its own for each sample keeps the memory and the mappings of one scenario out of the figures of the next, and lets
//! the caller (`bench/run.ts`) interleave the samples of several programs, so that a slow minute of the machine slows all of them.

mod allocator;
mod churn;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod foreign;
mod holes;
mod link;
mod measure;
mod million;
mod names;
#[cfg(feature = "peers")]
mod peers;
mod replay;
mod report;
mod sizes;
mod trace;

use allocator::Hardened;
use codeslab::CodeMemory;
#[cfg(feature = "peers")]
use peers::{arena, jit_allocator2};
use report::Report;
use std::error::Error;
use std::process::ExitCode;

/// What a scenario is given: a file, if it reads one, and how often to work through it.
type Scenario = fn(&str, u32) -> Result<Report, Box<dyn Error>>;

/// To add a scenario, write the function and add a row here and in `bench/scenarios.ts`.
const SCENARIOS: &[(&str, Scenario)] = &[
    #[cfg(target_os = "linux")]
    ("replay-floor", floor::replay),
    ("replay", replay::replay),
    ("replay-hardened", replay::replay_hardened),
    ("replay-batches", replay::replay_batches),
    ("replay-batches-hardened", replay::replay_batches_hardened),
    ("link", link::link_archive),
    ("externals", names::externals),
    ("commons", names::commons),
    ("undefined", names::undefined),
    ("churn", churn::one_thread::<CodeMemory>),
    ("churn-hardened", churn::one_thread::<Hardened>),
    ("churn-2", churn::two_threads::<CodeMemory>),
    ("holes", holes::refill::<CodeMemory>),
    ("million", million::keep::<CodeMemory>),
    #[cfg(target_os = "linux")]
    ("foreign", foreign::place_among),
    #[cfg(target_os = "linux")]
    ("claim", foreign::claim_among),
    #[cfg(target_os = "linux")]
    ("alone", foreign::place_alone),
    #[cfg(feature = "peers")]
    ("replay-jit-allocator2", jit_allocator2::replay),
    #[cfg(feature = "peers")]
    ("replay-arena", arena::replay_one_by_one),
    #[cfg(feature = "peers")]
    ("replay-arena-at-once", arena::replay_at_once),
    #[cfg(feature = "peers")]
    (
        "churn-jit-allocator2",
        churn::one_thread::<jit_allocator2::Unlocked>,
    ),
    #[cfg(feature = "peers")]
    (
        "churn-2-jit-allocator2",
        churn::two_threads::<jit_allocator2::Locked>,
    ),
    #[cfg(feature = "peers")]
    (
        "holes-jit-allocator2",
        holes::refill::<jit_allocator2::Unlocked>,
    ),
    #[cfg(feature = "peers")]
    (
        "million-jit-allocator2",
        million::keep::<jit_allocator2::Unlocked>,
    ),
    #[cfg(feature = "peers")]
    ("million-arena", arena::keep_at_once),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<Report, Box<dyn Error>> {
    let [name, file, repetitions] = arguments else {
        return Err(usage().into());
    };
    let (_, scenario) = SCENARIOS
        .iter()
        .find(|(known, _)| known == name)
        .ok_or_else(usage)?;
    scenario(file, repetitions.parse()?)
}

fn usage() -> String {
    let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    format!(
        "usage: codeslab-bench {{{}}} FILE REPETITIONS",
        names.join("|")
    )
}
