//! What JavaScript can call and free: an allocation or an image, held by handles of any thread.
//!
//! It is a [`Callable`], so that freeing waits for calls that are running, with what the handles need besides: what to call it
//! in errors, and the token by which other threads find it. `handle` holds it for one thread, `function` for as long as a
//! JavaScript function exists, `registry` without keeping it alive.

use crate::registry::Token;
use codeslab::{Address, Protection, SectionId};
use codeslab_call::Callable;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// What owns the memory. A clone keeps it, whether or not it is freed: what may still be used goes when the last clone does.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The result of linking.
    Image(Arc<codeslab_link::Image>),
    /// Bytes that the embedder placed.
    Allocation(Arc<codeslab::Allocation>),
}

impl Content {
    /// The result of linking.
    pub(crate) fn image(image: codeslab_link::Image) -> Self {
        Self::Image(Arc::new(image))
    }

    /// Bytes that the embedder placed.
    pub(crate) fn allocation(allocation: codeslab::Allocation) -> Self {
        Self::Allocation(Arc::new(allocation))
    }

    /// The memory.
    pub(crate) fn memory(&self) -> &codeslab::Allocation {
        match self {
            Self::Image(image) => image.allocation(),
            Self::Allocation(allocation) => allocation,
        }
    }
}

/// A section of an allocation, for threads that open it.
#[derive(Clone, Debug)]
pub(crate) struct SharedSection {
    pub(crate) name: String,
    pub(crate) id: SectionId,
    pub(crate) address: Address,
    pub(crate) protection: Protection,
    pub(crate) size: u64,
}

/// Published code and data that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Published {
    callable: Callable<Content>,
    noun: &'static str,
    /// Whether there ever was a live view of its data.
    is_viewed: AtomicBool,
    pub(crate) token: OnceLock<Token>,
    /// Those of an allocation that was shared.
    pub(crate) sections: OnceLock<Box<[SharedSection]>>,
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
            is_viewed: AtomicBool::new(false),
            token: OnceLock::new(),
            sections: OnceLock::new(),
        }
    }

    /// Its memory, which stays as long as what this gives does; `None` once it has been freed.
    pub(crate) fn keep(&self) -> Option<Content> {
        self.read(Content::clone)
    }

    /// A live view is about to be made.
    pub(crate) fn note_view(&self) {
        self.is_viewed.store(true, Ordering::Release);
    }

    /// Whether there may be live views of its data, in any thread.
    pub(crate) fn is_viewed(&self) -> bool {
        self.is_viewed.load(Ordering::Acquire)
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
