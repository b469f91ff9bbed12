//! Which limit a refusal means.
//!
//! What calls of POSIX refuse has an `errno`, what Mach refuses a `kern_return_t` (`mach/kern_return.h`). Of limits there is one that such a
//! number does not tell: `RLIMIT_AS` is met with the error that a lack of memory has, so it is looked at, on the failing path only.

use super::mach;
use crate::model::error::{Limit, Refusal};

/// Refusals of Mach.
mod kern {
    pub(super) const PROTECTION_FAILURE: i32 = 2;
    pub(super) const NO_SPACE: i32 = 3;
    pub(super) const RESOURCE_SHORTAGE: i32 = 6;
    pub(super) const NO_ACCESS: i32 = 8;
    pub(super) const NOT_SUPPORTED: i32 = 46;
    pub(super) const DENIED: i32 = 53;
}

/// The refusal behind `errno`.
pub(super) fn last_refusal(call: &'static str, size: u64) -> Refusal {
    let error = std::io::Error::last_os_error();
    let errno = error.raw_os_error().unwrap_or(0);
    let limit = match errno {
        libc::EACCES | libc::EPERM => Limit::Policy,
        libc::ENOSYS | libc::ENOTSUP => Limit::Unsupported,
        libc::ENOMEM => lack_of_memory(size),
        libc::EAGAIN => Limit::Memory,
        _ => Limit::Unknown,
    };
    Refusal {
        call,
        errno,
        size,
        limit,
    }
}

/// The refusal behind an answer of Mach's; `is_exact` if it was about one place.
pub(super) fn mach_refusal(call: &'static str, size: u64, answer: i32, is_exact: bool) -> Refusal {
    let limit = match answer {
        kern::NO_SPACE if is_exact => Limit::Occupied,
        kern::NO_SPACE => Limit::AddressSpace,
        kern::PROTECTION_FAILURE | kern::NO_ACCESS | kern::DENIED => Limit::Policy,
        kern::RESOURCE_SHORTAGE => Limit::Memory,
        kern::NOT_SUPPORTED => Limit::Unsupported,
        _ => Limit::Unknown,
    };
    Refusal {
        call,
        errno: answer,
        size,
        limit,
    }
}

fn lack_of_memory(size: u64) -> Limit {
    if exceeds_address_space(size) {
        Limit::AddressSpace
    } else {
        Limit::Memory
    }
}

/// Whether `size` bytes more than the process has now are more than it may have.
/// <https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/getrlimit.2.html>
fn exceeds_address_space(size: u64) -> bool {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a place for the answer. Should the call fail, it says that there is no limit.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    mach::address_space_bytes().saturating_add(size) > limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_machs_names_the_limit_that_was_met() {
        let limit = |answer, is_exact| mach_refusal("mach_vm_map", 1, answer, is_exact).limit;
        assert_eq!(limit(kern::NO_SPACE, true), Limit::Occupied);
        assert_eq!(limit(kern::NO_SPACE, false), Limit::AddressSpace);
        assert_eq!(limit(kern::PROTECTION_FAILURE, false), Limit::Policy);
        assert_eq!(limit(kern::RESOURCE_SHORTAGE, false), Limit::Memory);
        assert_eq!(limit(4, false), Limit::Unknown);
    }

    #[test]
    fn more_than_the_address_space_that_there_is_exceeds_it_and_little_does_not() {
        assert!(!exceeds_address_space(1 << 12));
        assert!(mach::address_space_bytes() > 1 << 20);
    }
}
