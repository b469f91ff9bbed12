//! What the interface for C costs: 256 bytes of code allocated, written, published and freed, through it and without it, in turns.
//!
//! `cargo run --release -p codeslab-capi --example pair`
#![allow(unsafe_code, reason = "the interface is that of C")]

use codeslab::{CodeMemory, Layout, Options, Protection, Request};
use codeslab_capi::{
    CODESLAB_LIFETIME_STANDARD, CODESLAB_OK, CODESLAB_READ_EXECUTE, codeslab_allocate,
    codeslab_finalize, codeslab_free, codeslab_memory, codeslab_open, codeslab_section,
};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Instant;

const BYTES: [u8; 256] = [0xc3; 256];
// Rounds are short, so that what else the machine does meets both alike.
const PAIRS: u32 = 20_000;
const ROUNDS: usize = 401;

/// Nanoseconds for each pair.
fn time(mut pair: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..PAIRS).for_each(|_| pair());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
}

fn in_rust(memory: &CodeMemory) {
    let mut layout = Layout::new();
    let text = layout
        .add(Protection::ReadExecute, 256, 16)
        .expect("a section");
    let mut in_flight = memory.allocate(&Request::new(&layout)).expect("a place");
    in_flight.bytes_mut(text).copy_from_slice(&BYTES);
    in_flight.finalize().expect("published").free();
}

fn in_c(memory: codeslab_memory) {
    let mut section = codeslab_section {
        size: 256,
        align: 16,
        protection: CODESLAB_READ_EXECUTE,
        lifetime: CODESLAB_LIFETIME_STANDARD,
        address: 0,
        bytes: ptr::null_mut(),
    };
    let mut in_flight = MaybeUninit::uninit();
    let place = Some(&mut in_flight);
    // SAFETY: there is one section, and there are no windows.
    let status =
        unsafe { black_box(codeslab_allocate)(memory, &raw mut section, 1, ptr::null(), 0, place) };
    assert_eq!(status, CODESLAB_OK);
    // SAFETY: the section is in flight and has as many bytes.
    unsafe { ptr::copy_nonoverlapping(BYTES.as_ptr(), section.bytes.cast(), BYTES.len()) };
    let mut allocation = MaybeUninit::uninit();
    // SAFETY: it was allocated.
    let in_flight = unsafe { in_flight.assume_init() };
    assert_eq!(
        black_box(codeslab_finalize)(in_flight, Some(&mut allocation)),
        CODESLAB_OK
    );
    // SAFETY: it was published.
    let allocation = unsafe { allocation.assume_init() };
    assert_eq!(black_box(codeslab_free)(allocation), CODESLAB_OK);
}

fn main() {
    let memory = CodeMemory::new(Options::default()).expect("a memory");
    let mut opened = MaybeUninit::uninit();
    // SAFETY: null stands for defaults.
    let status = unsafe { codeslab_open(ptr::null(), Some(&mut opened)) };
    assert_eq!(status, CODESLAB_OK);
    // SAFETY: it was opened.
    let opened = unsafe { opened.assume_init() };
    let (mut rust, mut c) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rust.push(time(|| in_rust(&memory)));
        c.push(time(|| in_c(opened)));
    }
    rust.sort_by(f64::total_cmp);
    c.sort_by(f64::total_cmp);
    let (rust, c) = (rust[ROUNDS / 2], c[ROUNDS / 2]);
    println!("Rust {rust:.1} ns, C {c:.1} ns, {:.2} times", c / rust);
}
