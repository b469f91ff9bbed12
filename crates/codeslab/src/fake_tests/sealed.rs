//! Sealed memory: what is closed to everybody, what is used again, and what a system without seals gives back.

use super::*;

/// The writers that can be sealed, on a system that seals mappings and on one that does not.
const KINDS: [(Writer, bool); 4] = [
    (Writer::DualMapping, true),
    (Writer::DualMapping, false),
    (Writer::FileWrite, true),
    (Writer::FileWrite, false),
];

fn sealed(kind: Writer) -> Options {
    Options {
        sealed: true,
        ..small_blocks(kind)
    }
}

fn system(seals_mappings: bool) -> Arc<Fake> {
    let fake = Arc::new(Fake::new(4096, 4096));
    if !seals_mappings {
        fake.unlearn(Seal::Mappings);
    }
    fake
}

/// An allocation full of these bytes.
fn publish(memory: &CodeMemory, sizes: [u64; 3], byte: u8) -> (crate::Allocation, [Address; 3]) {
    let (layout, sections) = layout(sizes);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    assert!(
        in_flight
            .bytes_mut(sections[2])
            .iter()
            .all(|byte| *byte == 0),
        "data begins as zero"
    );
    for section in sections {
        in_flight.bytes_mut(section).fill(byte);
    }
    let addresses = sections.map(|section| in_flight.address(section));
    (in_flight.finalize().unwrap(), addresses)
}

#[test]
fn code_is_closed_for_good_and_goes_on_being_written_used_and_freed() {
    for (kind, mappings) in KINDS {
        let fake = system(mappings);
        // Where the first reservation is given back for a better one.
        fake.randomize(300 * MIB);
        let memory = open(&fake, &sealed(kind));
        let writes = kind == Writer::DualMapping;
        assert_eq!(
            memory.configuration().sealing,
            Some(Sealing { writes, mappings })
        );
        let mut live = Vec::new();
        for round in 1..60 {
            live.push(publish(&memory, [150_000, 30_000, 20_000], round));
            let (_, [code, constants, data]) = live.last().expect("one at least");
            assert_eq!(fake.read(*code, 150_000), vec![round; 150_000], "{kind}");
            assert_eq!(fake.read(*constants, 30_000), vec![round; 30_000]);
            let pinned = [code, constants, data].map(|at| fake.is_pinned(*at));
            assert_eq!(pinned, [mappings, mappings, false], "{kind}");
            if round % 3 == 0 {
                let (gone, [code, ..]) = live.swap_remove(live.len() / 2);
                drop(gone);
                assert_eq!(fake.read(code, 150_000), vec![0xcc; 150_000], "{kind}");
            }
        }
        let (reservations, files, views) = fake.holdings();
        let seal = if writes { Seal::Writes } else { Seal::Size };
        assert!(fake.seals().iter().all(|one| *one == Some(seal)), "{kind}");
        assert_eq!((files, views), (reservations, usize::from(writes) * files));
        assert_eq!(fake.pinned_views(), usize::from(mappings) * views);
        assert!(memory.stats().blocks > 5);
    }
}

#[test]
fn what_is_sealed_in_its_place_is_used_again() {
    for (kind, mappings) in KINDS {
        let fake = system(mappings);
        let memory = open(&fake, &sealed(kind));
        let mut most = (0, 0);
        for round in 0..12 {
            // Usual requests and ones that need blocks of their own, in turns.
            let sizes = [[200_000, 10_000, 70_000], [3 * MIB, 10_000, MIB]][round % 2];
            let live: Vec<_> = (1..9).map(|byte| publish(&memory, sizes, byte)).collect();
            let codes: Vec<_> = live.iter().map(|(_, [code, ..])| *code).collect();
            drop(live);
            memory.trim();
            if mappings {
                let traps = |code: &Address| fake.read(*code, 200_000) == vec![0xcc; 200_000];
                assert!(
                    kind == Writer::FileWrite || codes.iter().all(traps),
                    "{kind}: what is kept traps"
                );
            }
            let stats = memory.stats();
            assert_eq!((stats.live, stats.used_bytes), (0, 0), "{kind}");
            let held = (fake.holdings().0, stats.reserved_bytes);
            if round < 2 {
                most = held;
            }
            assert_eq!(held, most, "{kind} round {round}");
        }
        let kept = memory.stats().blocks > 0;
        assert_eq!(kept, mappings, "{kind}");
        drop(memory);
        let (reservations, files, views) = fake.holdings();
        assert_eq!(files, 0, "{kind}");
        assert_eq!(reservations > 0, mappings, "{kind}");
        assert_eq!(views, fake.pinned_views(), "{kind}");
    }
}

