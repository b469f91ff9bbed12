//! What threads share data through, with nothing in it that knows of code memory.
//!
//! | file           | what it is                                                                    | used by                  |
//! | -------------- | ----------------------------------------------------------------------------- | ------------------------ |
//! | `atomics`      | atomics, locks and cells: the standard library's or the model checker's        | this room, `slab`, `block` |
//! | `thread_id`    | a small number for each living thread, which says whose shard it is            | `pool`, `memory`         |
//! | `biased_lock`  | the lock of a shard, nearly free of charge for the thread that owns the shard  | `pool`                   |
//! | `remote_frees` | what other threads free of a shard, until the shard's owner takes it           | `pool`                   |
//! | `words`        | zeroed words for tables, and the memory that they are part of                 | `slab`, `block`, `space` |
//!
//! Their models are in `loom_tests` (`npm run test:models`); `ThreadSanitizer` watches the rest (`npm run test:tsan`).

mod atomics;
pub(crate) mod biased_lock;
pub(crate) mod remote_frees;
pub(crate) mod thread_id;
mod words;

use atomics::{
    AtomicBool, AtomicUsize, MAY_LEAVE_BARRIERS_TO_OTHERS, Mutex, MutexGuard, UnsafeCell, fence,
    yield_now,
};
pub(crate) use atomics::{AtomicU64, Ordering};
pub(crate) use words::{WordSource, Words};
