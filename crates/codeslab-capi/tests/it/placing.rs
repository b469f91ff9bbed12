//! What C gets done: placed, called, found, counted, replaced, linked and freed.
#![allow(unsafe_code, reason = "the interface is that of C")]

use crate::support::*;
use codeslab_capi::*;
use codeslab_testing::{Compiler, Library, archive};
use std::ffi::CString;
use std::ptr;

#[test]
fn code_is_written_published_called_and_freed_near_its_data() {
    let memory = open();
    let code = returning(42);
    let mut sections = [
        section(CODESLAB_READ_EXECUTE, code.len() as u64, 16),
        section(CODESLAB_READ_ONLY, 5, 1),
        section(CODESLAB_READ_WRITE, 4096, 64),
        section(CODESLAB_READ_EXECUTE, 0, 1),
    ];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    write(&sections[0], &code);
    write(&sections[1], b"table");
    assert_eq!(stats(memory).in_flight, 1);
    let block = result(|place| codeslab_block(in_flight, place)).unwrap();
    for section in &sections {
        assert_eq!(section.address % section.align, 0);
        assert!(block.first <= section.address && section.address <= block.last);
    }
    let allocation = finalize(in_flight).unwrap();
    assert_eq!(call(sections[0].address), 42);
    let found = result(|place| codeslab_find(memory, sections[1].address + 2, place)).unwrap();
    assert_eq!(
        (found.address, found.protection),
        (sections[1].address, CODESLAB_READ_ONLY)
    );
    let mut size = 0;
    let address = result(|address| {
        let found = result(|size| codeslab_segment(allocation, CODESLAB_READ_WRITE, address, size));
        found.map_or_else(
            |status| status,
            |found| {
                size = found;
                CODESLAB_OK
            },
        )
    });
    assert_eq!((address, size), (Ok(sections[2].address), 4096));
    assert_eq!(codeslab_free(allocation), CODESLAB_OK);
    assert_eq!((stats(memory).live, stats(memory).used_bytes), (0, 0));
    assert_eq!(codeslab_close(memory), CODESLAB_OK);
}

#[test]
fn what_is_needed_for_finalization_only_goes_before_the_rest_and_is_in_reach_of_it() {
    let memory = open();
    let code = returning(7);
    let mut sections = [
        temporary(CODESLAB_READ_EXECUTE, code.len() as u64, 16),
        section(CODESLAB_READ_EXECUTE, code.len() as u64, 16),
        temporary(CODESLAB_READ_ONLY, 100, 8),
        section(CODESLAB_READ_WRITE, 8, 8),
    ];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    write(&sections[0], &code);
    write(&sections[1], &code);
    let reach = result(|place| codeslab_get_configuration(memory, place))
        .unwrap()
        .reach;
    let addresses = sections.map(|section| section.address);
    let block = result(|place| codeslab_block(in_flight, place)).unwrap();
    let is_inside = |one: &u64| (block.first..=block.last).contains(one);
    assert!(addresses.iter().all(is_inside), "all of it is one request");
    for one in addresses {
        assert!(one != 0 && addresses.iter().all(|other| one.abs_diff(*other) < reach));
    }
    let allocation = finalize(in_flight).unwrap();
    assert_eq!((call(addresses[0]), call(addresses[1])), (7, 7));
    let before = stats(memory).used_bytes;
    assert_eq!(codeslab_end_finalization(allocation), CODESLAB_OK);
    assert!(stats(memory).used_bytes <= before - 100, "they are freed");
    let gone = result(|place| codeslab_find(memory, addresses[0], place)).unwrap();
    assert_eq!((gone.size, call(addresses[1])), (0, 7));
    assert_eq!(
        codeslab_end_finalization(allocation),
        CODESLAB_OK,
        "once more does nothing"
    );
    assert_eq!(codeslab_free(allocation), CODESLAB_OK);
    assert_eq!(stats(memory).used_bytes, 0);
}

#[test]
fn nothing_of_a_request_stays_if_what_is_needed_for_finalization_finds_no_place() {
    let memory = open_with(&codeslab_options {
        max_committed: 1 << 20,
        ..options()
    })
    .unwrap();
    let mut sections = [
        section(CODESLAB_READ_EXECUTE, 64, 16),
        temporary(CODESLAB_READ_WRITE, 4 << 20, 16),
    ];
    assert_eq!(
        allocate(memory, &mut sections, &[]).err(),
        Some(CODESLAB_COMMIT_BUDGET)
    );
    let (code, facts) = last_error();
    assert_eq!(code, "COMMIT_BUDGET");
    assert!(
        facts.contains(&("limit".into(), "max-committed".into())),
        "{facts:?}"
    );
    assert_eq!((stats(memory).used_bytes, stats(memory).in_flight), (0, 0));
}

