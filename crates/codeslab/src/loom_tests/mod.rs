//! What threads do to each other, in every order in which they may do it (up to the given number of preemptions).
//!
//! `RUSTFLAGS='--cfg loom' cargo test -p codeslab --lib loom_`
#![allow(
    unsafe_code,
    reason = "what is modelled asks its callers for promises, which the models keep"
)]

mod biased;
mod closing;
mod returns;
mod runs;

use crate::sync::biased_lock::ProcessBarrier;

/// Nothing that makes other threads execute a barrier: each executes its own.
struct NoBarrier;

impl ProcessBarrier for NoBarrier {
    fn is_available(&self) -> bool {
        false
    }

    fn execute(&self) {
        unreachable!("it is not available");
    }
}

/// Tries all orders with at most so many preemptions of a thread that could have gone on.
fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}
