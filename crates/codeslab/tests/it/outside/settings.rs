//! The usual life of a memory, under whatever settings of the system there are: huge pages, control groups.

use super::with_each_writer;
use crate::support::{call_all, functions};
use codeslab::{CodeMemory, Error, Options, Request, Stats, Writer};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A number of mebibytes that `npm run test:matrix` sets for a condition.
fn mebibytes(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn memory(writer: Writer) -> CodeMemory {
    let options = Options {
        writer: Some(writer),
        max_committed: mebibytes("CODESLAB_TEST_BUDGET_MIB").map(|mib| mib << 20),
        ..Options::default()
    };
    CodeMemory::new(options).expect("an available writer")
}

/// MiB that the process takes: private memory that is resident, and what its memory files hold.
fn taken() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let paths = descriptors.flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        let target = std::fs::read_link(path).unwrap_or_default();
        target.to_string_lossy().contains("memfd:codeslab")
    };
    let files = paths.filter(is_ours).flat_map(std::fs::metadata);
    // There may be two descriptors of a file.
    let blocks: BTreeMap<_, _> = files.map(|file| (file.ino(), file.blocks())).collect();
    (kib.expect("a number of KiB") >> 10) + (blocks.values().sum::<u64>() >> 11)
}

#[test]
fn a_few_mebibytes_are_placed_called_freed_and_go_back_to_the_system() {
    const NAME: &str =
        "outside::settings::a_few_mebibytes_are_placed_called_freed_and_go_back_to_the_system";
    let condition = std::env::var("CODESLAB_TEST_CONDITION");
    let condition = condition.unwrap_or("the settings that are usual here".to_owned());
    with_each_writer(NAME, &condition, |writer| {
        let memory = memory(writer);
        let before = taken();
        let mut live = functions(&memory, 400, 10_000);
        let most = taken().saturating_sub(before);
        call_all(&live, writer);
        live.retain(|(_, _, value)| value % 3 == 0);
        live.extend(functions(&memory, 200, 9_000));
        call_all(&live, writer);
        drop(live);
        memory.trim();
        assert_eq!(memory.stats(), Stats::default(), "{writer}");
        format!("passes, {most} MiB for 4 MiB of code")
    });
}

#[test]
fn memory_is_filled_until_it_is_refused_or_there_is_enough() {
    const NAME: &str = "outside::settings::memory_is_filled_until_it_is_refused_or_there_is_enough";
    let enough = mebibytes("CODESLAB_TEST_FILL_MIB").unwrap_or(24) << 20;
    with_each_writer(NAME, "24 MiB of code", |writer| {
        let memory = memory(writer);
        let mut live = Vec::new();
        let (layout, _) = crate::support::layout([60_000, 0, 0]);
        let refused = loop {
            if memory.stats().used_bytes >= enough {
                break None;
            }
            let placed = memory.allocate(&Request::new(&layout));
            match placed.and_then(codeslab::InFlightAllocation::finalize) {
                Ok(allocation) => live.push(allocation),
                Err(error) => break Some(error),
            }
        };
        let (first, at) = crate::support::function(&memory, 4);
        assert_eq!(crate::support::call(at), 4);
        drop((first, live));
        refused
            .as_ref()
            .map_or("passes".to_owned(), |refused: &Error| {
                format!("`{}`, and goes on", refused.code())
            })
    });
}