#[test]
fn everything_lies_in_the_windows_or_the_answer_says_what_is_in_the_way() {
    let memory = open();
    let mut sections = [section(CODESLAB_READ_EXECUTE, 4096, 16)];
    let low = codeslab_window {
        first: 0,
        last: 0x7fff_ffff,
    };
    let in_flight = allocate(memory, &mut sections, &[low]).unwrap();
    assert!(sections[0].address + 4096 <= 1 << 31);
    assert_eq!(codeslab_abandon(in_flight), CODESLAB_OK);
    let high = codeslab_window {
        first: 1 << 40,
        last: 1 << 41,
    };
    let both = allocate(memory, &mut sections, &[low, high]);
    assert_eq!(both.err(), Some(CODESLAB_CONFLICTING_WINDOWS));
    let first_page = codeslab_window {
        first: 0,
        last: 4095,
    };
    let taken = allocate(memory, &mut sections, &[first_page]);
    assert_eq!(taken.err(), Some(CODESLAB_OUT_OF_REACH));
    let (code, facts) = last_error();
    assert_eq!(code, "OUT_OF_REACH");
    assert!(
        facts.contains(&("windowLast".into(), "4095".into())),
        "{facts:?}"
    );
}

#[test]
fn batches_are_published_and_freed_whole_or_not_at_all() {
    let memory = open();
    let place = || {
        let mut sections = [section(CODESLAB_READ_EXECUTE, 16, 16)];
        let in_flight = allocate(memory, &mut sections, &[]).unwrap();
        write(&sections[0], &returning(9));
        (in_flight, sections[0].address)
    };
    let many: Vec<_> = (0..20).map(|_| place()).collect();
    let handles: Vec<_> = many.iter().map(|(handle, _)| *handle).collect();
    let mut published = vec![codeslab_allocation { value: 0 }; 20];
    // SAFETY: both arrays have 20 elements.
    let publish = |handles: &[codeslab_in_flight], into: *mut codeslab_allocation| unsafe {
        codeslab_finalize_many(memory, handles.as_ptr(), handles.len(), into)
    };
    let mut twice = handles.clone();
    twice[19] = twice[3];
    assert_eq!(publish(&twice, published.as_mut_ptr()), CODESLAB_BUSY);
    assert_eq!(last_error().1.last(), Some(&("index".into(), "19".into())));
    assert_eq!(publish(&handles, published.as_mut_ptr()), CODESLAB_OK);
    assert!(many.iter().all(|(_, address)| call(*address) == 9));
    // SAFETY: the array has as many elements.
    let free = |all: &[codeslab_allocation]| unsafe { codeslab_free_many(all.as_ptr(), all.len()) };
    let mut with_stale = published.clone();
    with_stale.push(codeslab_allocation {
        value: handles[0].value,
    });
    assert_eq!(free(&with_stale), CODESLAB_STALE_HANDLE);
    assert_eq!(stats(memory).live, 20, "none is freed");
    assert_eq!(free(&published), CODESLAB_OK);
    assert_eq!(stats(memory).live, 0);
}

#[test]
fn freed_code_waits_for_its_grace_period_where_that_is_asked_for() {
    let quarantine = CODESLAB_QUARANTINE_INTACT;
    let memory = open_with(&codeslab_options {
        quarantine,
        ..options()
    })
    .unwrap();
    let mut sections = [section(CODESLAB_READ_EXECUTE, 64, 16)];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    write(&sections[0], &returning(5));
    let allocation = finalize(in_flight).unwrap();
    assert_eq!(codeslab_free(allocation), CODESLAB_OK);
    assert_eq!(
        (call(sections[0].address), stats(memory).quarantined_bytes),
        (5, 64)
    );
    let period = result(|place| codeslab_begin_grace_period(memory, place)).unwrap();
    assert_eq!(
        codeslab_end_grace_period(memory, period + 1),
        CODESLAB_INVALID_ARGUMENT
    );
    assert_eq!(codeslab_end_grace_period(memory, period), CODESLAB_OK);
    assert_eq!(stats(memory).quarantined_bytes, 0);
}

