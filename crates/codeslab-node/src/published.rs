//! What JavaScript can call and free: an allocation or an image, held by handles of any thread.
//!
//! It is a [`Callable`], so that freeing waits for calls that are running, with what the handles need besides: what to call it
//! in errors, and the token by which other threads find it. `handle` holds it for one thread, `function` for as long as a
//! JavaScript function exists, `registry` without keeping it alive.

use crate::registry::Token;
use codeslab_call::Callable;
use std::ops::Deref;
use std::sync::OnceLock;

/// What owns the memory.
#[derive(Debug)]
pub(crate) enum Content {
    /// The result of linking.
    Image(codeslab_link::Image),
    /// Bytes that the embedder placed. Kept for what its drop does.
    Allocation(#[allow(dead_code, reason = "dropping it frees it")] codeslab::Allocation),
}

/// Published code and data that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Published {
    callable: Callable<Content>,
    noun: &'static str,
    pub(crate) token: OnceLock<Token>,
}

impl Published {
    /// Takes what was published.
    pub(crate) fn new(content: Content) -> Self {
        let noun = match content {
            Content::Image(_) => "image",
            Content::Allocation(_) => "allocation",
        };
        Self {
            callable: Callable::new(content),
            noun,
            token: OnceLock::new(),
        }
    }

    /// What to call it.
    pub(crate) fn noun(&self) -> &'static str {
        self.noun
    }
}

impl Deref for Published {
    type Target = Callable<Content>;

    #[inline]
    fn deref(&self) -> &Callable<Content> {
        &self.callable
    }
}
