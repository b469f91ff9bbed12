//! Tokens by which threads of one process find each other's memories and images.
//!
//! The registry holds weak references: it keeps nothing alive, and an entry goes with the thing that it stands for.

use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// What a token stands for, of whichever type.
type Entry = Weak<dyn Any + Send + Sync>;

/// A name that is valid in this process while what it stands for lives.
#[derive(Debug)]
pub(crate) struct Token {
    text: String,
}

static ENTRIES: LazyLock<Mutex<HashMap<String, Entry>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Differs between processes, so that a token from another one is unknown here rather than mistaken.
static SECRET: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

impl Token {
    /// Enters something under a new token, whose text begins with its `kind`.
    pub(crate) fn enter<T: Send + Sync + 'static>(kind: &str, shared: &Arc<T>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let text = format!("codeslab-{kind}-{number}-{:016x}", *SECRET);
        let entry: Entry = Arc::<T>::downgrade(shared);
        entries().insert(text.clone(), entry);
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

/// What a token stands for, if that lives and is of this type.
pub(crate) fn find<T: Send + Sync + 'static>(token: &str) -> Option<Arc<T>> {
    let entry = entries().get(token).and_then(Weak::upgrade);
    entry?.downcast().ok()
}

fn entries() -> MutexGuard<'static, HashMap<String, Entry>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_as_what_it_stands_for_until_it_is_dropped_and_is_never_reused() {
        let shared = Arc::new(7_u8);
        let first = Token::enter("number", &shared);
        let text = first.text().to_owned();
        assert_eq!(find::<u8>(&text).as_deref(), Some(&7));
        assert_eq!(find::<u16>(&text), None, "it is of another type");
        drop(first);
        assert_eq!(find::<u8>(&text), None);
        let second = Token::enter("number", &shared);
        assert_ne!(second.text(), text);
        drop(shared);
        assert_eq!(find::<u8>(second.text()), None, "it keeps nothing alive");
    }
}
