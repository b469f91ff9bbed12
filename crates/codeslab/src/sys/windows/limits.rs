//! Which limit an error of the system means.
//!
//! Windows has few limits, and an error code for most: the commit limit (memory and paging files together, or that of a job), quotas of
//! the process, policies against dynamic code. <https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes>

use crate::model::error::{Limit, Refusal};
use windows_sys::Win32::Foundation as win;

/// The refusal behind the thread's last error.
pub(super) fn last_refusal(call: &'static str, size: u64) -> Refusal {
    let error = std::io::Error::last_os_error();
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal {
        call,
        errno,
        size,
        limit: limit_behind(errno.cast_unsigned()),
    }
}

/// Which limit an error code means.
const fn limit_behind(code: u32) -> Limit {
    match code {
        win::ERROR_INVALID_ADDRESS | win::ERROR_MAPPED_ALIGNMENT => Limit::Occupied,
        win::ERROR_DYNAMIC_CODE_BLOCKED => Limit::DynamicCode,
        win::ERROR_ACCESS_DENIED => Limit::Policy,
        win::ERROR_COMMITMENT_LIMIT | win::ERROR_COMMITMENT_MINIMUM => Limit::Commit,
        win::ERROR_NOT_ENOUGH_QUOTA
        | win::ERROR_WORKING_SET_QUOTA
        | win::ERROR_PAGEFILE_QUOTA
        | win::ERROR_PAGED_SYSTEM_RESOURCES
        | win::ERROR_NONPAGED_SYSTEM_RESOURCES => Limit::Quota,
        win::ERROR_TOO_MANY_OPEN_FILES => Limit::OpenFiles,
        win::ERROR_NOT_ENOUGH_MEMORY | win::ERROR_OUTOFMEMORY | win::ERROR_NO_SYSTEM_RESOURCES => {
            Limit::Memory
        }
        win::ERROR_NOT_SUPPORTED | win::ERROR_CALL_NOT_IMPLEMENTED => Limit::Unsupported,
        _ => Limit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_limit_that_a_code_stands_for() {
        let cases = [
            (win::ERROR_INVALID_ADDRESS, Limit::Occupied),
            (win::ERROR_DYNAMIC_CODE_BLOCKED, Limit::DynamicCode),
            (win::ERROR_COMMITMENT_LIMIT, Limit::Commit),
            (win::ERROR_NOT_ENOUGH_QUOTA, Limit::Quota),
            (win::ERROR_NOT_ENOUGH_MEMORY, Limit::Memory),
            (win::ERROR_ACCESS_DENIED, Limit::Policy),
            (win::ERROR_SUCCESS, Limit::Unknown),
        ];
        for (code, limit) in cases {
            assert_eq!(limit_behind(code), limit, "{code}");
        }
    }
}
