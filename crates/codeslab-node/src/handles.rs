//! What JavaScript holds of this module, in one table for each environment.
//!
//! JavaScript has numbers of slots: those of code in private fields, others wrapped in externals that nothing can look into. Here they
//! are looked up, so an external of another module is refused and never followed. Finalizers empty slots when the event loop turns;
//! what is freed by hand leaves its slot at once, which spares the collector the object. One object may stand for a batch of slots, each
//! of which can be left before. Before a request is refused
//! for want of something that garbage may still have, V8 is made to collect, and [`Handles::collect`] empties the slots whose
//! objects are gone; in loops that never yield, [`Handles::settle`] does when enough was made. `load` tells V8 how much that is.
#![allow(unsafe_code)] // It takes references back.

use crate::handle::{CodeHandle, Content};
use crate::load::Load;
use crate::node_api::{Collected, Scope, Value, WeakReference, adjust_external_memory};
use napi::sys::napi_env;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Beside the number of a slot in the word of an external: no pointer has these bits.
const MARK: u64 = 0xc0de << 32;

/// Times in a row that nothing is found before there is a pause.
const PATIENCE: u32 = 3;

/// How many times longer than looking took the pause is.
const PAUSE: u32 = 10;

/// What the JavaScript of one environment holds.
#[derive(Debug)]
pub(crate) struct Handles {
    slots: RefCell<Slots>,
    load: Rc<Load>,
    /// Collections since the last one that found something.
    fruitless: Cell<u32>,
    paused_until: Cell<Option<Instant>>,
    /// Whether everything stays as it is, because the process ends with the environment.
    is_kept: Cell<bool>,
}

#[derive(Debug, Default)]
struct Slots {
    all: Chunks,
    // Invariant: the numbers of all slots that are `Slot::Free`, and of the one that is being filled.
    free: Vec<u32>,
}

/// All slots, by number. There may be a million, so they stay where they are: a list that grows is moved, and leaves behind it what its
/// earlier places took.
#[derive(Debug, Default)]
struct Chunks(
    // Invariant: each of them but the last has `CHUNK` slots.
    Vec<Vec<Slot>>,
);

/// Slots that lie together. As many are looked at before the handles which that makes are given back.
const CHUNK: usize = 1024;

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Free,
    /// Nothing stands for this content: it stays.
    Standing(Rc<dyn Any>),
    /// An object stands for this content.
    Held(WeakReference, Content),
    /// The object with this number stands for this content, and for others.
    Member(u32, Content),
    /// The object has been collected, and its finalizer has not run yet.
    Swept(WeakReference),
}

impl Default for Handles {
    /// With the handles of what was freed by hand, as the first ones.
    fn default() -> Self {
        let freed = CodeHandle::freed().map(|handle| Slot::Standing(Rc::new(handle)));
        Self {
            slots: RefCell::new(Slots {
                all: Chunks(vec![freed.into()]),
                free: Vec::new(),
            }),
            load: Rc::default(),
            fruitless: Cell::default(),
            paused_until: Cell::default(),
            is_kept: Cell::default(),
        }
    }
}

impl Handles {
    /// How much lies outside of V8's heap.
    pub(crate) fn load(&self) -> &Rc<Load> {
        &self.load
    }

