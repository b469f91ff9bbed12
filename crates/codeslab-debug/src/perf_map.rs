//! The perf map: a text file with a line for each function, which perf reads when it reports.
//!
//! There is one for each process, whose name is fixed (`tools/perf/Documentation/jit-interface.txt` of Linux), so all that write to it
//! append, and memories of a process share it. Functions are never taken back: perf has no way to say it.
//!
//! A call of the system for each function would cost more than placing it. So a line that follows another within [`DELAY`] waits for a
//! thread that writes all that have come by then; a line that comes alone is written by who adds it. What waits is written as well when the
//! last memory goes and when the process exits, so a process that is killed loses the names of its last milliseconds and no others.

use crate::code::Function;
use crate::error::{Error, Result};
use crate::sys;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use std::{mem, process};

/// The longest that a line waits.
const DELAY: Duration = Duration::from_millis(5);

/// The file of this process, for those that are open.
static OPEN: Mutex<Weak<PerfMap>> = Mutex::new(Weak::new());

/// The file of a process, and the thread that writes to it.
#[derive(Debug)]
pub(crate) struct PerfMap {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    /// Children that this process forks have the lines that wait, and not the thread: they write at once, and what is not theirs never.
    process: u32,
    lines: Mutex<Lines>,
    /// Lines wait, or nobody will add any more.
    change: Condvar,
}

#[derive(Debug)]
struct Lines {
    waiting: String,
    written: Instant,
    /// What went wrong when nobody was there to be told.
    failed: Option<io::Error>,
    /// The thread is gone, or going: lines are written at once.
    is_over: bool,
}

impl PerfMap {
    /// Opens the file of this process, or makes it.
    pub(crate) fn open() -> Result<Arc<Self>> {
        static AT_EXIT: Once = Once::new();
        let mut open = lock(&OPEN);
        if let Some(map) = open.upgrade().filter(|map| map.shared.is_of_this_process()) {
            return Ok(map);
        }
        let path = PathBuf::from(format!("/tmp/perf-{}.map", process::id()));
        let map = Arc::new(Self::at(path)?);
        *open = Arc::downgrade(&map);
        AT_EXIT.call_once(|| sys::at_exit(finish));
        Ok(map)
    }

    fn at(path: PathBuf) -> Result<Self> {
        let file = sys::append_to(&path).map_err(|source| Error::File { path, source })?;
        // Nothing was written in this process's time.
        let written = Instant::now().checked_sub(DELAY);
        let lines = Mutex::new(Lines {
            waiting: String::new(),
            written: written.unwrap_or_else(Instant::now),
            failed: None,
            is_over: false,
        });
        let shared = Shared {
            file,
            process: process::id(),
            lines,
            change: Condvar::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        })
    }

    /// Adds functions: they are in the file after [`DELAY`], or when the process exits.
    ///
    /// # Errors
    /// Those of writing; of what waited, with the next call.
    pub(crate) fn add(&self, functions: &[Function]) -> io::Result<()> {
        let shared = &*self.shared;
        if !shared.is_of_this_process() {
            let mut text = String::new();
            for function in functions {
                push(&mut text, function);
            }
            return (&shared.file).write_all(text.as_bytes());
        }
        let mut lines = lock(&shared.lines);
        let is_first = lines.waiting.is_empty();
        for function in functions {
            push(&mut lines.waiting, function);
        }
        if lines.is_over || lines.written.elapsed() >= DELAY || !self.has_thread() {
            lines.write(&shared.file);
        } else if is_first {
            shared.change.notify_one();
        }
        lines.failed.take().map_or(Ok(()), Err)
    }

    /// Whether somebody writes what waits; starts the thread if there is none yet.
    fn has_thread(&self) -> bool {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let start = || {
                Builder::new()
                    .name("perf map".to_owned())
                    .spawn(move || shared.serve())
            };
            *thread = sys::without_signals(start).ok();
        }
        thread.is_some()
    }

    /// Writes what waits and waits for the thread, whose code may be unloaded afterwards.
    fn end(&self) {
        let thread = lock(&self.thread).take();
        if !self.shared.is_of_this_process() {
            // There is no such thread here, and nobody to wait for.
            mem::forget(thread);
            return;
        }
        self.shared.finish();
        if let Some(thread) = thread {
            // It has nothing to tell: its errors are with the lines.
            let _ = thread.join();
        }
    }
}

impl Drop for PerfMap {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn is_of_this_process(&self) -> bool {
        self.process == process::id()
    }

    /// What the thread does: writes what waits, at most once in [`DELAY`], until nobody adds any more.
    fn serve(&self) {
        let mut lines = lock(&self.lines);
        while !lines.is_over {
            if lines.waiting.is_empty() {
                lines = wait(&self.change, lines, None);
                continue;
            }
            lines = wait(&self.change, lines, Some(DELAY));
            lines.write(&self.file);
        }
    }

    /// Writes what waits, and has all that follows written at once.
    fn finish(&self) {
        let mut lines = lock(&self.lines);
        lines.write(&self.file);
        lines.is_over = true;
        self.change.notify_one();
    }
}

impl Lines {
    /// One call writes all of it, so what others append to the file does not come between.
    fn write(&mut self, mut file: &File) {
        if let Err(error) = file.write_all(self.waiting.as_bytes()) {
            self.failed = Some(error);
        }
        self.waiting.clear();
        self.written = Instant::now();
    }
}

/// At the exit of the process, or before this library is unloaded: memories that nobody dropped have lines that wait.
extern "C" fn finish() {
    let open = lock(&OPEN).upgrade();
    if let Some(map) = open {
        map.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(
    change: &Condvar,
    guard: MutexGuard<'a, T>,
    longest: Option<Duration>,
) -> MutexGuard<'a, T> {
    match longest {
        None => change.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(longest) => {
            let waited = change.wait_timeout(guard, longest);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// Appends the line of a function.
fn push(text: &mut String, function: &Function) {
    let (start, size) = (function.address.value(), function.size);
    write!(text, "{start:x} {size:x} ").expect("a string takes everything");
    let is_end = |letter: char| matches!(letter, '\n' | '\r');
    if function.name.contains(is_end) {
        text.push_str(&function.name.replace(is_end, " "));
    } else {
        text.push_str(&function.name);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
