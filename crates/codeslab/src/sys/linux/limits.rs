//! The limits of a process, and which of them a refusal is about. Asked on the failing path, but for the one that kills.

use super::maps::{address_space_bytes, count, data_bytes, most};
use crate::model::error::Limit;

/// Which limit an error number means, as far as the system lets one find out.
pub(super) fn limit_behind(errno: i32, size: u64) -> Limit {
    match errno {
        libc::EEXIST => Limit::Occupied,
        libc::EACCES | libc::EPERM => Limit::Policy,
        libc::ENOSYS => Limit::Unsupported,
        libc::EMFILE | libc::ENFILE => Limit::OpenFiles,
        libc::EFBIG => Limit::FileSize,
        libc::ENOMEM if count() + 2 >= most() => Limit::MapCount,
        libc::ENOMEM if data_bytes().saturating_add(size) > resource_limit(libc::RLIMIT_DATA) => {
            Limit::Data
        }
        libc::ENOMEM
            if address_space_bytes().saturating_add(size) > resource_limit(libc::RLIMIT_AS) =>
        {
            Limit::AddressSpace
        }
        libc::ENOMEM | libc::EAGAIN | libc::ENOSPC => Limit::Memory,
        _ => Limit::Unknown,
    }
}

/// A limit of this process, in bytes or a number.
pub(super) fn resource_limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a place for the answer. Should the call fail, it says that there is no limit.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur
}
