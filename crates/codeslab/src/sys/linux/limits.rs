//! The limits of a process, and which of them a refusal is about.
//!
//! Linux answers ENOMEM for three limits and for a lack of memory, so we look which it was, on the failing path only. The one limit that is
//! asked beforehand is the one that kills: `ftruncate` and `pwrite` beyond `RLIMIT_FSIZE` end the process with SIGXFSZ.

use super::process;
use crate::model::error::{Limit, Refusal};
use std::fs::File;
use std::io::Read;

/// What is limited, in bytes.
#[derive(Clone, Copy, Debug)]
enum Resource {
    AddressSpace,
    Data,
    FileSize,
}

/// The refusal behind `errno`.
pub(super) fn last_refusal(call: &'static str, size: u64) -> Refusal {
    refusal(call, size, &std::io::Error::last_os_error())
}

/// The refusal behind an error of the standard library.
pub(super) fn refusal(call: &'static str, size: u64, error: &std::io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal {
        call,
        errno,
        size,
        limit: limit_behind(errno, size),
    }
}

/// Whether a file may have this many bytes.
pub(super) fn check_file_size(
    call: &'static str,
    size: u64,
    file_size: u64,
) -> Result<(), Refusal> {
    if file_size > limit(Resource::FileSize) {
        return Err(Refusal::foreseen(call, size, Limit::FileSize));
    }
    Ok(())
}

/// Which limit an error number means, as far as the system lets one find out.
fn limit_behind(errno: i32, size: u64) -> Limit {
    match errno {
        libc::EEXIST => Limit::Occupied,
        libc::EACCES | libc::EPERM => Limit::Policy,
        libc::ENOSYS => Limit::Unsupported,
        libc::EMFILE | libc::ENFILE => Limit::OpenFiles,
        libc::EFBIG => Limit::FileSize,
        libc::ENOMEM if mappings() + 2 >= most_mappings() => Limit::MapCount,
        libc::ENOMEM if statm(5).saturating_add(size) > limit(Resource::Data) => Limit::Data,
        libc::ENOMEM if statm(0).saturating_add(size) > limit(Resource::AddressSpace) => {
            Limit::AddressSpace
        }
        libc::ENOMEM | libc::EAGAIN | libc::ENOSPC => Limit::Memory,
        _ => Limit::Unknown,
    }
}

/// getrlimit. <https://man7.org/linux/man-pages/man2/getrlimit.2.html>
///
/// C libraries ask `prlimit64`, which looks a process up by its number, takes locks for it, and takes twice as long as the call that can ask about
/// the caller alone. As every link asks, that call comes first; a kernel or a filter that refuses it is asked in the other way.
fn limit(resource: Resource) -> u64 {
    let resource = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::FileSize => libc::RLIMIT_FSIZE,
    };
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a place for the answer, and as the kernel lays it out: two words on machines of 64 bits, which all of ours are.
    let failed = unsafe { libc::syscall(libc::SYS_getrlimit, resource, &raw mut limit) };
    if failed != 0 {
        // SAFETY: `limit` is a place for the answer. Should the call fail, it says that there is no limit.
        unsafe { libc::getrlimit(resource, &raw mut limit) };
    }
    limit.rlim_cur
}

/// How many mappings the process has; 0 where there is no `/proc`.
///
/// Read in pieces: a process that has no mapping left has no memory for megabytes of text either.
fn mappings() -> usize {
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

/// How many mappings it may have; the kernel's default where there is no `/proc`.
fn most_mappings() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().unwrap_or(65_530)
}

/// A field of `/proc/self/statm`, which counts pages, in bytes; 0 where there is no `/proc`. The first is address space, the sixth private
/// memory. <https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html>
fn statm(field: usize) -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(field);
    let pages = pages.and_then(|pages| pages.parse::<u64>().ok());
    let page = process::page_size().map_or(0, crate::model::page::PageSize::bytes);
    pages.unwrap_or(0).saturating_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_limit_that_an_error_number_stands_for() {
        let limit = |errno| limit_behind(errno, 0);
        assert_eq!(limit(libc::EEXIST), Limit::Occupied);
        assert_eq!(limit(libc::EPERM), Limit::Policy);
        assert_eq!(limit(libc::ENOSYS), Limit::Unsupported);
        assert_eq!(limit(libc::EMFILE), Limit::OpenFiles);
        assert_eq!(limit(libc::ENOSPC), Limit::Memory);
        assert_eq!(limit(0), Limit::Unknown);
    }

    #[test]
    fn what_the_process_uses_is_counted_where_the_system_tells() {
        if File::open("/proc/self/statm").is_err() {
            return;
        }
        assert!(mappings() > 3 && mappings() < most_mappings());
        // The test's own stack and code are part of it.
        assert!(statm(0) > 1 << 20, "{}", statm(0));
    }
}
