//! Tokens by which threads of one process find each other's memories and images.
//!
//! The registry holds weak references: it keeps nothing alive, and an entry goes with the thing that it stands for.

use codeslab::CodeMemory;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::published::Published;

/// A memory that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) memory: CodeMemory,
    pub(crate) token: OnceLock<Token>,
}

/// Something that a token can stand for.
#[derive(Clone, Debug)]
pub(crate) enum Shared {
    Memory(Weak<Opened>),
    Image(Weak<Published>),
}

/// A name that is valid in this process while what it stands for lives.
#[derive(Debug)]
pub(crate) struct Token {
    text: String,
}

static ENTRIES: LazyLock<Mutex<HashMap<String, Shared>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Differs between processes, so that a token from another one is unknown here rather than mistaken.
static SECRET: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

impl Token {
    /// Enters `shared` under a new token.
    pub(crate) fn enter(shared: Shared) -> Self {
        let kind = match shared {
            Shared::Memory(_) => "memory",
            Shared::Image(_) => "image",
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let text = format!("codeslab-{kind}-{number}-{:016x}", *SECRET);
        entries().insert(text.clone(), shared);
        Self { text }
    }

    /// The token.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        entries().remove(&self.text);
    }
}

/// What a token stands for, unless nothing does (any more).
pub(crate) fn find(token: &str) -> Option<Shared> {
    entries().get(token).cloned()
}

fn entries() -> MutexGuard<'static, HashMap<String, Shared>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_until_it_is_dropped_and_is_never_reused() {
        let first = Token::enter(Shared::Memory(Weak::new()));
        let text = first.text().to_owned();
        assert!(matches!(find(&text), Some(Shared::Memory(_))));
        drop(first);
        assert!(find(&text).is_none());
        assert_ne!(Token::enter(Shared::Memory(Weak::new())).text(), text);
    }
}
