//! Thread-local storage of images: threads get their copies from the process's dynamic linker, and code what it needs to come by them.
//!
//! The linker lays out a [`Template`] and asks [`Question`]s about variables; [`ThreadLocals::provide`] has the dynamic linker answer them,
//! as it would for a shared library. From then on the C library gives every thread its copy: threads that are older than the image, later
//! ones, aligned, initialised when it is first used, and taken back at the end of the thread or when the [`ThreadLocals`] are dropped.
//! `codeslab-link` uses this before it relocates code, and an image holds the value as long as its memory.

use crate::error::Result;
use crate::storage::{Question, Template, Variable};
use crate::sys;
use std::sync::atomic::{AtomicU64, Ordering};

/// Thread-local storage of an image. Dropping it gives the copies of all threads back.
#[derive(Debug)]
pub struct ThreadLocals {
    #[allow(
        dead_code,
        reason = "held for its drop, and never made where there are none"
    )]
    provided: sys::ThreadLocals,
    name: Option<String>,
}

impl ThreadLocals {
    /// Has every thread have a copy of `template`, and answers `questions`, two words each. Variables of the process are also looked for in
    /// the libraries with the names `needed`, which are open under these names, or are [names](Self::name) of others of these.
    ///
    /// # Errors
    /// [`Error::StaticThreadLocal`](crate::Error::StaticThreadLocal) if an offset from the thread pointer was asked for and there is no more
    /// room for such variables; [`Error::DynamicLinker`](crate::Error::DynamicLinker) if the dynamic linker cannot be asked.
    pub fn provide(
        template: Template<'_>,
        questions: &[(Variable<'_>, Question)],
        needed: &[&str],
    ) -> Result<(Self, Vec<[u64; 2]>)> {
        let name = (!template.exports.is_empty()).then(unique_name);
        let (provided, answers) =
            sys::ThreadLocals::provide(&template, questions, needed, name.as_deref())?;
        Ok((Self { provided, name }, answers))
    }

    /// The name by which others need it for the variables that it exports, if it exports any.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// A name that no library of this process has, whichever copy of this code makes it.
fn unique_name() -> String {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let copy = (&raw const NUMBERS).addr();
    format!("codeslab-thread-locals-{copy:x}-{number}")
}
