//! What JavaScript can call and free: an allocation or an image, held by handles of any thread.
//!
//! It is a [`Callable`], so that freeing waits for calls that are running, with what the handles need besides: what to call it
//! in errors, and the token by which other threads find it. `handle` holds it for one thread, `function` for as long as a
//! JavaScript function exists, `registry` without keeping it alive.
#![allow(unsafe_code)] // Functions are replaced by what embedders say.

use crate::grace::{self, Code};
use crate::places::{self, Entered, Part};
use crate::registry::Token;
use codeslab::{Address, Protection, SectionId, Slot};
use codeslab_call::Callable;
use codeslab_debug::Registration;
use std::any::Any;
use std::collections::HashMap;
use std::mem;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// What owns the memory. A clone keeps it, whether or not it is freed: what may still be used goes when the last clone does.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The result of linking.
    Image(Arc<codeslab_link::Image>),
    /// Bytes that the embedder placed.
    Allocation(Arc<codeslab::Allocation>),
    /// An entry that leads to other code.
    Slot(Arc<Entry>),
    /// Code of the process, which is not ours and is never freed.
    Process,
}

/// A slot, and what keeps the code that it leads to.
#[derive(Debug)]
pub(crate) struct Entry {
    slot: Slot,
    target: Mutex<Option<Content>>,
}

impl Entry {
    /// A slot that leads to code which `target` keeps; `None` for code that is not ours.
    pub(crate) fn new(slot: Slot, target: Option<Content>) -> Self {
        Self {
            slot,
            target: Mutex::new(target),
        }
    }

    /// Where it is, and where it leads.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Has it lead elsewhere. What it led to stays until no call can be there any more. Whether something waits for that.
    pub(crate) fn replace(&self, target: Address, keeper: Option<Content>) -> bool {
        let mut kept = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        self.slot.replace(target);
        let before = mem::replace(&mut *kept, keeper);
        drop(kept);
        grace::retire(before)
    }
}

impl Drop for Entry {
    /// Calls that came through it may still be in what it led to.
    fn drop(&mut self) {
        let target = self
            .target
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = target.take() {
            grace::retire(target);
        }
    }
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

    /// An entry that leads to other code.
    pub(crate) fn slot(entry: Entry) -> Self {
        Self::Slot(Arc::new(entry))
    }

