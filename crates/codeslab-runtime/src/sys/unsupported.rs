//! Systems on which nothing is started: there is no image to call anything of.
#![allow(unsafe_code)] // The functions are as unsafe as where there is a system.

use crate::error::{Error, Result};
use crate::thread_local::{Question, Template, Variable};
use codeslab::Address;

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_resolver(function: Address) -> Address {
    function
}

/// No thread gets anything.
#[derive(Debug)]
pub(crate) struct ThreadLocals;

impl ThreadLocals {
    pub(crate) fn provide(
        _: &Template<'_>,
        _: &[(Variable<'_>, Question)],
    ) -> Result<(Self, Vec<[u64; 2]>)> {
        Err(Error::Unsupported {
            what: "thread-local variables",
        })
    }
}

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_initializer(_function: Address) {}

/// # Safety
/// `function` is the entry of code that may be executed until it returns, and what it does is sound.
pub(crate) unsafe fn call_finalizer(_function: Address) {}

/// # Safety
/// What was registered by this handle may be executed now, and is sound.
pub(crate) unsafe fn finalize_registered(_handle: Address) {}
