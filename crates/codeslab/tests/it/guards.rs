//! Guard pages on the real system: nothing can be read beside a slab, and what overruns one faults.

use crate::faults::{announce, dies_of};
use crate::support::{Death, call, functions, layout, memories};
use codeslab::{Address, CodeMemory, Options, Protection, Request, Writer};

fn guarded(writer: Writer) -> CodeMemory {
    let options = Options {
        writer: Some(writer),
        block_size: Some(1 << 20),
        guard_pages: true,
        ..Options::default()
    };
    CodeMemory::new(options).expect("an available writer")
}

/// Whether the system can read there, asked in a way that cannot fault.
fn is_readable(at: u64) -> bool {
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: at as *mut libc::c_void,
        iov_len: 1,
    };
    let process = unsafe { libc::getpid() };
    let read =
        unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
    read == 1
}

/// Where pieces of slabs begin and end, with their protections.
fn pieces(memory: &CodeMemory) -> Vec<(u64, u64, Protection)> {
    let blocks = memory.picture().blocks;
    let slabs = blocks.iter().flat_map(|block| &block.slabs);
    let piece = |slab: &codeslab::SlabPicture| {
        let start = slab.address.value();
        (start, start + slab.size, slab.protection)
    };
    slabs.map(piece).collect()
}

#[test]
fn beside_every_slab_lies_a_page_that_cannot_be_read() {
    for (writer, _) in memories() {
        let memory = guarded(writer);
        let live = functions(&memory, 200, 9_000);
        let pieces = pieces(&memory);
        assert!(pieces.len() > 6, "{writer}: {pieces:?}");
        for (start, end, protection) in &pieces {
            for (inside, beside) in [(*start, start - 1), (end - 1, *end)] {
                // With protection keys not every thread can read code.
                let is_code = *protection == Protection::ReadExecute;
                assert!(is_readable(inside) || (is_code && writer == Writer::Pkeys));
                let joined = pieces.iter().any(|(first, past, of)| {
                    of == protection && (*first == beside || *past == beside + 1)
                });
                assert!(
                    joined || !is_readable(beside),
                    "{writer}: {beside:#x} {pieces:?}"
                );
            }
        }
        crate::support::call_all(&live, writer);
    }
}

/// The end of the slab, from which on code, constants and data were placed.
fn end_of(memory: &CodeMemory, protection: Protection) -> Address {
    let (layout, _) = layout([100, 100, 100]);
    let placed = memory.allocate(&Request::new(&layout)).unwrap();
    std::mem::forget(placed.finalize().unwrap());
    let slab = pieces(memory)
        .into_iter()
        .find(|piece| piece.2 == protection);
    Address::new(slab.expect("a slab").1)
}

#[test]
fn a_store_that_runs_over_the_end_of_data_faults() {
    const NAME: &str = "guards::a_store_that_runs_over_the_end_of_data_faults";
    dies_of(Death::Fault, NAME, |writer| {
        let memory = guarded(writer);
        let end = end_of(&memory, Protection::ReadWrite).value();
        // All of the slab can be written, and no byte behind it.
        for at in end - 4096..end {
            unsafe { std::ptr::write_volatile(at as *mut u8, 1) };
        }
        announce();
        unsafe { std::ptr::write_volatile(end as *mut u8, 1) };
    });
}

#[test]
fn execution_that_runs_over_the_end_of_code_faults() {
    const NAME: &str = "guards::execution_that_runs_over_the_end_of_code_faults";
    dies_of(Death::Fault, NAME, |writer| {
        let memory = guarded(writer);
        let end = end_of(&memory, Protection::ReadExecute);
        announce();
        call(end);
    });
}

#[test]
fn a_store_past_the_end_of_code_in_the_writable_view_faults() {
    const NAME: &str = "guards::a_store_past_the_end_of_code_in_the_writable_view_faults";
    dies_of(Death::Fault, NAME, |writer| {
        let memory = guarded(writer);
        let end = end_of(&memory, Protection::ReadExecute);
        announce();
        // Without a view there is no other address: that of the code itself faults, too.
        let at = end_of_view().unwrap_or(end.value());
        unsafe { std::ptr::write_volatile(at as *mut u8, 1) };
    });
}

/// The address behind what the view shows, which is code.
fn end_of_view() -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let is_view = |line: &&str| line.contains("memfd:codeslab") && line.contains(" rw-s ");
    let view = maps.lines().find(is_view)?;
    let (_, end) = view.split_whitespace().next()?.split_once('-')?;
    u64::from_str_radix(end, 16).ok()
}