    /// The memory; `None` where it is not ours.
    pub(crate) fn memory(&self) -> Option<&codeslab::Allocation> {
        match self {
            Self::Image(image) => Some(image.allocation()),
            Self::Allocation(allocation) => Some(allocation),
            Self::Slot(entry) => Some(entry.slot.allocation()),
            Self::Process => None,
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

/// The memory, and what debuggers were told of it, which goes first.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Kept for what its drop does.
    _told: Vec<Registration>,
    pub(crate) content: Content,
    /// What keeps the code that functions of an image lead to instead of their own, by name.
    replaced: Mutex<HashMap<String, Option<Content>>>,
}

impl Owned {
    /// Has a function of an image lead to code that `keeper` keeps. What it led to stays until no call can be there any more. Whether
    /// something waits for that; `None` if the function cannot be replaced.
    pub(crate) fn replace(
        &self,
        function: &str,
        target: Address,
        keeper: Option<Content>,
    ) -> Option<bool> {
        let Content::Image(image) = &self.content else {
            return None;
        };
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the target is kept until no call can be there, as far as it is ours; that it takes and returns the same is for the
        // embedder to see to, who gives its address.
        unsafe { image.replace(function, target) }?;
        let before = replaced.insert(function.to_owned(), keeper);
        drop(replaced);
        Some(grace::retire(before))
    }
}

impl Drop for Owned {
    /// Its code may stay for others that it is bound to; what it was led to need not.
    fn drop(&mut self) {
        let replaced = self.replaced.get_mut();
        let replaced = mem::take(replaced.unwrap_or_else(PoisonError::into_inner));
        if let (Content::Image(image), false) = (&self.content, replaced.is_empty()) {
            image.restore();
            grace::retire(replaced);
        }
    }
}

/// Published code and data that JavaScript holds handles to.
#[derive(Debug)]
pub(crate) struct Published {
    callable: Callable<Owned>,
    noun: &'static str,
    /// Where its code begins, once that is watched.
    watched: OnceLock<Address>,
    /// Whether there ever was a live view of its data.
    is_viewed: AtomicBool,
    pub(crate) token: OnceLock<Token>,
    /// What is found by address: where it begins, and what its parts are called.
    pub(crate) entered: Entered,
    /// Those of an allocation that was shared.
    pub(crate) sections: OnceLock<Box<[SharedSection]>>,
}

impl Published {
    /// Takes what was published, and what debuggers were told of it.
    pub(crate) fn new(content: Content, told: Vec<Registration>) -> Self {
        let noun = match content {
            Content::Image(_) => "image",
            Content::Allocation(_) => "allocation",
            Content::Slot(_) => "slot",
            Content::Process => "process",
        };
        Self {
            callable: Callable::new(Owned {
                _told: told,
                content,
                replaced: Mutex::default(),
            }),
            noun,
            watched: OnceLock::new(),
            is_viewed: AtomicBool::new(false),
            token: OnceLock::new(),
            entered: Entered::default(),
            sections: OnceLock::new(),
        }
    }

    /// In the place of what was freed.
    pub(crate) fn freed(noun: &'static str) -> Self {
        let mut freed = Self::new(Content::Process, Vec::new());
        freed.noun = noun;
        freed.callable.free();
        freed
    }

    /// Its memory, which stays as long as what this gives does; `None` once it has been freed.
    pub(crate) fn keep(&self) -> Option<Content> {
        self.read(|owned| owned.content.clone())
    }

    /// Has its calls seen by grace periods, and its code found by address: before something can call it.
    pub(crate) fn watch(self: &Arc<Self>) {
        if self.watched.get().is_some() {
            return;
        }
        let code = self.read(|owned| match owned.content.memory() {
            Some(memory) => memory.segment(Protection::ReadExecute),
            None => Some(Default::default()),
        });
        if let Some((start, size)) = code.flatten() {
            self.watched.get_or_init(|| start);
            grace::watch(start, size, self);
        }
    }

    /// The code of the process that is not ours.
    pub(crate) fn process() -> Arc<Self> {
        static PROCESS: LazyLock<Arc<Published>> =
            LazyLock::new(|| Arc::new(Published::new(Content::Process, Vec::new())));
        PROCESS.watch();
        Arc::clone(&PROCESS)
    }

    /// The code that an address lies in, if that is watched.
    pub(crate) fn at(address: Address) -> Option<Arc<Self>> {
        let code: Arc<dyn Any + Send + Sync> = grace::find(address)?;
        code.downcast().ok()
    }

    /// Has all of its memory be found by address, for questions by name. Says how many bytes that is.
    pub(crate) fn be_found(self: &Arc<Self>) -> u64 {
        let parts = self.read(|owned| {
            let memory = owned.content.memory()?;
            Some(Protection::ALL.map(|protection| memory.segment(protection)))
        });
        let parts = parts.flatten().into_iter().flatten().flatten();
        let parts = parts.map(|(start, size)| Part {
            start,
            size,
            name: None,
        });
        let parts: Vec<Part> = parts.collect();
        let size = parts.iter().map(|part| part.size).sum();
        self.entered.add(self, parts);
        size
    }

    /// Has part of it be found by address, under a name, unless it has one.
    pub(crate) fn name(self: &Arc<Self>, start: Address, size: u64, name: &str) {
        if !self.entered.has(start) {
            let part = Part {
                start,
                size,
                name: Some(name.into()),
            };
            self.entered.add(self, vec![part]);
        }
    }

    /// Is found by no address any more: what was freed has no use for names, and its handle may be kept for long.
    pub(crate) fn leave(&self) {
        self.entered.leave(&raw const *self);
    }

    /// What is found by this address.
    pub(crate) fn entered_at(address: Address) -> Option<Arc<Self>> {
        let code: Arc<dyn Any + Send + Sync> = places::find(address)?;
        code.downcast().ok()
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

impl Code for Published {
    fn is_there(&self) -> bool {
        !self.is_freed()
    }

    fn is_running(&self) -> bool {
        self.callable.is_running()
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if let Some(start) = self.watched.get() {
            grace::forget(*start, &raw const *self);
        }
        self.leave();
    }
}

impl Deref for Published {
    type Target = Callable<Owned>;

    #[inline]
    fn deref(&self) -> &Callable<Owned> {
        &self.callable
    }
}
