//! What is mapped in the process, by question or by reading all of it.
//!
//! `PROCMAP_QUERY` (Linux 6.11) finds the mapping at or above an address in half a microsecond, however many there are; where the kernel
//! does not answer it, `/proc/self/maps` is read whole, 0.4 ms for 1,000 mappings. <https://docs.kernel.org/filesystems/proc.html>
//! The search for free address space (`space::search`) asks through `Platform::address_map`; nothing else does.

use super::limits::refusal;
use crate::model::address::{Address, Window};
use crate::model::error::Refusal;
use crate::sys::address_map::{AddressMap, Avoiding, Snapshot};
use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
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

/// The map of the process of this generation, less the addresses that its heap may grow to.
pub(super) fn of_process(
    kept: &KeptMaps,
    generation: u32,
) -> Result<Box<dyn AddressMap + '_>, Refusal> {
    let map: Box<dyn AddressMap> = match kept.live(generation) {
        Some(live) => Box::new(live),
        None => Box::new(read()?),
    };
    let places = room_for_heap().into_iter().collect();
    Ok(Box::new(Avoiding { map, places }))
}

/// The open file that is asked, kept because opening it takes as long as ten questions.
///
/// It shows the process that opened it: a forked child that asked its parent's would find the parent's gaps. So the generation is
/// kept beside the descriptor, in one number: 0 for none, else the generation above and the descriptor plus 1 below.
#[derive(Debug, Default)]
pub(super) struct KeptMaps(AtomicU64);

impl KeptMaps {
    /// A map that asks the kernel, in the process of this generation; `None` where the kernel does not answer such questions.
    fn live(&self, generation: u32) -> Option<LiveMap<'_>> {
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

    /// Opens the file, and keeps it in place of `stale`, unless another thread was faster: then its file.
    fn renew(&self, stale: u64, generation: u32) -> Option<u64> {
        let maps = File::open("/proc/self/maps").ok()?;
        query(maps.as_raw_fd(), 0).ok()?;
        let fresh = u64::from(generation) << 32 | (u64::from(maps.as_raw_fd().cast_unsigned()) + 1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        match self.0.compare_exchange(stale, fresh, order.0, order.1) {
            Ok(_) => {
                // Closed with the process: other threads may be asking at any time. A stale one is not closed either, because its
                // number may name another file by now.
                let _ = maps.into_raw_fd();
                Some(fresh)
            }
            Err(faster) => Some(faster),
        }
    }
}

/// Asks the kernel, one mapping at a time.
struct LiveMap<'k> {
    all: &'k KeptMaps,
    generation: u32,
    kept: Cell<u64>,
}

impl LiveMap<'_> {
    /// The answer of the file that is kept. A program that closes all descriptors closes that one too; then another is opened.
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
        let last = Address::new(found.vma_end - 1);
        Window::new(Address::new(found.vma_start), last)
    }
}

/// ioctl with `PROCMAP_QUERY`. <https://man7.org/linux/man-pages/man2/PROCMAP_QUERY.2const.html>
fn query(maps: RawFd, at: u64) -> std::io::Result<ProcmapQuery> {
    let mut query = ProcmapQuery {
        size: size_of::<ProcmapQuery>() as u64,
        query_flags: COVERING_OR_NEXT_VMA,
        query_addr: at,
        ..ProcmapQuery::default()
    };
    // SAFETY: the kernel reads and writes one `procmap_query`, whose size it is told. A descriptor that is not open, or of another kind
    // of file, does not know the request.
    let answer = unsafe { libc::ioctl(maps, PROCMAP_QUERY as libc::Ioctl, &raw mut query) };
    if answer < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(query)
    }
}

/// Reads all mappings. <https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html>
fn read() -> Result<Snapshot, Refusal> {
    let text = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| refusal("read /proc/self/maps", 0, &error))?;
    Ok(Snapshot::new(text.lines().filter_map(parse).collect()))
}

fn parse(line: &str) -> Option<Window> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    Window::new(Address::new(start), Address::new(end.checked_sub(1)?))
}

/// Where the heap may grow to: upwards, as long as nothing is in its way. <https://man7.org/linux/man-pages/man2/sbrk.2.html>
fn room_for_heap() -> Option<Window> {
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
    fn a_line_of_the_kernels_list_gives_its_range() {
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
    fn asking_the_kernel_and_reading_its_list_give_the_same_mapping() {
        let kept = KeptMaps::default();
        let Some(live) = kept.live(1) else { return };
        let here = Address::new(read as *const () as u64);
        assert_eq!(live.mapping_from(here), read().unwrap().mapping_from(here));
    }

    #[test]
    fn the_map_goes_on_answering_when_its_descriptor_is_closed_or_a_child_asks() {
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
        // SAFETY: the descriptor is this map's, and no `File` or the like owns it.
        unsafe { libc::close((child.kept.get() as u32 - 1).cast_signed()) };
        assert_eq!(child.mapping_from(here), found);
        assert_eq!(child.mapping_from(Address::new(u64::MAX)), None);
    }
}
