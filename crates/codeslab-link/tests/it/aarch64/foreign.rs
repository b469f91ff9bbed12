//! Code, functions and data with more between them than an instruction spans, all of it taken by others.

use super::{FAR, GIB, MIB, placed};
use crate::support::{Workshop, address, externals, file, function, link, memory};
use codeslab::{Address, CodeMemory, Options, Window};
use codeslab_testing::{assert_passed, is_child, run_alone};

/// Takes what is free between two addresses, without access, and says how many bytes that are. It stays.
fn take_between(first: u64, last: u64) -> u64 {
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    let mut taken = 0;
    for piece in [64 * MIB, MIB] {
        let mut at = first.next_multiple_of(piece);
        while at + piece <= last {
            let place = at as *mut libc::c_void;
            #[allow(unsafe_code, reason = "the address space is what this test is about")]
            // SAFETY: it replaces nothing, and nothing is ever read there.
            let got = unsafe { libc::mmap(place, piece as usize, libc::PROT_NONE, flags, -1, 0) };
            taken += if got == place { piece } else { 0 };
            at += piece;
        }
    }
    taken
}

#[test]
fn calls_and_loads_cross_more_than_4_gib_of_foreign_memory() {
    const NAME: &str = "aarch64::foreign::calls_and_loads_cross_more_than_4_gib_of_foreign_memory";
    // A process of its own: what is taken stays so.
    if !is_child(NAME) {
        return assert_passed(&run_alone(NAME, &[]));
    }
    let (memory, others) = (memory(), CodeMemory::new(Options::default()).unwrap());
    let (_near, anchor) = placed(&memory, &[Window::ANYWHERE], 3);
    let start = anchor.value();
    let window = |first, last| Window::new(Address::new(first), Address::new(last)).unwrap();
    let windows = [
        window(start - 9 * GIB, start - 6 * GIB),
        window(start + 6 * GIB, start + 9 * GIB),
    ];
    let (_there, there) = placed(&others, &windows, 6);
    let (first, last) = (start.min(there.value()), start.max(there.value()));
    let taken = take_between(first, last);
    assert!(taken > 4 * GIB, "{taken:#x}");
    let value = Box::new(0x1234_5678_9abc_u64);
    let data = std::ptr::from_ref(&*value) as u64;
    let object = Workshop::new().assemble("far", FAR);
    let options = externals(&[("there", there.value()), ("data", data)]);
    let image = link(&memory, &[file("far.o", &object)], &options).unwrap();
    let call = |name: &str| function!(image, name, extern "C" fn() -> u64)();
    assert!(address(&image, "call").abs_diff(there.value()) > 4 * GIB);
    assert_eq!((call("call") as u32, call("jump") as u32), (7, 6));
    assert_eq!((call("take"), call("load")), (there.value(), *value));
}