#[test]
fn a_layout_lists_blocks_slabs_and_spans_and_says_how_many_there_are() {
    let memory = open();
    let mut sections = [
        section(CODESLAB_READ_EXECUTE, 64, 16),
        section(CODESLAB_READ_WRITE, 32, 16),
    ];
    let in_flight = allocate(memory, &mut sections, &[]).unwrap();
    // SAFETY: there is no room, as is said.
    let count = result(|place| unsafe { codeslab_layout(memory, ptr::null_mut(), 0, place) });
    let count = count.unwrap();
    let mut pieces = Vec::with_capacity(count);
    // SAFETY: there is room for so many.
    let again =
        result(|place| unsafe { codeslab_layout(memory, pieces.as_mut_ptr(), count, place) });
    assert_eq!(again, Ok(count));
    // SAFETY: as many were written.
    unsafe { pieces.set_len(count) };
    assert_eq!(pieces[0].kind, CODESLAB_PIECE_BLOCK);
    let spans = pieces
        .iter()
        .filter(|piece| piece.kind == CODESLAB_PIECE_SPAN);
    let spans: Vec<_> = spans
        .map(|span| (span.address, span.size, span.detail))
        .collect();
    let expected = sections.map(|section| (section.address, section.size, section.protection));
    assert_eq!(spans, expected);
    assert_eq!(codeslab_abandon(in_flight), CODESLAB_OK);
}

#[test]
fn a_slot_leads_where_it_was_pointed_to_last() {
    let memory = open();
    let place = |number| {
        let mut sections = [section(CODESLAB_READ_EXECUTE, 16, 16)];
        let in_flight = allocate(memory, &mut sections, &[]).unwrap();
        write(&sections[0], &returning(number));
        finalize(in_flight).unwrap();
        sections[0].address
    };
    let (one, two) = (place(1), place(2));
    let mut entry = 0;
    let slot = result(|slot| {
        // SAFETY: there are no windows.
        let made =
            result(|place| unsafe { codeslab_slot_new(memory, one, ptr::null(), 0, place, slot) });
        made.map_or_else(
            |status| status,
            |made| {
                entry = made;
                CODESLAB_OK
            },
        )
    });
    let slot = slot.unwrap();
    assert_eq!(call(entry), 1);
    assert_eq!(
        result(|place| codeslab_slot_replace(slot, two, place)),
        Ok(one)
    );
    assert_eq!(call(entry), 2);
    assert_eq!(codeslab_slot_free(slot), CODESLAB_OK);
    assert_eq!(
        codeslab_slot_replace(slot, one, None),
        CODESLAB_STALE_HANDLE
    );
}

#[cfg(unix)]
#[test]
fn a_real_archive_is_linked_and_its_functions_are_called() {
    let memory = open();
    let path = archive(Library::Zlib, &Compiler::host()).expect("zlib is built");
    let name = CString::new(path.to_str().expect("a path in UTF-8")).unwrap();
    let input = codeslab_input {
        kind: CODESLAB_INPUT_PATH,
        name: name.as_ptr(),
        bytes: ptr::null(),
        size: 0,
        image: codeslab_image { value: 0 },
    };
    let link = |input: &codeslab_input| {
        // SAFETY: the input is there, and zlib is sound.
        result(|place| unsafe { codeslab_link_objects(memory, input, 1, ptr::null(), place) })
    };
    let image = link(&input).unwrap_or_else(|_| panic!("{:?}", last_error()));
    let symbol = |name: &std::ffi::CStr| {
        // SAFETY: the name has an end.
        result(|place| unsafe { codeslab_image_symbol(image, name.as_ptr(), place) })
    };
    let crc32 = symbol(c"crc32").unwrap();
    // SAFETY: that is how zlib declares it.
    let crc32: extern "C" fn(u64, *const u8, u32) -> u64 =
        unsafe { std::mem::transmute(crc32 as usize) };
    assert_eq!(crc32(0, b"123456789".as_ptr(), 9), 0xcbf4_3926);
    assert_eq!(symbol(c"no_such_symbol"), Err(CODESLAB_UNDEFINED_SYMBOL));
    let missing = codeslab_input {
        name: c"/no/such/file.o".as_ptr(),
        ..input
    };
    assert_eq!(link(&missing).err(), Some(CODESLAB_UNREADABLE));
    assert_eq!(codeslab_image_free(image), CODESLAB_OK);
    assert_eq!(codeslab_image_free(image), CODESLAB_STALE_HANDLE);
    assert_eq!(stats(memory).live, 0);
}

#[test]
fn a_memory_says_what_of_its_flags_came_to_be() {
    let asked = CODESLAB_GUARD_PAGES | CODESLAB_NOT_HARDENED | CODESLAB_CONSTANTS_WITH_CODE;
    let mut options = options();
    options.flags = asked | CODESLAB_BRANCH_PROTECTION;
    let memory = open_with(&options).unwrap();
    let found = result(|place| codeslab_get_configuration(memory, place)).unwrap();
    // Whether there is branch protection is for the processor to say.
    assert_eq!(found.flags & !CODESLAB_BRANCH_PROTECTION, asked);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(found.flags, asked);
    }
    assert_eq!(codeslab_close(memory), CODESLAB_OK);
}
