//! What the operating system says about this process. All of it is `None` where there is no `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Physical memory that exists because of this process, in bytes.
///
/// That is PSS, with one correction: the pages of a memory file count in full, whether or not they are in a page table of ours.
/// PSS alone would forget whatever was written through a view that is gone by now.
pub(crate) fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let shared = rollup(&text, "Pss_Shmem:")?;
    Some(rollup(&text, "Pss:")? - shared + shared.max(memory_file_bytes()?))
}

/// Lets the C library's heap give back what is free, so that what it keeps for later is not taken for a leak of an allocator.
#[cfg(target_env = "gnu")]
#[allow(
    unsafe_code,
    reason = "there is no other way to ask the C library for this"
)]
pub(crate) fn trim_heap() {
    // SAFETY: it may be called at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn trim_heap() {}

/// Mappings: what `vm.max_map_count` limits.
pub(crate) fn mappings() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/maps").ok()?;
    Some(text.lines().count() as u64)
}

/// How much a figure has grown since it was `before`; one that shrank has grown by nothing.
pub(crate) fn growth(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    Some(after?.saturating_sub(before?))
}

fn rollup(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The pages of every memory file that this process has open, each file counted once.
fn memory_file_bytes() -> Option<u64> {
    let files: BTreeMap<u64, u64> = fs::read_dir("/proc/self/fd")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let target = fs::read_link(&path).ok()?;
            let file = target
                .to_str()?
                .starts_with("/memfd:")
                .then(|| fs::metadata(&path))?
                .ok()?;
            Some((file.ino(), file.blocks() * 512))
        })
        .collect();
    Some(files.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_read_by_name() {
        let text = "00400000-7fff rollup\nRss:  8 kB\nPss:   3 kB\nPss_Shmem:  2 kB\n";
        assert_eq!(rollup(text, "Pss:"), Some(3072));
        assert_eq!(rollup(text, "Pss_Shmem:"), Some(2048));
        assert_eq!(rollup(text, "Swap:"), None);
    }

    #[test]
    fn growth_is_unknown_if_either_figure_is() {
        assert_eq!(growth(Some(2), Some(5)), Some(3));
        assert_eq!(growth(None, Some(5)), None);
    }
}
