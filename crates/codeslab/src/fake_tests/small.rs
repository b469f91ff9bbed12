//! What Miri runs, which looks at every access to memory: a system with little address space, on which each writer does all it does.
//!
//! `cargo +nightly miri test -p codeslab --lib -- fake_tests::small sync:: sys::`

use super::*;

/// A system on which a reservation has at most a mebibyte.
fn system() -> Arc<Fake> {
    let fake = Arc::new(Fake::new(4096, 4096));
    fake.shrink(MIB);
    fake
}

fn options(kind: Writer) -> Options {
    Options {
        block_size: Some(MIB / 2),
        ..writer(kind)
    }
}

/// An allocation full of these bytes.
fn publish(memory: &CodeMemory, byte: u8) -> (crate::Allocation, [Address; 3]) {
    let (layout, sections) = layout([100, 40, 30]);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    for section in sections {
        in_flight.bytes_mut(section).fill(byte);
    }
    let addresses = sections.map(|section| in_flight.address(section));
    (in_flight.finalize().unwrap(), addresses)
}

#[test]
fn where_address_space_is_short_every_writer_publishes_frees_and_publishes_again() {
    for kind in Writer::ALL {
        let fake = system();
        let memory = open(&fake, &options(kind));
        for byte in 1..4 {
            let (first, addresses) = publish(&memory, byte);
            let (second, _) = publish(&memory, 9);
            for (at, size) in addresses.into_iter().zip([100, 40, 30]) {
                assert_eq!(fake.read(at, size), vec![byte; size as usize], "{kind}");
            }
            first.free();
            second.free();
        }
        drop(memory);
        assert_eq!(fake.holdings(), (0, 0, 0), "{kind}");
    }
}

#[test]
fn what_one_thread_publishes_another_may_free_while_both_go_on() {
    let fake = system();
    let memory = open(&fake, &options(Writer::DualMapping));
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        scope.spawn(|| receive.into_iter().for_each(crate::Allocation::free));
        for byte in 1..8 {
            send.send(publish(&memory, byte).0).unwrap();
            publish(&memory, byte).0.free();
        }
        drop(send);
    });
    assert_eq!(memory.stats().live, 0);
}

#[test]
fn a_slot_says_where_it_leads_and_its_word_is_what_changes() {
    if crate::architecture().is_err() {
        return;
    }
    for kind in Writer::ALL {
        let fake = system();
        let memory = open(&fake, &options(kind));
        let (first, second) = (Address::new(0x1000), Address::new(0x2000));
        let slot = crate::Slot::new(&memory, first, &[]).unwrap();
        let (word, size) = slot.allocation().segment(Protection::ReadWrite).unwrap();
        let entry = (slot.address(), fake.read(slot.address(), 16));
        assert_eq!((slot.target(), size), (first, 16), "{kind}");
        assert_eq!(slot.replace(second), first, "{kind}");
        assert_eq!(slot.target(), second, "{kind}");
        assert_eq!(fake.read(word, 8), second.value().to_ne_bytes(), "{kind}");
        assert_eq!(entry, (slot.address(), fake.read(slot.address(), 16)));
        drop(slot);
        assert_eq!(memory.stats().live, 0, "{kind}");
    }
}
