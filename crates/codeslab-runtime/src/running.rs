//! An image that has been started: what runs at its start, at its end, and in which order its memory goes.
//!
//! `start` publishes nothing and allocates nothing of the image; it goes through the steps of a [`Program`]. What it holds meanwhile is no
//! lock, so an initialiser may link and start other images. Dropping a [`Running`] goes through the steps of its end and then gives the
//! memory back.
#![allow(unsafe_code)] // It runs what was linked.

use crate::error::Result;
use crate::program::{Direction, Indirect, Program, Step};
use crate::sys;
use codeslab::{Address, Allocation};
use std::ptr;

/// An image that has been started. Dropping it runs its finalisers and frees its memory.
#[derive(Debug)]
pub struct Running {
    // Invariant: started, by `start`, whose caller answers for what the steps of its end do.
    program: Program,
    allocation: Allocation,
}

impl Running {
    /// Runs the initialisers of an image.
    ///
    /// # Errors
    /// What keeps the image from being started. It has been ended then, and its memory given back.
    ///
    /// # Safety
    /// - The functions of `program` lie in `allocation` or stay as long as it, as do its arrays, which hold addresses of functions. The
    ///   entries of its indirect functions are words of data there that nothing else writes to.
    /// - The resolvers and initialisers may be executed now, and it is sound what they do.
    /// - The finalisers, and whatever the image registers to be run at its end, may be executed when this value is dropped, on the thread that
    ///   drops it, or when the process exits, and it is sound what they do.
    pub unsafe fn start(program: Program, allocation: Allocation) -> Result<Self> {
        // The value is there first, so that an unwinding initialiser has it dropped.
        let running = Self {
            program,
            allocation,
        };
        for indirect in &running.program.indirects {
            // SAFETY: the resolver may be executed by the second obligation, and the entry is the image's by the first.
            unsafe { resolve(*indirect) };
        }
        for function in functions_of(&running.program.initializers) {
            // SAFETY: it is an initialiser, which may be executed by the second obligation.
            unsafe { sys::call_initializer(function) };
        }
        Ok(running)
    }

    /// The memory that it owns.
    #[must_use]
    pub const fn allocation(&self) -> &Allocation {
        &self.allocation
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for step in &self.program.finalizers {
            match step {
                Step::Registered => {
                    if let Some(handle) = self.program.handle {
                        // SAFETY: it may be executed when this value is dropped, by the third obligation of `start`.
                        unsafe { sys::finalize_registered(handle) };
                    }
                }
                step => {
                    for function in functions_of(std::slice::from_ref(step)) {
                        // SAFETY: it may be executed when this value is dropped, by the third obligation of `start`.
                        unsafe { sys::call_finalizer(function) };
                    }
                }
            }
        }
    }
}

/// Has a resolver choose its function.
///
/// # Safety
/// - The resolver may be executed now, and what it does is sound.
/// - The entry is an aligned word of data of an image that lives, and nothing else writes to it.
unsafe fn resolve(indirect: Indirect) {
    // SAFETY: it may be executed by the first obligation.
    let function = unsafe { sys::call_resolver(indirect.resolver) };
    let entry: *mut usize = ptr::with_exposed_provenance_mut(indirect.entry.value() as usize);
    // SAFETY: it is an aligned word that only this writes to, by the second obligation.
    unsafe { entry.write(function.value() as usize) };
}

/// The functions of some steps, in their order.
fn functions_of(steps: &[Step]) -> impl Iterator<Item = Address> {
    steps.iter().flat_map(|step| match *step {
        Step::Function(function) => vec![function],
        Step::Functions {
            array,
            count,
            direction,
        } => read(array, count, direction),
        Step::Registered => Vec::new(),
    })
}

/// The entries of an array that are functions.
fn read(array: Address, count: u64, direction: Direction) -> Vec<Address> {
    let array: *const usize = ptr::with_exposed_provenance(array.value() as usize);
    let entries = (0..count as usize).map(|index| {
        // SAFETY: the array lies in an image that lives, by the first obligation of `start`.
        unsafe { array.wrapping_add(index).read_unaligned() }
    });
    let functions = entries.filter(|entry| !matches!(*entry, 0 | usize::MAX));
    let mut functions: Vec<Address> = functions.map(|entry| Address::new(entry as u64)).collect();
    if direction == Direction::Backwards {
        functions.reverse();
    }
    functions
}
