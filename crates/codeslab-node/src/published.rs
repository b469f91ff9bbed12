//! What JavaScript can call and free: an allocation or an image, held by handles of any thread.
//!
//! It is a [`Callable`], so that freeing waits for calls that are running, with what the handles need besides: what to call it
//! in errors, and the token by which other threads find it. `handle` holds it for one thread, `function` for as long as a
//! JavaScript function exists, `registry` without keeping it alive.

use crate::registry::Token;
use codeslab_call::Callable;
use codeslab_debug::Registration;
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

/// The memory, and what debuggers were told of it, which goes first.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Kept for what its drop does.
    _told: Vec<Registration>,
    pub(crate) content: Content,
}

/// Published code and data that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Published {
    callable: Callable<Owned>,
    noun: &'static str,
    pub(crate) token: OnceLock<Token>,
}

impl Published {
    /// Takes what was published, and what debuggers were told of it.
    pub(crate) fn new(content: Content, told: Vec<Registration>) -> Self {
        let noun = match content {
            Content::Image(_) => "image",
            Content::Allocation(_) => "allocation",
        };
        Self {
            callable: Callable::new(Owned {
                _told: told,
                content,
            }),
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
    type Target = Callable<Owned>;

    #[inline]
    fn deref(&self) -> &Callable<Owned> {
        &self.callable
    }
}
