//! What threads share data through, with nothing in it that knows of code memory. The lock of a shard, its remote frees and the numbers of
//! threads are what `pool` is built on; words are what tables of `slab` and `block` consist of.
//!
//! Models of them are in `loom_tests` (`npm run test:models`); `ThreadSanitizer` watches the rest (`npm run test:tsan`).

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
