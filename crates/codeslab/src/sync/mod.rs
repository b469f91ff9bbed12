//! What threads share.

pub(crate) mod atomics;
pub(crate) mod biased_lock;
pub(crate) mod remote_frees;
pub(crate) mod thread_id;

pub(crate) use atomics::*;
