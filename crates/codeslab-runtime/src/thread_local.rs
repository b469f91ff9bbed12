//! Thread-local storage of images: threads get their copies from the process's dynamic linker, and code what it needs to come by them.
//!
//! The linker lays out a [`Template`] and asks [`Question`]s about variables; [`ThreadLocals::provide`] has the dynamic linker answer them,
//! as it would for a shared library. From then on the C library gives every thread its copy: threads that are older than the image, later
//! ones, aligned, initialised when it is first used, and taken back at the end of the thread or when the [`ThreadLocals`] are dropped.
//! `codeslab-link` uses this before it relocates code, and an image holds the value as long as its memory.

use crate::error::Result;
use crate::sys;

/// What each thread's copy begins as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template<'a> {
    /// What is not zero in it, from its start.
    pub bytes: &'a [u8],
    /// Bytes of a copy, no less than those; 0 if there are no variables.
    pub size: u64,
    /// What the address of a copy is a multiple of: a power of two, in bytes.
    pub align: u64,
}

/// The variable that a question is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variable<'a> {
    /// One of the image, by its offset in the template in bytes.
    Own(u64),
    /// One that the process has, by name.
    Process(&'a str),
    /// One that does not exist and need not exist.
    Nobody,
}

/// What code needs to know of a variable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// The two words that `__tls_get_addr` is passed: the number of the module, and the offset in the module's block.
    ModuleAndOffset,
    /// One word, the offset from the thread pointer, which is then one for all threads (the models initial exec and local exec). Only
    /// little room is there for variables of which that is asked.
    ThreadOffset,
    /// The two words of a descriptor: a function that tells the offset from the thread pointer, and its argument.
    Descriptor,
}

/// Thread-local storage of an image. Dropping it gives the copies of all threads back.
#[derive(Debug)]
pub struct ThreadLocals(
    #[allow(
        dead_code,
        reason = "held for its drop, and never made where there are none"
    )]
    sys::ThreadLocals,
);

impl ThreadLocals {
    /// Has every thread have a copy of `template`, and answers `questions`, two words each.
    ///
    /// # Errors
    /// [`Error::StaticThreadLocal`](crate::Error::StaticThreadLocal) if an offset from the thread pointer was asked for and there is no more
    /// room for such variables; [`Error::DynamicLinker`](crate::Error::DynamicLinker) if the dynamic linker cannot be asked.
    pub fn provide(
        template: Template<'_>,
        questions: &[(Variable<'_>, Question)],
    ) -> Result<(Self, Vec<[u64; 2]>)> {
        let (provided, answers) = sys::ThreadLocals::provide(&template, questions)?;
        Ok((Self(provided), answers))
    }
}
