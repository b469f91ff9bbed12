//! An image that has been started, as its owner holds it: what runs at its start, and that dropping it ends it.
//!
//! `start` holds no lock while it goes through the steps of a [`Program`], so an initialiser may link and start other images. Dropping a
//! [`Running`] has this thread destroy what it has of the image; the image itself ends when no other thread has anything of it (`image`).
#![allow(unsafe_code)] // It runs what was linked.

use crate::error::{Error, Exception, Result};
use crate::image::{Image, Keep};
use crate::program::{Indirect, Program};
use crate::sys;
use crate::threads;
use codeslab::Allocation;
use std::ptr;
use std::sync::Arc;

/// An image that has been started. Dropping it ends the image.
#[derive(Debug)]
pub struct Running {
    image: Arc<Image>,
}

impl Running {
    /// Has the process know of an image's unwind tables, has its resolvers choose, and runs its initialisers. What is `kept` goes after the memory.
    ///
    /// # Errors
    /// [`Error::Constructor`] if an initialiser throws. What the image has registered by then has been run, and its memory given back.
    ///
    /// # Safety
    /// - The functions of `program` lie in `allocation` or stay as long as it, as do its arrays, which hold addresses of functions, and its
    ///   unwind tables, which are well-formed, end, and describe code in `allocation` only.
    /// - The entries of its indirect functions are words of data there that nothing else writes to.
    /// - The resolvers and initialisers may be executed now, and it is sound what they do. They return, throw, or do neither and end the thread or the process:
    ///   they do not jump over the caller (`longjmp`).
    /// - The finalisers, and whatever the image registers to be run at its end, may be executed when this value is dropped, on the thread that
    ///   drops it, on threads that end, or when the process exits, and it is sound what they do.
    pub unsafe fn start(
        program: Program,
        allocation: Allocation,
        kept: Vec<Box<dyn Keep>>,
    ) -> Result<Self> {
        // SAFETY: all obligations are among those of this function.
        let running = unsafe { Self::begin(program, allocation, kept) };
        let failed = |exception| {
            running.image.abandon();
            Error::Constructor { exception }
        };
        for indirect in &running.image.program().indirects {
            // SAFETY: the resolver may be executed by the third obligation, and the entry is the image's by the second.
            unsafe { resolve(*indirect) }.map_err(failed)?;
        }
        for function in running.image.initializers() {
            // SAFETY: it is an initialiser, which may be executed by the third obligation.
            unsafe { sys::call_initializer(function, running.image.convention()) }
                .map_err(failed)?;
        }
        Ok(running)
    }

    /// Has the process know of an image's unwind tables, and calls none of its resolvers and initialisers. What is `kept` goes after the memory.
    ///
    /// # Safety
    /// - The functions of `program` lie in `allocation` or stay as long as it, as do its arrays, which hold addresses of functions, and its
    ///   unwind tables, which are well-formed, end, and describe code in `allocation` only.
    /// - The finalisers, and whatever the image registers to be run at its end, may be executed when this value is dropped, on the thread that
    ///   drops it, on threads that end, or when the process exits, and it is sound what they do.
    #[must_use]
    pub unsafe fn begin(
        program: Program,
        allocation: Allocation,
        kept: Vec<Box<dyn Keep>>,
    ) -> Self {
        // SAFETY: both obligations are among those of this function. The value is there before anything runs, so that what unwinds has it
        // dropped.
        let image = unsafe { Image::new(program, allocation, kept) };
        Self { image }
    }

    /// The memory that it owns.
    #[must_use]
    pub fn allocation(&self) -> &Allocation {
        self.image.allocation()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What this thread would destroy at its end: no code of the image runs on it any more.
        threads::destroy(&self.image);
        self.image.end_if_last(&self.image);
        // Destructors may have made something that this thread would destroy.
        threads::destroy(&self.image);
    }
}

/// Has a resolver choose its function.
///
/// # Safety
/// - The resolver may be executed now, and what it does is sound.
/// - The entry is an aligned word of data of an image that lives, and nothing else writes to it.
unsafe fn resolve(indirect: Indirect) -> Result<(), Exception> {
    // SAFETY: it may be executed by the first obligation.
    let function = unsafe { sys::call_resolver(indirect.resolver) }?;
    let entry: *mut usize = ptr::with_exposed_provenance_mut(indirect.entry.value() as usize);
    // SAFETY: it is an aligned word that only this writes to, by the second obligation.
    unsafe { entry.write(function.value() as usize) };
    Ok(())
}
