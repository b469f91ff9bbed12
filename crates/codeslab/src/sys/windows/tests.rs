//! What the port keeps of reservations, and the one for systems without placeholders, by pretending.

use super::*;
use crate::memory::CodeMemory;
use crate::model::layout::Layout;
use crate::model::options::Options;
use crate::request::Request;

const GRANULE: u64 = 64 << 10;

fn with_placeholders() -> (Windows, Arc<Store>) {
    let windows = Windows::new(Placeholders::of_system()).unwrap();
    let store = Arc::clone(
        windows
            .store
            .as_ref()
            .expect("this system has placeholders"),
    );
    (windows, store)
}

fn byte(at: Address) -> u8 {
    // SAFETY: tests ask for bytes that they mapped, readable.
    unsafe { (at.value() as *const u8).read_volatile() }
}

#[test]
fn what_is_cut_and_replaced_is_joined_again_and_nothing_is_left() {
    let (windows, store) = with_placeholders();
    let at = windows.reserve(16 * GRANULE, GRANULE).unwrap();
    let part = |index| Address::new(at.value() + index * GRANULE);
    for (first, count) in [(0, 16), (3, 5), (0, 1), (15, 1), (7, 2), (2, 12), (0, 16)] {
        let size = count * GRANULE;
        // SAFETY: the range is reserved, not mapped, and this test's own.
        unsafe { windows.map_private(part(first), size, Protection::ReadWrite) }.unwrap();
        assert_eq!(byte(part(first + count - 1)), 0);
        // SAFETY: that is what was mapped just now, and nothing uses it.
        unsafe { windows.decommit(part(first), size) }.unwrap();
    }
    // SAFETY: nothing uses the reservation.
    unsafe { windows.release(at, 16 * GRANULE) }.unwrap();
    assert_eq!(store.counts(), (0, 0));
    windows.reserve_at(at, GRANULE).unwrap();
    // SAFETY: nothing uses the reservation.
    unsafe { windows.release(at, GRANULE) }.unwrap();
}

#[test]
fn a_part_that_is_discarded_is_back_in_its_place_when_it_is_written() {
    let (windows, store) = with_placeholders();
    let at = windows.reserve(4 * GRANULE, GRANULE).unwrap();
    let file = windows.create_file(4 * GRANULE).unwrap();
    let view = file.map_view(0, 4 * GRANULE, true).unwrap();
    // SAFETY: the file is mapped nowhere.
    unsafe { file.write(GRANULE - 1, &[1, 2]) }.unwrap();
    // SAFETY: the range is reserved, not mapped, and this test's own.
    unsafe { file.map_at(at, 0, 4 * GRANULE, Protection::ReadOnly) }.unwrap();
    // SAFETY: the part is hidden, and this test's own.
    unsafe { windows.show(view, 2 * GRANULE) }.unwrap();
    let second = Address::new(at.value() + GRANULE);
    assert_eq!(
        (byte(Address::new(second.value() - 1)), byte(second)),
        (1, 2)
    );
    // SAFETY: nothing uses the part.
    unsafe { file.discard(GRANULE, GRANULE) }.unwrap();
    // SAFETY: nothing uses the part.
    unsafe { file.write(GRANULE, &[7]) }.unwrap();
    assert_eq!(
        (byte(second), byte(Address::new(second.value() + 1))),
        (7, 0)
    );
    // SAFETY: that byte is shown, and this test's own.
    unsafe { view.add(GRANULE as usize).write(8) };
    assert_eq!(byte(second), 8);
    drop(file);
    assert_eq!(byte(second), 8, "what is mapped of a closed file stays");
    // SAFETY: nothing uses the view.
    unsafe { windows.unmap_view(view, 4 * GRANULE) };
    // SAFETY: nothing uses the reservation.
    unsafe { windows.release(at, 4 * GRANULE) }.unwrap();
    assert_eq!(store.counts(), (0, 0));
}

#[test]
fn private_pages_lose_their_memory_and_get_zeroed_memory_again() {
    for windows in [with_placeholders().0, Windows::new(None).unwrap()] {
        let at = windows.reserve(4 * GRANULE, GRANULE).unwrap();
        let size = 2 * GRANULE;
        // SAFETY: the range is reserved, not mapped, and this test's own.
        let start = unsafe { windows.map_private(at, size, Protection::ReadWrite) }.unwrap();
        // SAFETY: the memory is writable, and this test's own.
        unsafe { start.write_bytes(5, size as usize) };
        let second = Address::new(at.value() + GRANULE);
        // SAFETY: nothing uses the part.
        unsafe { windows.purge_private(second, GRANULE) }.unwrap();
        // SAFETY: the part was purged just now.
        unsafe { windows.recommit_private(second, GRANULE) }.unwrap();
        assert_eq!((byte(at), byte(second)), (5, 0));
        // SAFETY: nothing uses the reservation.
        unsafe { windows.release(at, 4 * GRANULE) }.unwrap();
    }
}

#[test]
fn without_placeholders_memory_is_private_and_code_runs_all_the_same() {
    let old: Arc<dyn Platform> = Arc::new(Windows::new(None).unwrap());
    let refused = old.create_file(GRANULE).unwrap_err();
    assert_eq!(refused.limit, Limit::Unsupported);
    let memory = CodeMemory::on(old, &Options::default()).unwrap();
    assert_eq!(memory.configuration().writer, Writer::Protect);
    let mut layout = Layout::new();
    let code = layout.add(Protection::ReadExecute, 64, 16).unwrap();
    let data = layout.add(Protection::ReadWrite, 200_000, 16).unwrap();
    for _ in 0..200 {
        let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
        in_flight.write(code, 0, Native::ANSWER).unwrap();
        in_flight.bytes_mut(data).fill(3);
        let at = in_flight.address(code);
        let published = in_flight.finalize().unwrap();
        // SAFETY: a function of that type was published there.
        let function: extern "C" fn() -> i32 =
            unsafe { std::mem::transmute(at.value() as *const ()) };
        assert_eq!(function(), 42);
        drop(published);
    }
    memory.trim();
    assert_eq!(memory.stats(), crate::Stats::default());
}

#[test]
fn without_placeholders_alignments_above_the_granularity_are_met() {
    let old = Windows::new(None).unwrap();
    for align in [GRANULE, 1 << 20, 64 << 20] {
        let at = old.reserve(GRANULE, align).unwrap();
        assert_eq!(at.value() % align, 0);
        // SAFETY: nothing uses the reservation.
        unsafe { old.release(at, GRANULE) }.unwrap();
    }
}