#[test]
fn data_goes_back_from_sealed_memory() {
    let fake = system(true);
    let memory = open(&fake, &sealed(Writer::DualMapping));
    let live = publish(&memory, [MIB / 4, 0, MIB / 2], 1);
    let other = publish(&memory, [MIB / 2, 0, MIB / 4], 2);
    let full = memory.stats().committed_bytes;
    drop((live, other));
    memory.trim();
    let idle = memory.stats();
    assert!(
        idle.committed_bytes >= 3 * MIB / 4 && idle.committed_bytes <= full - 3 * MIB / 4,
        "{full:#x}, then {:#x}",
        idle.committed_bytes
    );
}

/// The life of a few allocations: small ones, and one that needs a block of its own.
fn round(memory: &CodeMemory) -> Result<(), Error> {
    let (small, sections) = layout([3_000, 2_000, 1_000]);
    let mut first = memory.allocate(&Request::new(&small))?;
    first.write(sections[0], 0, &[0x90; 3_000])?;
    let second = memory.allocate(&Request::new(&layout([2 * MIB, 100, 100_000]).0))?;
    first.finalize()?.free();
    second.finalize()?.free();
    Ok(())
}

#[test]
fn a_failure_of_any_call_is_rolled_back_and_sealed_memory_goes_on_working() {
    for (kind, mappings) in KINDS {
        let mut refused = 0;
        for failing in 0.. {
            let fake = system(mappings);
            let memory = open(&fake, &sealed(kind));
            fake.script(Script::Call(failing, Limit::Memory));
            let result = round(&memory);
            let reached = fake.calls().len() > failing;
            let context = format!("{kind} {mappings} call {failing}: {result:?}");
            assert!(
                matches!(result, Ok(()) | Err(Error::Refused(_))),
                "{context}"
            );
            refused += u32::from(result.is_err());
            let stats = memory.stats();
            assert_eq!((stats.live, stats.in_flight), (0, 0), "{context}");
            fake.script(Script::Nothing);
            round(&memory).unwrap_or_else(|error| panic!("{context}, then {error}"));
            drop(memory);
            let (reservations, files, views) = fake.holdings();
            assert_eq!(files, 0, "{context}");
            assert_eq!(views, fake.pinned_views(), "{context}");
            // A refused release leaves address space reserved; and what is sealed stays.
            assert!(mappings || reservations <= 1, "{context}");
            if !reached {
                break;
            }
        }
        assert!(refused > 6, "{kind}: only {refused} refusals showed");
    }
}

#[test]
fn a_seal_that_is_refused_leaves_no_view_and_no_file() {
    for refused in ["map_view", "seal_file"] {
        let fake = system(true);
        let memory = open(&fake, &sealed(Writer::DualMapping));
        fake.refuse(refused);
        let error = memory
            .allocate(&Request::new(&layout([16, 0, 0]).0))
            .unwrap_err();
        assert!(
            matches!(&error, Error::Refused(refusal) if refusal.call == refused),
            "{error}"
        );
        assert_eq!(fake.holdings(), (0, 0, 0), "{refused}");
    }
}

#[test]
fn writers_that_cannot_be_sealed_are_refused_and_passed_over() {
    let fake = Arc::new(Fake::new(4096, 4096));
    let wish = |kind| CodeMemory::on(Arc::clone(&fake) as Arc<dyn Platform>, &sealed(kind));
    for kind in [Writer::Protect, Writer::SelfMem] {
        let refused = wish(kind).unwrap_err();
        assert!(
            matches!(&refused, Error::WriterUnavailable { writer, reason }
                if *writer == kind && reason.contains("private memory")),
            "{refused}"
        );
    }
    let any = Options {
        sealed: true,
        ..Options::default()
    };
    let chosen = |fake: &Arc<Fake>| open(fake, &any).configuration();
    assert_eq!(chosen(&fake).writer, Writer::DualMapping);
    fake.unlearn(Seal::Writes);
    let refused = wish(Writer::DualMapping).unwrap_err();
    assert!(
        matches!(&refused, Error::WriterUnavailable { reason, .. }
            if reason.contains("the system does not offer it")),
        "{refused}"
    );
    let second = chosen(&fake);
    let (writes, mappings) = (false, true);
    assert_eq!(second.writer, Writer::FileWrite);
    assert_eq!(second.sealing, Some(Sealing { writes, mappings }));
    fake.unlearn(Seal::Size);
    let none = CodeMemory::on(fake.clone(), &any).unwrap_err();
    assert!(
        matches!(&none, Error::WriterUnavailable { reason, .. }
            if reason.matches("does not offer it").count() == 2),
        "{none}"
    );
    let unsealed = open(&fake, &Options::default()).configuration();
    assert_eq!(unsealed.sealing, None, "seals are for those who ask");
}

#[test]
fn a_forked_child_leaves_sealed_memory_alone() {
    let fake = system(true);
    let memory = open(&fake, &sealed(Writer::DualMapping));
    let first = publish(&memory, [3 * MIB, 0, 16], 1);
    let second = publish(&memory, [16, 0, 0], 2);
    // One block is parked.
    drop(first);
    fake.fork();
    fake.script(Script::Nothing);
    drop(second);
    drop(memory);
    assert_eq!(fake.calls(), Vec::<&str>::new());
}
