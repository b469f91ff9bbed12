//! What linking yields: first a [`Linked`], of which nothing has run, and then an [`Image`].
//!
//! `link` makes the former when no byte changes any more. Both own their memory, so addresses are good while they live; the inputs may be
//! gone. What there is to run (constructors, destructors) `codeslab-runtime` runs, when the embedder says so: it is foreign code.
#![allow(unsafe_code)] // Starting an image runs foreign code.

use crate::error::{Error, Result};
use crate::exports::{Exports, ImageSymbol, Keep};
use crate::graph::Visibility;
use crate::located::{Located, Location};
use crate::placed::PlacedObject;
use crate::similar::Similar;
use crate::symbols::Symbols;
use crate::thread_local::ThreadExports;
use codeslab::{Address, Allocation, Protection};
use codeslab_runtime::{Program, Running, ThreadLocals};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is known of an image, whatever runs of it.
#[derive(Debug)]
pub(crate) struct Parts {
    symbols: Symbols,
    located: Located,
    objects: Vec<PlacedObject>,
    // What the memory refers to. It goes to the image when that is ready.
    dependencies: Vec<Box<dyn Keep>>,
    may_unwind: bool,
    // Ascending by function.
    entries: Vec<Entry>,
    thread_exports: ThreadExports,
}

/// Where a function that can be replaced leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// What stands for the function: its stub.
    pub(crate) function: Address,
    /// The word of data that the stub branches through.
    pub(crate) word: Address,
    /// The function of the inputs.
    pub(crate) original: Address,
}

impl Parts {
    pub(crate) fn new(
        symbols: Symbols,
        located: Located,
        objects: Vec<PlacedObject>,
        dependencies: Vec<Box<dyn Keep>>,
        may_unwind: bool,
    ) -> Self {
        Self {
            symbols,
            located,
            objects,
            dependencies,
            may_unwind,
            entries: Vec::new(),
            thread_exports: ThreadExports::default(),
        }
    }

    /// The same, with functions that can be replaced, and variables of threads that others may refer to.
    pub(crate) fn with(self, mut entries: Vec<Entry>, thread_exports: ThreadExports) -> Self {
        entries.sort_unstable_by_key(|entry| entry.function);
        Self {
            entries,
            thread_exports,
            ..self
        }
    }
}

/// What is linked and published, and has not been started: nothing of it has run. Dropping it frees the memory.
///
/// Most code asks for nothing to be run and is ready as it is: [`Linked::into_image`]. Code with constructors, such as most of C++,
/// becomes ready by [`Linked::start`].
#[derive(Debug)]
pub struct Linked {
    program: Program,
    thread_locals: Option<ThreadLocals>,
    allocation: Allocation,
    // Goes after the memory, with what that refers to.
    parts: Parts,
}

impl Linked {
    pub(crate) const fn new(
        parts: Parts,
        program: Program,
        thread_locals: Option<ThreadLocals>,
        allocation: Allocation,
    ) -> Self {
        Self {
            program,
            thread_locals,
            allocation,
            parts,
        }
    }

    /// Global and weak definitions, by name.
    #[must_use]
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = &ImageSymbol> {
        self.parts.symbols.sorted().iter()
    }

    /// One of them.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&ImageSymbol> {
        self.parts.symbols.get(name)
    }

    /// The address of a symbol.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<Address> {
        let found = self.parts.symbols.find(name);
        found.map(|symbol| symbol.address)
    }

    /// Its objects with the addresses of their sections, for debuggers and profilers; none unless
    /// [`LinkOptions::keep_objects`](crate::LinkOptions::keep_objects) was set, or after they were taken.
    pub fn take_objects(&mut self) -> Vec<PlacedObject> {
        std::mem::take(&mut self.parts.objects)
    }

    /// The memory that it owns.
    #[must_use]
    pub const fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// What is run when it is started, and at its end.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The image, if there is nothing to run for it. The process learns of its unwind tables.
    ///
    /// # Errors
    /// What was linked, as it was, if it has to be started.
    #[expect(
        clippy::result_large_err,
        reason = "it is what was passed, and as large then"
    )]
    pub fn into_image(self) -> Result<Image, Self> {
        if !self.program.runs_nothing() {
            return Err(self);
        }
        let (parts, program, allocation, kept) = self.into_parts();
        // SAFETY: the linker found the unwind tables well-formed, with an end, when their bytes were final; nothing is executed.
        let running = unsafe { Running::begin(program, allocation, kept) };
        Ok(Image { parts, running })
    }

    /// What it consists of, and what has to stay as long as the memory.
    fn into_parts(self) -> (Parts, Program, Allocation, Vec<Box<dyn Keep>>) {
        let mut parts = self.parts;
        let mut kept: Vec<Box<dyn Keep>> = Vec::new();
        kept.extend(self.thread_locals.map(|locals| Box::new(locals) as _));
        kept.append(&mut parts.dependencies);
        (parts, self.program, self.allocation, kept)
    }

    /// Runs the constructors and gives the image. Destructors run when that is dropped.
    ///
    /// # Errors
    /// [`Error::Start`] if a constructor throws. What the image had registered to be run at its end by then has been run, and its memory given
    /// back.
    ///
    /// # Safety
    /// - The inputs are sound: their constructors may be executed now on this thread, their destructors and what they register to be run later
    ///   on the thread that drops the image, on threads that end, or when the process exits.
    /// - Constructors return, throw, or end the thread or the process; they do not jump over the caller (`longjmp`).
    /// - The addresses among the externals are what the inputs take them for, and stay while the image lives.
    pub unsafe fn start(self) -> Result<Image> {
        let (parts, program, allocation, kept) = self.into_parts();
        // SAFETY: the linker made the program of addresses in the allocation, where relocations have filled in the arrays, and found the
        // unwind tables well-formed; that what it runs is sound is the first obligation, and that what it refers to elsewhere is there the
        // third.
        let running = unsafe { Running::start(program, allocation, kept) };
        let running = running.map_err(Error::Start)?;
        Ok(Image { parts, running })
    }
}

