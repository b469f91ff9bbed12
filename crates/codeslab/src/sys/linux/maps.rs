//! The process's mappings, by question or by reading all of them.

use super::{AddressMap, AsRawFd, File, Snapshot, Window, io_refusal};
use crate::address::Address;
use crate::error::Refusal;
use std::io::Read;

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

/// Asks the kernel, one mapping at a time.
pub(super) struct LiveMap {
    maps: File,
}

impl LiveMap {
    pub(super) const fn new(maps: File) -> Self {
        Self { maps }
    }

    /// Whether the kernel answers such questions.
    pub(super) fn works(&self) -> bool {
        self.query(0).is_ok()
    }

    fn query(&self, at: u64) -> std::io::Result<ProcmapQuery> {
        let mut query = ProcmapQuery {
            size: size_of::<ProcmapQuery>() as u64,
            query_flags: COVERING_OR_NEXT_VMA,
            query_addr: at,
            ..ProcmapQuery::default()
        };
        // SAFETY: the kernel reads and writes one `procmap_query`, whose size it is told.
        let answer = unsafe { libc::ioctl(self.maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
        if answer < 0 {
            Err(std::io::Error::last_os_error())
        } else {
            Ok(query)
        }
    }
}

impl AddressMap for LiveMap {
    fn mapping_from(&self, at: Address) -> Option<Window> {
        let found = self.query(at.value()).ok()?;
        Window::new(
            Address::new(found.vma_start),
            Address::new(found.vma_end - 1),
        )
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
    use super::{LiveMap, parse, read};
    use crate::address::Address;
    use crate::sys::gaps::AddressMap;

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
        let live = LiveMap::new(std::fs::File::open("/proc/self/maps").unwrap());
        if !live.works() {
            return;
        }
        let here = Address::new(read as *const () as u64);
        assert_eq!(live.mapping_from(here), read().unwrap().mapping_from(here));
    }
}
