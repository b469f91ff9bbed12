//! What is there of an image until it has ended, and the list of images that have something to do at their end.
//!
//! An image ends when nothing refers to it any more: neither its owner (`running`) nor a thread that still has something of it to destroy
//! (`threads`), as after `dlclose`. Its finalisers run then, the process forgets its unwind tables, and its memory goes. When the process
//! exits, images that are still there are finalised, and their memory stays: their threads may still run.
#![allow(unsafe_code)] // It runs what was linked.

use crate::keys;
use crate::program::{Convention, Direction, Program, Step};
use crate::sys::{self, Tables};
use codeslab::{Address, Allocation, Protection};
use std::collections::BTreeMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

/// What is there until the image has ended.
#[derive(Debug)]
pub(crate) struct Image {
    // Invariant: made by `new`, whose caller answers for what the steps of its end do.
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

/// The image with this handle. C++ passes the address by which images are kept, Rust that of a variable which holds it: like glibc, this takes
/// any address in an image.
pub(crate) fn find(handle: Address) -> Option<Arc<Image>> {
    let images = images();
    let exact = images.get(&handle.value());
    if let Some(image) = exact.and_then(|(_, image)| image.upgrade()) {
        return Some(image);
    }
    let all: Vec<_> = images.values().map(|(_, image)| image.clone()).collect();
    // An image that nobody else has any more ends when it is dropped, and that looks for images.
    drop(images);
    let all = all.iter().filter_map(Weak::upgrade);
    all.into_iter().find(|image| image.has(handle))
}

impl Image {
    /// Whether an address lies in it.
    fn has(&self, address: Address) -> bool {
        let protections = [
            Protection::ReadExecute,
            Protection::ReadOnly,
            Protection::ReadWrite,
        ];
        let segments = protections.map(|protection| self.allocation.segment(protection));
        segments.into_iter().flatten().any(|(start, size)| {
            let offset = address.value().checked_sub(start.value());
            offset.is_some_and(|offset| offset < size)
        })
    }

    /// Has the process know of an image and of its unwind tables. Nothing runs.
    ///
    /// # Safety
    /// - The functions of `program` lie in `allocation` or stay as long as it, as do its arrays, which hold addresses of functions, and its
    ///   unwind tables, which are well-formed, end, and describe code in `allocation` only.
    /// - The finalisers, and whatever the image registers to be run at its end, may be executed when it ends, on whatever thread that is, or
    ///   when the process exits, and it is sound what they do.
    pub(crate) unsafe fn new(
        program: Program,
        allocation: Allocation,
        kept: Vec<Box<dyn Keep>>,
    ) -> Arc<Self> {
        let code = allocation.segment_address(Protection::ReadExecute);
        // SAFETY: they are well-formed, stay as long as the allocation, and describe its code only, by the first obligation.
        let tables = unsafe {
            let (tables, code) = (&program.unwind_tables, code.unwrap_or_default());
            Tables::register(tables, code, program.functions.as_ref())
        };
        let image = Arc::new(Self {
            key: key(&program, &allocation),
            program,
            has_ended: AtomicBool::new(false),
            tables: ManuallyDrop::new(tables),
            allocation: ManuallyDrop::new(allocation),
            kept: ManuallyDrop::new(kept),
        });
        enter(&image);
        image
    }

    /// What there is to run.
    pub(crate) const fn program(&self) -> &Program {
        &self.program
    }

    /// The memory that it owns.
    pub(crate) fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// How its functions are called.
    pub(crate) fn convention(&self) -> Convention {
        self.program.convention.unwrap_or(sys::CONVENTION)
    }

    /// The functions that run at its start, in their order.
    pub(crate) fn initializers(&self) -> impl Iterator<Item = Address> {
        self.functions_of(&self.program.initializers)
    }

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
        // A process that exits leaves them to their threads, as the C library does.
        if !IS_EXITING.load(Ordering::Acquire) {
            keys::destroy(|address| self.has(address));
        }
        for step in &self.program.finalizers {
            if *step == Step::Registered {
                self.finalize_registered();
            }
            for function in self.functions_of(std::slice::from_ref(step)) {
                // SAFETY: it may be executed at the end of the image, by the last obligation of `new`.
                unsafe { sys::call_finalizer(function, self.convention()) };
            }
        }
    }

    /// Undoes what it did before an initialiser failed.
    pub(crate) fn abandon(&self) {
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            self.finalize_registered();
        }
    }

    /// The functions of some of its steps, in their order.
    fn functions_of(&self, steps: &[Step]) -> impl Iterator<Item = Address> {
        steps.iter().flat_map(|step| match *step {
            Step::Function(function) => vec![function],
            Step::Functions {
                array,
                count,
                direction,
            } => self.read(array, count, direction),
            Step::Registered => Vec::new(),
        })
    }

    /// The entries of one of its arrays that are functions.
    #[expect(clippy::unused_self, reason = "while it is there, so is the array")]
    fn read(&self, array: Address, count: u64, direction: Direction) -> Vec<Address> {
        let array: *const usize = ptr::with_exposed_provenance(array.value() as usize);
        let entries = (0..count as usize).map(|index| {
            // SAFETY: the array is one of the program and stays as long as this image, by the first obligation of `new`.
            unsafe { array.wrapping_add(index).read_unaligned() }
        });
        let functions = entries.filter(|entry| !matches!(*entry, 0 | usize::MAX));
        let mut functions: Vec<Address> =
            functions.map(|entry| Address::new(entry as u64)).collect();
        if direction == Direction::Backwards {
            functions.reverse();
        }
        functions
    }

    fn finalize_registered(&self) {
        if let Some(handle) = self.program.handle {
            // SAFETY: it may be executed at the end of the image, by the last obligation of `new`.
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
        keys::forget(|address| self.has(address));
        // SAFETY: it is dropped once, here, and not used any more.
        unsafe { ManuallyDrop::drop(&mut self.tables) };
        // SAFETY: it is dropped once, here, and not used any more.
        unsafe { ManuallyDrop::drop(&mut self.allocation) };
        // SAFETY: it is dropped once, here, and not used any more.
        unsafe { ManuallyDrop::drop(&mut self.kept) };
    }
}

/// Enters an image into the list of those that have something to do at their end.
fn enter(image: &Arc<Image>) {
    static ONCE: Once = Once::new();
    let Some(key) = image.key else { return };
    // Before anything of an image runs: what it registers itself runs before this.
    ONCE.call_once(|| sys::at_process_exit(end_all));
    let number = STARTS.fetch_add(1, Ordering::Relaxed);
    images().insert(key, (number, Arc::downgrade(image)));
}

/// Ends all images because the process exits, the latest first. Their memory stays.
extern "C" fn end_all() {
    IS_EXITING.store(true, Ordering::Release);
    let mut all: Vec<_> = images().values().cloned().collect();
    all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    let images: Vec<_> = all
        .iter()
        .filter_map(|(_, image)| image.upgrade())
        .collect();
    // What was registered for the exit of the process comes before what runs at the end of images. Where the C library has the list, it
    // was through with it before it came to this.
    for image in &images {
        image.finalize_registered();
    }
    for image in &images {
        image.end();
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