/// Symbols with addresses, owning their memory. Dropping it runs its destructors and frees the memory.
///
/// Objects that a thread destroys at its end (`thread_local`) keep the memory: those of the thread that drops the image are destroyed then,
/// and the image's end waits for the others. Images that are still there when the process exits run their destructors then.
#[derive(Debug)]
pub struct Image {
    parts: Parts,
    running: Running,
}

impl Image {
    /// Global and weak definitions, by name.
    #[must_use]
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = &ImageSymbol> {
        self.parts.symbols.sorted().iter()
    }

    /// One of them.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&ImageSymbol> {
        self.parts.symbols.get(name)
    }

    /// The address of a symbol.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<Address> {
        let found = self.parts.symbols.find(name);
        found.map(|symbol| symbol.address)
    }

    /// A symbol, for those who look for few: [`Image::symbol`] puts all of them in order first.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ImageSymbol> {
        self.parts.symbols.find(name)
    }

    /// The function or variable that an address lies in, local ones as well; `None` for what the linker added, such as stubs, and outside.
    #[must_use]
    pub fn locate(&self, address: Address) -> Option<Location> {
        let parts = Protection::ALL.map(|protection| self.allocation().segment(protection));
        let mut parts = parts.into_iter().flatten().map(|(start, size)| {
            let start = start.value();
            start..start.saturating_add(size)
        });
        let within = parts.find(|part| part.contains(&address.value()))?;
        let parts = &self.parts;
        parts.located.find(parts.symbols.sorted(), address, within)
    }

    /// What may have been meant by the name of a symbol that it does not have.
    #[must_use]
    pub fn similar(&self, name: &str) -> Similar {
        let names = self.symbols().map(|symbol| symbol.name.as_str());
        Similar::among(name, names.collect::<Vec<_>>().into_iter())
    }

    /// The object that has a local (`static`) symbol of this name, which no one else sees.
    #[must_use]
    pub fn local(&self, name: &str) -> Option<&str> {
        self.parts.located.local(name)
    }

    /// Whether an exception may leave its functions: they refer to the C++ library, to the unwinder, or to an image that does.
    #[must_use]
    pub const fn may_unwind(&self) -> bool {
        self.parts.may_unwind
    }

    /// The memory that it owns.
    #[must_use]
    pub fn allocation(&self) -> &Allocation {
        self.running.allocation()
    }

    /// Has a function that can be replaced lead to `target`, for every call that begins from now on, in any thread; and says where it led
    /// before: threads may still be there. Its own address as `target` stands for the function of the inputs. `None` if the image does not
    /// define it as a function that can be replaced: see [`LinkOptions::replaceable`](crate::LinkOptions::replaceable).
    ///
    /// # Safety
    /// What is at `target` takes and returns the same, and stays there until the function leads elsewhere and nothing runs it any more.
    pub unsafe fn replace(&self, name: &str, target: Address) -> Option<Address> {
        let entry = self.entry(name)?;
        let target = if target == entry.function {
            entry.original
        } else {
            target
        };
        let word = self.allocation().word(entry.word)?;
        // Sequentially consistent: a thread that looks afterwards who is running what was replaced must not look before.
        Some(Address::new(word.swap(target.value(), Ordering::SeqCst)))
    }

    /// Whether a function can be replaced.
    #[must_use]
    pub fn is_replaceable(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Undoes all replacing: its functions are those of the inputs again.
    pub fn restore(&self) {
        for entry in &self.parts.entries {
            if let Some(word) = self.allocation().word(entry.word) {
                word.store(entry.original.value(), Ordering::SeqCst);
            }
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let function = self.address(name)?;
        let entries = &self.parts.entries;
        let found = entries.binary_search_by_key(&function, |entry| entry.function);
        entries.get(found.ok()?)
    }

    /// Runs its destructors, gives the memory back, and then lets go of the images and libraries that it was bound to. Nothing may execute it or refer to it any more.
    pub fn free(self) {
        drop(self);
    }
}

impl Exports for Arc<Image> {
    fn address(&self, name: &str) -> Option<Address> {
        let symbol = self.find(name);
        let visible = symbol.filter(|symbol| symbol.visibility != Visibility::Hidden);
        visible.map(|symbol| symbol.address)
    }

    fn thread_local(&self, name: &str) -> Option<&str> {
        self.parts.thread_exports.library_of(name)
    }

    fn may_unwind(&self) -> bool {
        Image::may_unwind(self)
    }

    fn keep(&self) -> Box<dyn Keep> {
        Box::new(self.clone())
    }
}
