//! Code of this module's own that stays as long as the process: thunks of fast calls, closures of callbacks.
//!
//! It is sealed where the system can do that, so that it is no weaker place than a memory that an embedder seals: nothing of it is ever
//! given back anyway.

use codeslab::{CodeMemory, Options};
use std::sync::LazyLock;

/// The memory, or `None` where there is no code memory.
pub(crate) fn memory() -> Option<&'static CodeMemory> {
    static MEMORY: LazyLock<Option<CodeMemory>> = LazyLock::new(|| {
        let sealed = Options {
            sealed: true,
            ..Options::default()
        };
        let open = |options| CodeMemory::new(options).ok();
        open(sealed).or_else(|| open(Options::default()))
    });
    MEMORY.as_ref()
}