    /// A new external that stands for `content`. `None` if Node refused.
    pub(crate) fn hold<'a, T: Any>(
        self: &Rc<Self>,
        scope: Scope<'a>,
        content: Rc<T>,
    ) -> Option<Value<'a>> {
        self.fill(Content::Shared(content), |word| {
            let external = scope.external(word)?;
            let reference = scope.observe(external, word, Rc::clone(self))?;
            Some((reference, external))
        })
    }

    /// A number that stands for `content` until `keeper` has been collected. `None` if Node refused.
    pub(crate) fn number<T: Any>(
        self: &Rc<Self>,
        scope: Scope<'_>,
        keeper: Value<'_>,
        content: Rc<T>,
    ) -> Option<u32> {
        self.number_content(scope, keeper, Content::Shared(content))
    }

    /// As [`Handles::number`], for what need not be shared.
    pub(crate) fn number_content(
        self: &Rc<Self>,
        scope: Scope<'_>,
        keeper: Value<'_>,
        content: Content,
    ) -> Option<u32> {
        self.fill(content, |word| {
            Some((scope.observe(keeper, word, Rc::clone(self))?, word as u32))
        })
    }

    /// Numbers that stand for `contents` until `keeper` has been collected, each unless it is released before. `None` if Node refused.
    pub(crate) fn number_batch(
        self: &Rc<Self>,
        scope: Scope<'_>,
        keeper: Value<'_>,
        contents: impl Iterator<Item = Content>,
    ) -> Option<Box<[u32]>> {
        let batch = self.slots.borrow_mut().take_free()?;
        let word = MARK | u64::from(batch);
        let Some(reference) = scope.observe(keeper, word, Rc::clone(self)) else {
            self.slots.borrow_mut().free.push(batch);
            return None;
        };
        let mut slots = self.slots.borrow_mut();
        let member = |content: Content| {
            let number = slots.take_free()?;
            if let Content::Lone(lone) = &content {
                self.load.take_up(lone.bytes());
            }
            slots.all.set(number, Slot::Member(batch, content));
            Some(number)
        };
        let numbers: Box<[u32]> = contents.map_while(member).collect();
        let content = Content::Batch(batch, numbers.clone());
        slots.all.set(batch, Slot::Held(reference, content));
        Some(numbers)
    }

    /// What a number stands for, if that is a `T`.
    #[inline]
    pub(crate) fn numbered<T: Any>(&self, number: f64) -> Option<Rc<T>> {
        // A number that there is not is cast to one that no slot has, or the first.
        self.get(MARK | u64::from(number as u32))
    }

    /// Lets go of what a number stands for, although its object is still there: it must not be used any more.
    pub(crate) fn release(self: &Rc<Self>, scope: Scope<'_>, number: f64) {
        let mut slots = self.slots.borrow_mut();
        let number = number as u32;
        let Some(slot) = slots.all.get_mut(number as usize) else {
            return;
        };
        if !matches!(slot, Slot::Held(..) | Slot::Member(..)) {
            return;
        }
        let slot = std::mem::take(slot);
        slots.free.push(number);
        drop(slots);
        match slot {
            Slot::Held(reference, content) => {
                // SAFETY: slots are filled here, with references that have these handles as their observer.
                unsafe { reference.cancel(scope.env(), self) };
                self.let_go(content);
            }
            Slot::Member(_, content) => self.let_go(content),
            Slot::Free | Slot::Standing(_) | Slot::Swept(_) => {}
        }
    }

    /// Keeps `content` until `object` has been collected. `None` if Node refused.
    pub(crate) fn keep<T: Any>(
        self: &Rc<Self>,
        scope: Scope<'_>,
        object: Value<'_>,
        content: Rc<T>,
    ) -> Option<()> {
        self.fill(Content::Shared(content), |word| {
            Some((scope.observe(object, word, Rc::clone(self))?, ()))
        })
    }

    fn fill<R>(
        &self,
        content: Content,
        refer: impl FnOnce(u64) -> Option<(WeakReference, R)>,
    ) -> Option<R> {
        let number = self.slots.borrow_mut().take_free()?;
        let filled = refer(MARK | u64::from(number));
        let mut slots = self.slots.borrow_mut();
        if let Some((reference, object)) = filled {
            if let Content::Lone(lone) = &content {
                self.load.take_up(lone.bytes());
            }
            slots.all.set(number, Slot::Held(reference, content));
            return Some(object);
        }
        slots.free.push(number);
        None
    }

    /// What the external with this word stands for, if that is a `T`.
    pub(crate) fn get<T: Any>(&self, word: u64) -> Option<Rc<T>> {
        let mut slots = self.slots.borrow_mut();
        match slots.all.get_mut(number(word)?)? {
            Slot::Held(_, content) | Slot::Member(_, content) => self.shared(content),
            Slot::Standing(content) => Some(Rc::clone(content)),
            Slot::Free | Slot::Swept(_) => None,
        }?
        .downcast()
        .ok()
    }

    /// What a slot holds, shared from now on. `None` for a batch.
    fn shared(&self, content: &mut Content) -> Option<Rc<dyn Any>> {
        if let Content::Lone(_) = content {
            let nothing = Content::Shared(Rc::new(()));
            if let Content::Lone(lone) = std::mem::replace(content, nothing) {
                *content = Content::Shared(Rc::new(CodeHandle::of_lone(lone, &self.load)));
            }
        }
        match content {
            Content::Shared(shared) => Some(Rc::clone(shared)),
            Content::Lone(_) | Content::Batch(..) => None,
        }
    }

    /// Drops what a slot held.
    fn let_go(&self, content: Content) {
        match content {
            Content::Lone(lone) => self.load.let_go(lone.bytes()),
            Content::Batch(batch, numbers) => self.let_members_go(batch, &numbers),
            Content::Shared(shared) => drop(shared),
        }
    }

    /// Drops what is left of a batch, whose own number is still taken: numbers that were released may be those of others by now.
    fn let_members_go(&self, batch: u32, numbers: &[u32]) {
        for number in numbers {
            let mut slots = self.slots.borrow_mut();
            let slot = slots.all.get_mut(*number as usize);
            let Some(slot) = slot.filter(|slot| slot.is_member_of(batch)) else {
                continue;
            };
            let member = std::mem::take(slot);
            slots.free.push(*number);
            drop(slots);
            if let Slot::Member(_, content) = member {
                self.let_go(content);
            }
        }
    }

    /// Keeps everything for the rest of the process, which ends with this environment: threads that linked code started may still run,
    /// and what images do at their end they do when the process exits.
    pub(crate) fn keep_all(self: &Rc<Self>) {
        self.is_kept.set(true);
        std::mem::forget(Rc::clone(self));
    }

    /// Tells V8 of what was made and freed lately, and lets go of what V8 has collected when that may be much.
    pub(crate) fn settle(&self, scope: Scope<'_>) {
        if let Some(change) = self.load.change() {
            scope.adjust_external_memory(change);
            if self.load.is_sweep_due() {
                self.sweep(scope);
            }
        }
    }

    /// Has V8 collect, and lets go of what turns out to be garbage. `false` if nothing did.
    ///
    /// A program that goes on asking although nothing is garbage would spend its time collecting, so there are pauses.
    pub(crate) fn collect(&self, scope: Scope<'_>) -> bool {
        let start = Instant::now();
        if self.paused_until.get().is_some_and(|until| start < until) {
            return false;
        }
        // A collection ends the marking that V8 may have begun before, and what became garbage since counts as live in it. The
        // next one marks anew.
        let found = (0..2).any(|_| {
            scope.collect_garbage();
            self.sweep(scope)
        });
        let fruitless = if found {
            0
        } else {
            self.fruitless.get().saturating_add(1)
        };
        self.fruitless.set(fruitless);
        let pause = (fruitless >= PATIENCE).then(|| start.elapsed().saturating_mul(PAUSE));
        self.paused_until
            .set(pause.map(|pause: Duration| Instant::now() + pause));
        found
    }

    /// Lets go of what stands behind objects that have been collected. `false` if nothing did.
    pub(crate) fn sweep(&self, scope: Scope<'_>) -> bool {
        let swept = self.slots.borrow_mut().sweep(scope);
        let found = !swept.is_empty();
        for content in swept {
            self.let_go(content);
        }
        self.load.note_sweep();
        found
    }
}

