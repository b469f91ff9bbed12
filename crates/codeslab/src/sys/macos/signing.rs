//! What the signature of this process lets it do with memory that has none.
//!
//! A process with a hardened runtime is refused memory of `MAP_JIT` unless it has the entitlement `com.apple.security.cs.allow-jit`, with an
//! error that could mean anything (EINVAL), and *is killed* when it executes other memory of its own unless it has
//! `com.apple.security.cs.allow-unsigned-executable-memory` or `…disable-executable-page-protection`. So both are looked up beforehand.
//! A process that was debugged may do either. <https://developer.apple.com/documentation/security/hardened-runtime>

use super::mach::{self, Question};
use crate::model::error::{Limit, Refusal};

/// Flags of `CS_OPS_STATUS` (`kern/cs_blobs.h`).
const ENFORCEMENT: u32 = 0x1000;
const RUNTIME: u32 = 0x1_0000;
const DEBUGGED: u32 = 0x1000_0000;

/// More than entitlements are.
const MOST_BYTES: usize = 64 << 10;

/// What this process may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Signing {
    /// May execute memory that is neither signed nor of `MAP_JIT`.
    pub(super) allows_unsigned: bool,
    /// May have memory of `MAP_JIT`.
    pub(super) allows_jit: bool,
    /// May write to it by switching. Without, only functions that the program lists may.
    pub(super) allows_switching: bool,
}

impl Signing {
    pub(super) fn of_process() -> Self {
        let mut status = [0; 4];
        // A system that does not tell enforces nothing.
        let is_told = mach::ask_signature(Question::Status, &mut status);
        let status = if is_told {
            u32::from_ne_bytes(status)
        } else {
            0
        };
        Self::new(status, &entitlements())
    }

    /// By the flags and entitlements of a signature.
    pub(super) fn new(status: u32, entitlements: &str) -> Self {
        let is_hardened = status & (RUNTIME | ENFORCEMENT) != 0 && status & DEBUGGED == 0;
        let has = |name: &str| is_true(entitlements, &format!("com.apple.security.cs.{name}"));
        Self {
            allows_unsigned: !is_hardened
                || has("allow-unsigned-executable-memory")
                || has("disable-executable-page-protection"),
            allows_jit: !is_hardened || has("allow-jit"),
            allows_switching: !has("jit-write-allowlist"),
        }
    }

    /// Refuses what would end the process.
    pub(super) fn check_unsigned(self) -> Result<(), Refusal> {
        let refusal = Refusal::foreseen("executable memory", 0, Limit::HardenedRuntime);
        self.allows_unsigned.then_some(()).ok_or(refusal)
    }

    /// Refuses what the system would refuse.
    pub(super) fn check_jit(self) -> Result<(), Refusal> {
        let limit = match self {
            Self {
                allows_jit: false, ..
            } => Limit::Entitlement,
            Self {
                allows_switching: false,
                ..
            } => Limit::Policy,
            _ => return Ok(()),
        };
        Err(Refusal::foreseen("mmap with MAP_JIT", 0, limit))
    }
}

/// The entitlements of this process, as text; empty if it has none.
fn entitlements() -> String {
    // A kind, and how long the whole is, in four bytes each.
    const HEAD: usize = 8;
    let mut blob = vec![0; MOST_BYTES];
    if !mach::ask_signature(Question::Entitlements, &mut blob) {
        return String::new();
    }
    let length = blob[4..HEAD].try_into().map_or(0, u32::from_be_bytes) as usize;
    let text = blob.get(HEAD..length).unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Whether a property list says that something is true: `<key>name</key> <true/>`.
fn is_true(list: &str, name: &str) -> bool {
    let key = format!("<key>{name}</key>");
    let value = list.split_once(&key).map(|(_, rest)| rest.trim_start());
    value.is_some_and(|value| value.starts_with("<true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entitled(name: &str, value: &str) -> String {
        format!("<plist><dict><key>com.apple.security.cs.{name}</key>\n  {value}</dict></plist>")
    }

    #[test]
    fn a_hardened_process_may_do_what_its_entitlements_say_and_another_anything() {
        let allowed = |status, list: &str| {
            let signing = Signing::new(status, list);
            let limits = [signing.check_unsigned(), signing.check_jit()];
            limits.map(|checked| checked.err().map(|refusal| refusal.limit))
        };
        let neither = [Some(Limit::HardenedRuntime), Some(Limit::Entitlement)];
        assert_eq!(allowed(0x2000_0200, ""), [None, None]);
        assert_eq!(allowed(RUNTIME, ""), neither);
        assert_eq!(allowed(ENFORCEMENT, ""), neither);
        assert_eq!(allowed(RUNTIME | DEBUGGED, ""), [None, None]);
        let jit = entitled("allow-jit", "<true/>");
        assert_eq!(allowed(RUNTIME, &jit), [Some(Limit::HardenedRuntime), None]);
        assert_eq!(
            allowed(RUNTIME, &entitled("allow-jit", "<false/>")),
            neither
        );
        for name in [
            "allow-unsigned-executable-memory",
            "disable-executable-page-protection",
        ] {
            let list = entitled(name, "<true/>");
            assert_eq!(allowed(RUNTIME, &list), [None, Some(Limit::Entitlement)]);
        }
        let listed = entitled("jit-write-allowlist", "<true/>");
        assert_eq!(allowed(0, &listed), [None, Some(Limit::Policy)]);
    }

    #[test]
    fn the_tests_may_execute_what_they_write() {
        let signing = Signing::of_process();
        assert!(signing.allows_unsigned || signing.allows_jit, "{signing:?}");
    }
}
