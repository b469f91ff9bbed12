//! Where closures lie: in code memory of this module, for as long as the process lives.
//!
//! Native code may keep a pointer longer than JavaScript expects, so none is ever taken away. They are made many at a time.

use super::handle;
use crate::permanent;
use codeslab::{Allocation, Layout, Protection, Request};
use codeslab_call::{closure, closure_bytes, trampoline};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Closures that are made at a time: a page of them.
const BATCH: u32 = 128;

/// The closures of the process.
#[derive(Default)]
struct Closures {
    /// The trampoline and all closures.
    code: Vec<Allocation>,
    /// The address of the trampoline; 0 before there is one.
    trampoline: u64,
    /// The address of each batch.
    batches: Vec<u64>,
    taken: u32,
}

static ALL: LazyLock<Mutex<Closures>> = LazyLock::new(Mutex::default);

/// The number of a closure that nothing uses yet. `None` if there are none for this processor, or no memory.
pub(super) fn take() -> Option<u32> {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if all.taken as usize == all.batches.len() * BATCH as usize {
        all.grow()?;
    }
    all.taken += 1;
    Some(all.taken - 1)
}

/// The address of a closure.
pub(super) fn pointer(number: u32) -> Option<u64> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let batch = all.batches.get((number / BATCH) as usize)?;
    Some(batch + u64::from(number % BATCH) * closure_bytes() as u64)
}

impl Closures {
    fn grow(&mut self) -> Option<()> {
        if self.trampoline == 0 {
            (closure_bytes() > 0).then_some(())?;
            self.trampoline = self.place(&trampoline(handle))?;
        }
        let first = u32::try_from(self.batches.len()).ok()?.checked_mul(BATCH)?;
        let numbers = first..first.checked_add(BATCH)?;
        let code = numbers.flat_map(|number| closure(number.into(), self.trampoline));
        let batch = self.place(&code.collect::<Vec<u8>>())?;
        self.batches.push(batch);
        Some(())
    }

    fn place(&mut self, bytes: &[u8]) -> Option<u64> {
        let mut layout = Layout::new();
        let section = layout
            .add(
                Protection::ReadExecute,
                bytes.len() as u64,
                closure_bytes() as u64,
            )
            .ok()?;
        let mut in_flight = permanent::memory()?.allocate(&Request::new(&layout)).ok()?;
        in_flight.write(section, 0, bytes).ok()?;
        let address = in_flight.address(section).value();
        self.code.push(in_flight.finalize().ok()?);
        Some(address)
    }
}
