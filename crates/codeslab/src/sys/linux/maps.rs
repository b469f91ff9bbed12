//! The process's mappings, by question or by reading all of them.

use super::{AddressMap, AsRawFd, File, IntoRawFd, RawFd, Snapshot, Window, io_refusal};
use crate::model::address::Address;
use crate::model::error::Refusal;
use std::cell::Cell;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

/// `struct procmap_query` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct ProcmapQuery {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

/// `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: u64 =
    0xc000_0000 | (size_of::<ProcmapQuery>() as u64) << 16 | (b'f' as u64) << 8 | 0x11;
const COVERING_OR_NEXT_VMA: u64 = 0x10;

/// The open file that is asked, kept because opening it takes as long as ten questions.
///
/// It shows the process that opened it: a forked child that asked its parent's would find the parent's gaps. So the generation is
/// kept beside the descriptor, in one number: 0 for none, else the generation above and the descriptor plus 1 below.
#[derive(Debug, Default)]
pub(super) struct KeptMaps(AtomicU64);

impl KeptMaps {
    /// A map that asks the kernel, in the process of this generation; `None` where the kernel does not answer such questions.
    pub(super) fn live(&self, generation: u32) -> Option<LiveMap<'_>> {
        let kept = self.0.load(Ordering::Acquire);
        let is_mine = kept >> 32 == u64::from(generation) && kept != 0;
        let kept = if is_mine {
            kept
        } else {
            self.renew(kept, generation)?
        };
        Some(LiveMap {
            all: self,
            generation,
            kept: Cell::new(kept),
        })
    }

    /// Opens the file, and keeps it in place of `stale`, or what somebody else was faster with.
    fn renew(&self, stale: u64, generation: u32) -> Option<u64> {
        let maps = File::open("/proc/self/maps").ok()?;
        query(maps.as_raw_fd(), 0).ok()?;
        let fresh = u64::from(generation) << 32 | (u64::from(maps.as_raw_fd().cast_unsigned()) + 1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        match self.0.compare_exchange(stale, fresh, order.0, order.1) {
            Ok(_) => {
                // Closed with the process: others may be asking at any time. A stale one is not closed either, because its number
                // may be somebody else's by now.
                let _ = maps.into_raw_fd();
                Some(fresh)
            }
            Err(faster) => Some(faster),
        }
    }
}

/// Asks the kernel, one mapping at a time.
pub(super) struct LiveMap<'k> {
    all: &'k KeptMaps,
    generation: u32,
    kept: Cell<u64>,
}

impl LiveMap<'_> {
    /// The answer of the file that is kept. Whoever closes all descriptors closes that one too; then there is another.
    fn query(&self, at: u64) -> Option<ProcmapQuery> {
        let descriptor = |kept: u64| (kept as u32).wrapping_sub(1).cast_signed();
        match query(descriptor(self.kept.get()), at) {
            Ok(found) => return Some(found),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return None,
            Err(_) => {}
        }
        let renewed = self.all.renew(self.kept.get(), self.generation)?;
        self.kept.set(renewed);
        query(descriptor(renewed), at).ok()
    }
}

impl AddressMap for LiveMap<'_> {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let found = self.query(at.value())?;
        Window::new(
            Address::new(found.vma_start),
            Address::new(found.vma_end - 1),
        )
    }
}

fn query(maps: RawFd, at: u64) -> std::io::Result<ProcmapQuery> {
    let mut query = ProcmapQuery {
        size: size_of::<ProcmapQuery>() as u64,
        query_flags: COVERING_OR_NEXT_VMA,
        query_addr: at,
        ..ProcmapQuery::default()
    };
    // SAFETY: the kernel reads and writes one `procmap_query`, whose size it is told.
    let answer = unsafe { libc::ioctl(maps, PROCMAP_QUERY, &raw mut query) };
    if answer < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(query)
    }
}

/// Reads all of them.
pub(super) fn read() -> Result<Snapshot, Refusal> {
    let text = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| io_refusal("read /proc/self/maps", 0, &error))?;
    Ok(Snapshot::new(text.lines().filter_map(parse).collect()))
}

fn parse(line: &str) -> Option<Window> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    Window::new(Address::new(start), Address::new(end.checked_sub(1)?))
}

/// How many mappings the process has; 0 if nobody says.
///
/// Read in pieces: who asks may have no mapping left, and then there is no memory for megabytes of text either.
pub(super) fn count() -> usize {
    let Ok(mut file) = File::open("/proc/self/maps") else {
        return 0;
    };
    let mut lines = 0;
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = file.read(&mut piece) {
        let ends = piece[..length].iter().filter(|byte| **byte == b'\n');
        lines += ends.count();
    }
    lines
}

/// How many it may have.
pub(super) fn most() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().unwrap_or(65_530)
}

/// What `RLIMIT_AS` is compared with; 0 if nobody says.
pub(super) fn address_space_bytes() -> u64 {
    statm(0)
}

/// What `RLIMIT_DATA` is compared with; 0 if nobody says.
pub(super) fn data_bytes() -> u64 {
    statm(5)
}

/// A field of `/proc/self/statm`, in bytes.
fn statm(field: usize) -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(field);
    pages
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        * 4096
}

/// Where the heap may grow to.
pub(super) fn room_for_heap() -> Option<Window> {
    const ROOM: u64 = 1 << 30;
    // SAFETY: an increment of 0 changes nothing.
    let end = unsafe { libc::sbrk(0) };
    // -1 where there is no such heap.
    let end = (end as usize != usize::MAX).then_some(end as u64)?;
    Window::of_range(Address::new(end), ROOM)
}

#[cfg(test)]
mod tests {
    use super::{KeptMaps, parse, read};
    use crate::model::address::Address;
    use crate::sys::address_map::AddressMap;

    #[test]
    fn a_line_of_maps_gives_its_range() {
        let line = "7f0000001000-7f0000003000 r-xp 00000000 00:00 0    [vdso]";
        let range = parse(line).unwrap();
        assert_eq!(
            (range.first(), range.last()),
            (
                Address::new(0x7f00_0000_1000),
                Address::new(0x7f00_0000_2fff)
            )
        );
        assert_eq!(parse("nonsense"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn asking_and_reading_agree() {
        let kept = KeptMaps::default();
        let Some(live) = kept.live(1) else { return };
        let here = Address::new(read as *const () as u64);
        assert_eq!(live.mapping_from(here), read().unwrap().mapping_from(here));
    }

    #[test]
    fn a_descriptor_is_kept_until_it_is_closed_or_another_process_asks() {
        let kept = KeptMaps::default();
        let Some(live) = kept.live(1) else { return };
        let here = Address::new(read as *const () as u64);
        let found = live.mapping_from(here);
        let descriptor = live.kept.get();
        assert_eq!(kept.live(1).unwrap().kept.get(), descriptor, "kept");
        let child = kept.live(2).unwrap();
        assert_eq!(child.mapping_from(here), found);
        assert_ne!(child.kept.get(), descriptor, "another process has its own");
        // What daemons do to descriptors that they do not know.
        // SAFETY: the descriptor is ours, and is not used as such any more.
        unsafe { libc::close((child.kept.get() as u32 - 1).cast_signed()) };
        assert_eq!(child.mapping_from(here), found);
        assert_eq!(child.mapping_from(Address::new(u64::MAX)), None);
    }
}
