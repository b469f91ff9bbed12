//! Descriptors of memory files, which forked children do not keep: who writes to such a file writes to the code of the process.
//!
//! `fork` of the C library calls handlers. Ours closes in the child what is open, and a lock keeps it from happening while a
//! descriptor is open that is not listed yet. A child that is made past the library, by the system call itself, keeps them.
//! <https://man7.org/linux/man-pages/man3/pthread_atfork.3.html>
//!
//! Code and constants are mapped through a second descriptor, which is open for reading only: what is mapped through that can be made
//! writable by no process. `/proc` gives it; where there is none, the first has to do.

use super::limits::{last_refusal, refusal};
use crate::model::error::{Limit, Refusal};
use std::cell::UnsafeCell;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

#[derive(Debug)]
pub(super) struct Descriptors {
    // Closed by whichever comes first: dropping this, or the handler in a child.
    writing: ManuallyDrop<File>,
    reading: ManuallyDrop<Option<File>>,
    listed: Arc<Listed>,
}

/// What the handler in a child has to know.
#[derive(Debug)]
struct Listed {
    numbers: [Option<RawFd>; 2],
    is_open: AtomicBool,
}

type List = Vec<Arc<Listed>>;

static LIST: Mutex<List> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, List> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Descriptors {
    /// Of the file that `create` makes.
    pub(super) fn open(create: impl FnOnce() -> Result<OwnedFd, Refusal>) -> Result<Self, Refusal> {
        watch_forks()?;
        let mut list = lock();
        let no_memory = |_| Refusal::foreseen("malloc", 0, Limit::Memory);
        list.try_reserve(1).map_err(no_memory)?;
        let writing = File::from(create()?);
        let reading = open_for_reading(&writing);
        let numbers = [Some(&writing), reading.as_ref()].map(|file| file.map(File::as_raw_fd));
        let listed = Arc::new(Listed {
            numbers,
            is_open: AtomicBool::new(true),
        });
        list.push(Arc::clone(&listed));
        Ok(Self {
            writing: ManuallyDrop::new(writing),
            reading: ManuallyDrop::new(reading),
            listed,
        })
    }

    /// The one to write by.
    pub(super) fn writing(&self) -> Result<&File, Refusal> {
        if self.listed.is_open.load(Ordering::Relaxed) {
            Ok(&self.writing)
        } else {
            let closed = std::io::Error::from_raw_os_error(libc::EBADF);
            let call = "a descriptor that is closed in children";
            Err(refusal(call, 0, &closed))
        }
    }

    /// The one to map code and constants by.
    pub(super) fn reading(&self) -> Result<&File, Refusal> {
        let writing = self.writing()?;
        Ok(self.reading.as_ref().unwrap_or(writing))
    }
}

/// The same file by another descriptor, if `/proc` gives it.
fn open_for_reading(file: &File) -> Option<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        let mut list = lock();
        let ours = list.iter().position(|one| Arc::ptr_eq(one, &self.listed));
        // In a child the numbers may be those of other files by now.
        let Some(index) = ours else { return };
        list.swap_remove(index);
        // SAFETY: it was listed, so the handler did not close it, and it is not used any more.
        unsafe { ManuallyDrop::drop(&mut self.writing) };
        // SAFETY: the same.
        unsafe { ManuallyDrop::drop(&mut self.reading) };
    }
}

/// The lock while a thread is inside `fork`.
struct Forking(UnsafeCell<Option<MutexGuard<'static, List>>>);

// SAFETY: only the thread that has the lock uses it: the one that forks, and its copy in the child.
unsafe impl Sync for Forking {}

static FORKING: Forking = Forking(UnsafeCell::new(None));

/// Sees to it that the handlers are called, once.
fn watch_forks() -> Result<(), Refusal> {
    static WATCHED: OnceLock<Result<(), Refusal>> = OnceLock::new();
    let watch = || {
        // SAFETY: the handlers are functions of this library, which stays loaded as long as they may be called.
        match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
            0 => Ok(()),
            _ => Err(last_refusal("pthread_atfork", 0)),
        }
    };
    WATCHED.get_or_init(watch).clone()
}

unsafe extern "C" fn before() {
    let list = lock();
    // SAFETY: this thread has the lock.
    unsafe { *FORKING.0.get() = Some(list) };
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread has had the lock since `before`.
    drop(unsafe { (*FORKING.0.get()).take() });
}

unsafe extern "C" fn in_child() {
    // SAFETY: this thread is the copy of the one that has had the lock since `before`, and the only one.
    let list = unsafe { (*FORKING.0.get()).take() };
    let Some(mut list) = list else { return };
    for listed in &*list {
        listed.is_open.store(false, Ordering::Relaxed);
        for number in listed.numbers.into_iter().flatten() {
            // SAFETY: it was open when the process forked, and its owner does not use it when it is not listed as open.
            unsafe { libc::close(number) };
        }
    }
    list.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::FromRawFd;

    #[test]
    fn what_is_dropped_is_closed_and_what_is_mapped_for_reading_cannot_be_written() {
        // SAFETY: the name is a C string.
        let create = || unsafe { libc::memfd_create(c"codeslab test".as_ptr(), libc::MFD_CLOEXEC) };
        let owned = || {
            // SAFETY: the descriptor was opened just now.
            Ok(unsafe { OwnedFd::from_raw_fd(create()) })
        };
        let descriptors = Descriptors::open(owned).unwrap();
        let listed = Arc::clone(&descriptors.listed);
        descriptors.writing().unwrap().set_len(4096).unwrap();
        assert!(descriptors.reading().unwrap().set_len(0).is_err());
        drop(descriptors);
        assert!(!lock().iter().any(|one| Arc::ptr_eq(one, &listed)));
    }
}