impl Slots {
    fn take_free(&mut self) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        self.all.push_free()
    }

    /// Takes out what is held for objects that have been collected. (Dropping it needs the slots no more.)
    fn sweep(&mut self, scope: Scope<'_>) -> Vec<Content> {
        let mut swept = Vec::new();
        for chunk in &mut self.all.0 {
            scope.nested(|| swept.extend(chunk.iter_mut().filter_map(|slot| slot.sweep(scope))));
        }
        swept
    }
}

impl Chunks {
    fn get_mut(&mut self, number: usize) -> Option<&mut Slot> {
        self.0.get_mut(number / CHUNK)?.get_mut(number % CHUNK)
    }

    /// Fills a slot that there is.
    fn set(&mut self, number: u32, slot: Slot) {
        if let Some(place) = self.get_mut(number as usize) {
            *place = slot;
        }
    }

    /// Another slot: its number. `None` if no number is left.
    fn push_free(&mut self) -> Option<u32> {
        let full = self.0.len().saturating_sub(1) * CHUNK;
        let length = full + self.0.last().map_or(0, Vec::len);
        let number = u32::try_from(length).ok()?;
        if length.is_multiple_of(CHUNK) {
            self.0.push(Vec::with_capacity(CHUNK));
        }
        self.0.last_mut()?.push(Slot::Free);
        Some(number)
    }
}

impl Slot {
    fn is_member_of(&self, batch: u32) -> bool {
        matches!(self, Self::Member(of, _) if *of == batch)
    }

    fn sweep(&mut self, scope: Scope<'_>) -> Option<Content> {
        if !matches!(self, Self::Held(reference, _) if scope.is_collected(reference)) {
            return None;
        }
        match std::mem::take(self) {
            Self::Held(reference, content) => {
                *self = Self::Swept(reference);
                Some(content)
            }
            Self::Free | Self::Standing(_) | Self::Member(..) | Self::Swept(_) => None,
        }
    }
}

impl Collected for Handles {
    fn collected(&self, environment: napi_env, word: u64) {
        let mut slots = self.slots.borrow_mut();
        let Some(number) = number(word) else { return };
        let slot = slots.all.get_mut(number).map(std::mem::take);
        drop(slots);
        match slot.unwrap_or_default() {
            Slot::Held(reference, content) => {
                reference.delete(environment);
                if self.is_kept.get() {
                    std::mem::forget(content);
                } else {
                    self.let_go(content);
                }
            }
            Slot::Swept(reference) => reference.delete(environment),
            Slot::Free | Slot::Standing(_) | Slot::Member(..) => {}
        }
        // What was held may be a batch, to whose members the number belongs until they are gone.
        self.slots.borrow_mut().free.push(number as u32);
        if let Some(change) = self.load.change() {
            adjust_external_memory(environment, change);
        }
    }
}

/// The number of a slot, unless the external is that of another module.
fn number(word: u64) -> Option<usize> {
    (word & !u64::from(u32::MAX) == MARK).then_some(word as u32 as usize)
}
