//! An image that has been started: what runs at its start, at its end, and in which order its memory goes.
//!
//! `start` holds no lock while it goes through the steps of a [`Program`], so an initialiser may link and start other images. An image ends when
//! its [`Running`] is dropped, or when the last thread ends that still has something of it to destroy, as after `dlclose`; its finalisers run
//! then, the process forgets its unwind tables, and its memory goes. When the process exits, images that are still there are finalised, and
//! their memory stays: their threads may still run.
#![allow(unsafe_code)] // It runs what was linked.

use crate::error::{Error, Exception, Result};
use crate::program::{Direction, Indirect, Program, Step};
use crate::sys::{self, Tables};
use codeslab::{Address, Allocation, Protection};
use std::collections::BTreeMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

/// An image that has been started. Dropping it ends the image.
#[derive(Debug)]
pub struct Running {
    image: Arc<Image>,
}

/// What is there until the image has ended.
#[derive(Debug)]
pub(crate) struct Image {
    // Invariant: made by `begin`, whose caller answers for what the steps of its end do.
    program: Program,
    /// Its place in the list of images that have something to do at their end.
    key: Option<u64>,
    has_ended: AtomicBool,
    // All go in this order, unless the process is exiting.
    tables: ManuallyDrop<Tables>,
    allocation: ManuallyDrop<Allocation>,
    kept: ManuallyDrop<Vec<Box<dyn Keep>>>,
}

/// What is held for as long as an image lives.
pub trait Keep: fmt::Debug + Send + Sync {}

impl<T: fmt::Debug + Send + Sync> Keep for T {}

/// Images that have something to do at their end, by an address that is theirs alone; with a number that grows from start to start.
static IMAGES: Mutex<BTreeMap<u64, (u64, Weak<Image>)>> = Mutex::new(BTreeMap::new());
static STARTS: AtomicU64 = AtomicU64::new(0);

/// Whether the process exits. Nothing is unmapped any more then.
static IS_EXITING: AtomicBool = AtomicBool::new(false);

fn images() -> MutexGuard<'static, BTreeMap<u64, (u64, Weak<Image>)>> {
    IMAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The image with this handle.
pub(crate) fn find(handle: Address) -> Option<Arc<Image>> {
    let image = images()
        .get(&handle.value())
        .map(|(_, image)| image.clone());
    image?.upgrade()
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
        for indirect in &running.image.program.indirects {
            // SAFETY: the resolver may be executed by the third obligation, and the entry is the image's by the second.
            unsafe { resolve(*indirect) }.map_err(failed)?;
        }
        for function in functions_of(&running.image.program.initializers) {
            // SAFETY: it is an initialiser, which may be executed by the third obligation.
            unsafe { sys::call_initializer(function) }.map_err(failed)?;
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
        let code = allocation.segment_address(Protection::ReadExecute);
        // SAFETY: they are well-formed, stay as long as the allocation, and describe its code only, by the first obligation.
        let tables = unsafe { Tables::register(&program.unwind_tables, code.unwrap_or_default()) };
        let image = Arc::new(Image {
            key: key(&program, &allocation),
            program,
            has_ended: AtomicBool::new(false),
            tables: ManuallyDrop::new(tables),
            allocation: ManuallyDrop::new(allocation),
            kept: ManuallyDrop::new(kept),
        });
        // The value is there before anything runs, so that what unwinds has it dropped.
        let running = Self { image };
        running.enter();
        running
    }

    /// Enters the image into the list of those that have something to do at their end.
    fn enter(&self) {
        static ONCE: Once = Once::new();
        let Some(key) = self.image.key else { return };
        // Before anything of an image runs: what it registers itself runs before this.
        ONCE.call_once(|| sys::at_process_exit(end_all));
        let number = STARTS.fetch_add(1, Ordering::Relaxed);
        images().insert(key, (number, Arc::downgrade(&self.image)));
    }

    /// The memory that it owns.
    #[must_use]
    pub fn allocation(&self) -> &Allocation {
        &self.image.allocation
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What this thread would destroy at its end: no code of the image runs on it any more.
        crate::threads::destroy(&self.image);
        self.image.end_if_last(&self.image);
        // Destructors may have made something that this thread would destroy.
        crate::threads::destroy(&self.image);
    }
}

impl Image {
    /// Ends it if nothing but `own` refers to it: no thread has anything of it to destroy.
    pub(crate) fn end_if_last(&self, own: &Arc<Self>) {
        if Arc::strong_count(own) == 1 {
            self.end();
        }
    }

    /// Goes through the steps of its end, unless that was done.
    fn end(&self) {
        if self.has_ended.swap(true, Ordering::AcqRel) {
            return;
        }
        for step in &self.program.finalizers {
            if *step == Step::Registered {
                self.finalize_registered();
            }
            for function in functions_of(std::slice::from_ref(step)) {
                // SAFETY: it may be executed at the end of the image, by the last obligation of `begin`.
                unsafe { sys::call_finalizer(function) };
            }
        }
    }

    /// Undoes what it did before an initialiser failed.
    fn abandon(&self) {
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            self.finalize_registered();
        }
    }

    fn finalize_registered(&self) {
        if let Some(handle) = self.program.handle {
            // SAFETY: it may be executed at the end of the image, by the last obligation of `begin`.
            unsafe { sys::finalize_registered(handle) };
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.end();
        if let Some(key) = self.key {
            images().remove(&key);
        }
        if IS_EXITING.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: it is dropped once, here, and not used any more.
        unsafe { ManuallyDrop::drop(&mut self.tables) };
        // SAFETY: it is dropped once, here, and not used any more.
        unsafe { ManuallyDrop::drop(&mut self.allocation) };
        // SAFETY: it is dropped once, here, and not used any more.
        unsafe { ManuallyDrop::drop(&mut self.kept) };
    }
}

/// Ends all images because the process exits, the latest first. Their memory stays.
extern "C" fn end_all() {
    IS_EXITING.store(true, Ordering::Release);
    let mut all: Vec<_> = images().values().cloned().collect();
    all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    for (_, image) in all {
        if let Some(image) = image.upgrade() {
            image.end();
        }
    }
}

/// An address that no other image has: that by which it registers things, or else one that it owns.
fn key(program: &Program, allocation: &Allocation) -> Option<u64> {
    if program.handle.is_none() && program.finalizers.is_empty() {
        return None;
    }
    let mut segments = Protection::ALL.into_iter();
    let own = || segments.find_map(|protection| allocation.segment_address(protection));
    program.handle.or_else(own).map(Address::value)
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
        // SAFETY: the array lies in an image that lives, by the first obligation of `begin`.
        unsafe { array.wrapping_add(index).read_unaligned() }
    });
    let functions = entries.filter(|entry| !matches!(*entry, 0 | usize::MAX));
    let mut functions: Vec<Address> = functions.map(|entry| Address::new(entry as u64)).collect();
    if direction == Direction::Backwards {
        functions.reverse();
    }
    functions
}
