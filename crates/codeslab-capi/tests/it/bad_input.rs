//! What a C program can do wrong with the interface, and what it is told.
#![allow(unsafe_code, reason = "the interface is that of C")]
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "many calls have one condition in common"
)]

use crate::support::*;
use codeslab_capi::*;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn null_is_an_error_wherever_something_is_needed() {
    let memory = open();
    let bad = CODESLAB_INVALID_ARGUMENT;
    // SAFETY: null is what a program may pass, and other pointers are to what is said.
    unsafe {
        assert_eq!(codeslab_open(ptr::null(), None), bad);
        assert_eq!(
            codeslab_allocate(memory, ptr::null_mut(), 1, ptr::null(), 0, None),
            bad
        );
        assert_eq!(
            result(|place| codeslab_allocate(memory, ptr::null_mut(), 1, ptr::null(), 0, place))
                .err(),
            Some(bad)
        );
        assert_eq!(last_error().1, [("argument".into(), "sections".into())]);
        let mut sections = [section(CODESLAB_READ_WRITE, 8, 8)];
        let start = sections.as_mut_ptr();
        assert_eq!(
            result(|place| codeslab_allocate(memory, start, 1, ptr::null(), 1, place)).err(),
            Some(bad)
        );
        let in_flight = allocate(memory, &mut sections, &[]).unwrap();
        assert_eq!(codeslab_write(in_flight, 0, 0, ptr::null(), 4), bad);
        assert_eq!(
            codeslab_write(in_flight, 0, 0, ptr::null(), 0),
            CODESLAB_OK,
            "nothing is needed"
        );
        assert_eq!(codeslab_finalize(in_flight, None), bad);
        assert_eq!(
            codeslab_abandon(in_flight),
            CODESLAB_OK,
            "it is still there"
        );
        assert_eq!(codeslab_free_many(ptr::null(), 3), bad);
        assert_eq!(codeslab_free_many(ptr::null(), 0), CODESLAB_OK);
        assert_eq!(codeslab_stats(memory, None), bad);
        assert_eq!(codeslab_find(memory, 0, None), bad);
        assert_eq!(codeslab_layout(memory, ptr::null_mut(), 1, None), bad);
        assert_eq!(codeslab_last_error(None), bad);
        assert_eq!(codeslab_process_symbol(ptr::null(), None), bad);
        assert_eq!(
            result(|place| codeslab_process_symbol(ptr::null(), place)).err(),
            Some(bad)
        );
        assert_eq!(
            result(|place| codeslab_link_objects(memory, ptr::null(), 1, ptr::null(), place)).err(),
            Some(bad)
        );
    }
}

#[test]
fn options_that_are_none_are_refused_by_name() {
    type Mistake = fn(&mut codeslab_options);
    let mistakes: [(Mistake, &str); 6] = [
        (|options| options.struct_size = 8, "options"),
        (|options| options.struct_size = usize::MAX, "options"),
        (|options| options.code_model = 4, "code_model"),
        (|options| options.writer = 7, "writer"),
        (|options| options.quarantine = 3, "quarantine"),
        (|options| options.flags = 32, "flags"),
    ];
    for (make, argument) in mistakes {
        let mut options = options();
        make(&mut options);
        assert_eq!(open_with(&options).err(), Some(CODESLAB_INVALID_ARGUMENT));
        assert_eq!(last_error().1, [("argument".into(), argument.into())]);
    }
    let odd = codeslab_options {
        block_size: 12345,
        ..options()
    };
    assert_eq!(open_with(&odd).err(), Some(CODESLAB_INVALID_BLOCK_SIZE));
}

#[test]
fn requests_that_cannot_be_met_take_nothing() {
    let memory = open();
    let place = |section| allocate(memory, &mut [section], &[]).err();
    let code = CODESLAB_READ_EXECUTE;
    assert_eq!(place(section(3, 8, 8)), Some(CODESLAB_INVALID_ARGUMENT));
    assert_eq!(place(section(code, 8, 3)), Some(CODESLAB_INVALID_ALIGNMENT));
    assert_eq!(place(section(code, 8, 0)), Some(CODESLAB_INVALID_ALIGNMENT));
    assert_eq!(place(section(code, u64::MAX, 1)), Some(CODESLAB_TOO_LARGE));
    assert_eq!(place(section(code, 1 << 40, 1)), Some(CODESLAB_TOO_LARGE));
    assert_eq!(place(section(code, 0, 1)), Some(CODESLAB_EMPTY_REQUEST));
    assert_eq!(
        allocate(memory, &mut [], &[]).err(),
        Some(CODESLAB_EMPTY_REQUEST)
    );
    let other_lifetime = codeslab_section {
        lifetime: 2,
        ..section(code, 8, 8)
    };
    assert_eq!(place(other_lifetime), Some(CODESLAB_INVALID_ARGUMENT));
    let backwards = codeslab_window { first: 2, last: 1 };
    let mut sections = [section(code, 8, 8)];
    let placed = allocate(memory, &mut sections, &[backwards]);
    assert_eq!(placed.err(), Some(CODESLAB_INVALID_ARGUMENT));
    let start = sections.as_mut_ptr();
    let huge = result(|place| {
        // SAFETY: so many sections are refused before any is read.
        unsafe { codeslab_allocate(memory, start, usize::MAX, ptr::null(), 0, place) }
    });
    assert_eq!(huge.err(), Some(CODESLAB_INVALID_ARGUMENT));
    assert_eq!(stats(memory).used_bytes, 0);
}

