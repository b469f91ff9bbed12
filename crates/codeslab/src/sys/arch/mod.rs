//! The processor: what differs between instruction sets, behind one contract, whichever the operating system is.
//!
//! A port to a processor is one file here with a type that implements [`Processor`], named `Native`, and its line in the choice below.
//! The ports of the operating systems call it for what user mode can do itself. Values stand in `model::architecture`, because they are also
//! needed for machines that this process does not run on.
#![allow(unsafe_code, reason = "it declares what processors implement")]
#![allow(dead_code, reason = "not every system needs every answer")]

use crate::model::address::Address;
use crate::model::architecture::Architecture;
use crate::model::error::{Error, Result};
use std::ptr::NonNull;

// The processor of this target. A port adds its line and its name to the last one.
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    path = "unsupported.rs"
)]
mod native;

// Compiled with the tests everywhere, so that it does not rot unseen.
#[cfg(test)]
mod unsupported;

pub(super) use native::Native;

/// The code of [`Processor::branch_through`].
pub(crate) type Branch = [u8; 16];

/// One instruction set.
pub(super) trait Processor {
    /// Which one it is; `None` where codeslab has no port.
    const ARCHITECTURE: Option<Architecture>;

    /// The code of a function of type `extern "C" fn() -> i32` that returns 42: what writers are probed with.
    const ANSWER: &'static [u8];

    /// Whether fetches of instructions see earlier stores of the same process, whichever address these went through, without
    /// [`Processor::synchronize_instructions`].
    const FETCHES_ARE_COHERENT: bool;

    /// Whether other processors of the machine have to be made to drop what they fetched ahead, which takes the operating system.
    const FETCHES_AHEAD_OF_OTHERS: bool;

    /// Where its register of access rights by protection key is kept, if user mode can set it.
    const KEY_REGISTER: Option<KeyRegister>;

    /// Whether pages of code can be guarded: an indirect branch from anywhere arrives there at a landing pad, or faults. Whether this
    /// processor does that, and how pages are marked, is its operating system's to say.
    const HAS_GUARDED_PAGES: bool;

    /// The code of a branch to wherever the word at `pointer` says, for callers of every kind: where control flow is guarded it may be
    /// called and jumped to. It changes no register in which a call passes something. `None` if `pointer` is out of its reach.
    fn branch_through(at: Address, pointer: Address) -> Option<Branch>;

    /// Makes fetches of instructions by this processor, and fetches of other processors that have dropped what they fetched ahead, see
    /// what was stored behind these ranges.
    ///
    /// # Safety
    /// - Each range is mapped, readable or executable, until the function returns.
    unsafe fn synchronize_instructions(ranges: &[(Address, u64)]);
}

/// Access rights of a thread by protection key, as far as instructions can set them.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRegister {
    /// Whether this processor has protection keys and its system switched them on.
    pub(super) is_in_use: fn() -> bool,
    /// Copies bytes to pages under a key. The calling thread may write there during the copy only; afterwards it may read there,
    /// and not write, whatever it could before. Its rights by other keys stay.
    ///
    /// # Safety
    /// - The system allocated `key` to this process, which also says that the register is in use.
    /// - `to` and the bytes behind it lie in memory that is mapped, writable but for the key, and under `key`.
    /// - No other thread uses that memory until the function returns.
    /// - `bytes` lie in memory that is not under `key`.
    pub(super) copy: unsafe fn(key: u32, to: NonNull<u8>, bytes: &[u8]),
}

/// The instruction set of this process.
///
/// # Errors
/// [`Error::UnsupportedPlatform`] where there is no port to it.
pub(super) fn architecture() -> Result<Architecture> {
    Native::ARCHITECTURE.ok_or(Error::UnsupportedPlatform(std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::{Address, Architecture, Native, Processor, architecture, unsupported};
    use crate::model::error::Error;

    #[test]
    fn a_processor_without_a_port_is_named_and_never_probed() {
        assert_eq!(unsupported::Native::ARCHITECTURE, None);
        assert!(unsupported::Native::KEY_REGISTER.is_none());
        let here = architecture().map(Architecture::name);
        let named = std::env::consts::ARCH;
        assert_eq!(here.unwrap_or(named), named);
        if Native::ARCHITECTURE.is_none() {
            let unsupported = Error::UnsupportedPlatform(named);
            assert_eq!(architecture(), Err(unsupported));
        }
    }

    #[test]
    fn a_branch_through_a_word_that_is_too_far_away_is_none() {
        let at = Address::new(0x10_0000);
        if Native::ARCHITECTURE.is_some() {
            assert!(Native::branch_through(at, Address::new(0x20_0000)).is_some());
            assert_eq!(Native::branch_through(at, Address::new(1 << 40)), None);
        }
        assert_eq!(unsupported::Native::branch_through(at, at), None);
    }

    #[test]
    fn the_probed_function_is_whole_instructions_and_no_fill_pattern() {
        if let Some(architecture) = Native::ARCHITECTURE {
            assert!(!Native::ANSWER.is_empty());
            let fill = architecture.fill_pattern();
            assert!(
                !Native::ANSWER.starts_with(&fill),
                "what was written and what was not must differ"
            );
        }
    }
}