#[test]
fn writes_stay_inside_of_their_section() {
    let memory = open();
    let mut sections = [section(CODESLAB_READ_EXECUTE, 8, 8)];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    // SAFETY: eight bytes are there.
    let write = |section, offset| unsafe {
        codeslab_write(in_flight, section, offset, [0_u64].as_ptr().cast(), 8)
    };
    assert_eq!(write(0, 1), CODESLAB_OUT_OF_BOUNDS);
    assert_eq!(write(1, 0), CODESLAB_INVALID_ARGUMENT);
    assert_eq!(codeslab_shrink(in_flight, 0, 9), CODESLAB_OUT_OF_BOUNDS);
    assert_eq!(codeslab_shrink(in_flight, 0, 4), CODESLAB_OK);
    assert_eq!(codeslab_abandon(in_flight), CODESLAB_OK);
    assert_eq!(stats(memory).used_bytes, 0);
}

#[test]
fn a_handle_is_stale_once_its_object_is_gone_and_of_no_other_kind() {
    let memory = open();
    let stale = CODESLAB_STALE_HANDLE;
    let mut sections = [section(CODESLAB_READ_WRITE, 8, 8)];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    let value = in_flight.value;
    assert_eq!(
        codeslab_free(codeslab_allocation { value }),
        stale,
        "another kind"
    );
    assert_eq!(codeslab_close(codeslab_memory { value }), stale);
    let allocation = finalize(in_flight).unwrap();
    assert_eq!(codeslab_abandon(in_flight), stale);
    assert_eq!(finalize(in_flight).err(), Some(stale));
    assert_eq!(codeslab_free(allocation), CODESLAB_OK);
    assert_eq!(codeslab_free(allocation), stale, "twice");
    // Its slot is used again, which the old handle does not reach.
    let again = allocate(memory, &mut sections, &[]).unwrap();
    assert_eq!(codeslab_free(allocation), stale);
    assert_eq!(codeslab_abandon(again), CODESLAB_OK);
    // Slots that are not there, and generations that no slot has yet.
    for value in [0, 1, u64::MAX, 1 << 32 | 0x7fff_fffe, 0xffff_ffff, 1 << 63] {
        let memory = codeslab_memory { value };
        assert_eq!(codeslab_close(memory), stale, "{value:#x}");
        assert_eq!(
            result(|place| codeslab_stats(memory, place)).err(),
            Some(stale)
        );
    }
    assert_eq!(last_error().0, "STALE_HANDLE");
    assert_eq!(codeslab_close(memory), CODESLAB_OK);
    assert_eq!(allocate(memory, &mut sections, &[]).err(), Some(stale));
}

#[test]
fn an_allocation_outlives_the_handle_of_its_memory() {
    let memory = open();
    let mut sections = [section(CODESLAB_READ_EXECUTE, 16, 16)];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    write(&sections[0], &returning(3));
    assert_eq!(codeslab_close(memory), CODESLAB_OK);
    let allocation = finalize(in_flight).unwrap();
    assert_eq!(call(sections[0].address), 3);
    assert_eq!(codeslab_free(allocation), CODESLAB_OK);
}

#[test]
fn of_threads_that_free_one_allocation_exactly_one_does() {
    let memory = open();
    let freed = AtomicUsize::new(0);
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        let mut handles = Vec::new();
        for _ in 0..500 {
            let mut sections = [section(CODESLAB_READ_EXECUTE, 16, 16)];
            handles.push(finalize(allocate(memory, &mut sections, &[]).unwrap()).unwrap());
        }
        let handles = std::sync::Arc::new(handles);
        for _ in 0..4 {
            let (handles, freed, barrier) = (handles.clone(), &freed, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for handle in handles.iter() {
                    match codeslab_free(*handle) {
                        CODESLAB_OK => drop(freed.fetch_add(1, Ordering::Relaxed)),
                        status => assert!([CODESLAB_STALE_HANDLE, CODESLAB_BUSY].contains(&status)),
                    }
                }
            });
        }
    });
    assert_eq!((freed.into_inner(), stats(memory).live), (500, 0));
}

#[test]
fn threads_place_call_and_free_in_one_memory() {
    let memory = open();
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                for _ in 0..200 {
                    let mut sections = [section(CODESLAB_READ_EXECUTE, 16, 16)];
                    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
                    write(&sections[0], &returning(number));
                    let allocation = finalize(in_flight).unwrap();
                    assert_eq!(call(sections[0].address), number);
                    assert_eq!(codeslab_free(allocation), CODESLAB_OK);
                }
            });
        }
    });
    assert_eq!(stats(memory).live, 0);
}

#[test]
fn an_error_belongs_to_the_thread_to_which_it_happened() {
    let missing = || {
        // SAFETY: the name has an end.
        result(|place| unsafe { codeslab_process_symbol(c"no_such_symbol".as_ptr(), place) })
    };
    assert_eq!(missing(), Err(CODESLAB_UNDEFINED_SYMBOL));
    let elsewhere = std::thread::spawn(|| result(|place| codeslab_last_error(place)).err());
    assert_eq!(
        elsewhere.join().unwrap(),
        Some(CODESLAB_INVALID_ARGUMENT),
        "there is none"
    );
    let (code, facts) = last_error();
    assert_eq!(code, "UNDEFINED_SYMBOL");
    assert_eq!(facts, [("symbol".into(), "no_such_symbol".into())]);
    assert_eq!(
        result(|place| codeslab_last_error_fact(1, place)).err(),
        Some(CODESLAB_INVALID_ARGUMENT)
    );
}
