//! Calls of native code on threads that are not the environment's.
//!
//! The thread puts its call into the mailbox of the environment, wakes the event loop and waits. If the environment's thread is in one native
//! call all that time, it may well be waiting for the very thread that waits for it: then the call is withdrawn, returns zero, and
//! the native call throws when it returns. An environment that ends answers with zero, too.
#![allow(unsafe_code)] // It calls Node-API on other threads, as far as that may be done.

use super::HERE;
use crate::signed::Signed;
use codeslab_call::{Arguments, Results};
use napi::sys::{self, Status, napi_env, napi_threadsafe_function, napi_value};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread waits for one that does not leave native code: longer than most native calls take, since giving up is wrong if
/// the call would have returned.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);

/// Whose each number is.
static OWNERS: LazyLock<Mutex<HashMap<u32, Arc<Mailbox>>>> = LazyLock::new(Mutex::default);

/// Calls that wait for the thread of an environment.
#[derive(Debug)]
pub(super) struct Mailbox {
    waiting: Mutex<Vec<Arc<Waiting>>>,
    /// What wakes the event loop; `None` once the environment has ended.
    bell: Mutex<Option<Bell>>,
    /// Native calls that the thread is in, one below the other.
    depth: AtomicU32,
    /// Changes whenever it begins or ends one.
    changes: AtomicU32,
    /// A call was withdrawn during the native call that is running.
    blocked: AtomicBool,
}

#[derive(Debug)]
struct Bell(napi_threadsafe_function);

// SAFETY: a thread-safe function is made for being called by any thread.
unsafe impl Send for Bell {}

#[derive(Debug)]
struct Waiting {
    number: u32,
    arguments: Mutex<Arguments>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Running,
    Done(Results),
    Withdrawn,
}

/// The types of each number whose results are structures.
static IN_MEMORY: LazyLock<Mutex<HashMap<u32, Arc<[String]>>>> = LazyLock::new(Mutex::default);

/// A number is that of this mailbox's environment from now on.
pub(super) fn enter(number: u32, mailbox: &Arc<Mailbox>, signed: &Signed) {
    if signed.signature.result_structure().is_some() {
        lock(&IN_MEMORY).insert(number, signed.types.clone());
    } else if !lock(&IN_MEMORY).is_empty() {
        lock(&IN_MEMORY).remove(&number);
    }
    lock(&OWNERS).insert(number, Arc::clone(mailbox));
}

/// A number is nothing's any more.
pub(super) fn leave(number: u32) {
    lock(&OWNERS).remove(&number);
}

/// Has the thread of the environment answer, and waits. Zero if there is none.
pub(super) fn ask(number: u32, arguments: Arguments) -> Results {
    let owner = lock(&OWNERS).get(&number).cloned();
    let answered = owner.and_then(|mailbox| mailbox.ask(number, arguments));
    answered.unwrap_or_else(|| zero(number, arguments))
}

/// What native code gets where nothing answers. The signature of a number is known for as long as there may be calls of it: one that returns
/// structures in memory says where.
fn zero(number: u32, arguments: Arguments) -> Results {
    let in_memory = lock(&IN_MEMORY).get(&number).cloned();
    in_memory.map_or_else(Results::default, |types| {
        let signed = Signed::compile(&types);
        // SAFETY: native code expects what the signature says: the embedder says so by declaring it.
        signed.map_or_else(
            |_| Results::default(),
            |signed| unsafe { arguments.results(&signed.signature, &[]) },
        )
    })
}

impl Mailbox {
    /// That of an environment. It does not keep the event loop from ending.
    pub(super) fn open(env: napi_env) -> Option<Arc<Self>> {
        let mailbox = Arc::new(Self {
            waiting: Mutex::default(),
            bell: Mutex::default(),
            depth: AtomicU32::new(0),
            changes: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
        });
        let name = c"codeslab callbacks";
        let (mut text, mut bell) = (ptr::null_mut(), ptr::null_mut());
        let length = name.count_bytes().cast_signed();
        // SAFETY: the environment is current, and the name has that length.
        let status =
            unsafe { sys::napi_create_string_utf8(env, name.as_ptr(), length, &raw mut text) };
        (status == Status::napi_ok).then_some(())?;
        // The count is given back by `forget`, which Node calls when the function ends.
        let context = Arc::into_raw(Arc::clone(&mailbox))
            .cast_mut()
            .cast::<c_void>();
        // SAFETY: the environment is current, and `ring` and `forget` treat the context as what it is.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env,
                ptr::null_mut(),
                ptr::null_mut(),
                text,
                0,
                1,
                context,
                Some(forget),
                context,
                Some(ring),
                &raw mut bell,
            )
        };
        (status == Status::napi_ok).then_some(())?;
        // SAFETY: environment and function are live, and this is its thread.
        unsafe { sys::napi_unref_threadsafe_function(env, bell) };
        *lock(&mailbox.bell) = Some(Bell(bell));
        Some(mailbox)
    }

    /// The environment ends: nothing is answered any more.
    pub(super) fn close(&self) {
        *lock(&self.bell) = None;
        for waiting in std::mem::take(&mut *lock(&self.waiting)) {
            waiting.finish(None);
        }
    }

    /// How many native calls the thread is in.
    pub(super) fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// The thread begins a native call.
    #[inline]
    pub(super) fn begin_call(&self) {
        // Only this thread writes them.
        self.changes.store(
            self.changes.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
        self.depth.store(self.depth() + 1, Ordering::Relaxed);
    }

    /// The thread ends a native call.
    #[inline]
    pub(super) fn end_call(&self) {
        self.depth.store(self.depth() - 1, Ordering::Relaxed);
        self.changes.store(
            self.changes.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    /// Whether a call was withdrawn since this was asked last.
    #[inline]
    pub(super) fn take_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) && self.blocked.swap(false, Ordering::Relaxed)
    }

    /// `None` if nothing answers.
    fn ask(&self, number: u32, arguments: Arguments) -> Option<Results> {
        let waiting = Arc::new(Waiting {
            number,
            arguments: Mutex::new(arguments),
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
        });
        if !self.post(&waiting) {
            return None;
        }
        let (mut since, mut changes) = (Instant::now(), self.changes.load(Ordering::Relaxed));
        let mut state = lock(&waiting.state);
        loop {
            match *state {
                State::Done(results) => return Some(results),
                State::Withdrawn => return None,
                State::Waiting | State::Running => {}
            }
            let now = self.changes.load(Ordering::Relaxed);
            if *state == State::Running || self.depth() == 0 || now != changes {
                (since, changes) = (Instant::now(), now);
            } else if since.elapsed() > PATIENCE {
                *state = State::Withdrawn;
                self.blocked.store(true, Ordering::Relaxed);
                continue;
            }
            let waited = waiting.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// `false` if the environment has ended.
    fn post(&self, waiting: &Arc<Waiting>) -> bool {
        let bell = lock(&self.bell);
        let Some(Bell(function)) = &*bell else {
            return false;
        };
        lock(&self.waiting).push(Arc::clone(waiting));
        // SAFETY: the function lives while the bell is there, which the lock keeps.
        let status = unsafe {
            sys::napi_call_threadsafe_function(
                *function,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
        if status != Status::napi_ok {
            lock(&self.waiting).retain(|other| !Arc::ptr_eq(other, waiting));
        }
        status == Status::napi_ok
    }
}

impl Waiting {
    fn finish(&self, results: Option<Results>) {
        let mut state = lock(&self.state);
        if *state != State::Withdrawn {
            *state = results.map_or(State::Withdrawn, State::Done);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Answers, on the thread of the environment.
    fn answer(&self) {
        let mut state = lock(&self.state);
        if *state != State::Waiting {
            return;
        }
        *state = State::Running;
        drop(state);
        let arguments = *lock(&self.arguments);
        // SAFETY: it is null, or this thread's answers live: they take themselves out before they go.
        let here = unsafe { HERE.get().as_ref() };
        let answer = here.and_then(|here| Some((here, here.get(self.number)?)));
        self.finish(answer.map(|(here, answer)| here.run(&answer, arguments)));
    }
}

/// What the event loop calls: answers all that wait.
unsafe extern "C" fn ring(
    env: napi_env,
    _function: napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // SAFETY: the context is a mailbox, of which `forget` has the count.
    let mailbox = unsafe { &*context.cast::<Mailbox>() };
    let waiting = std::mem::take(&mut *lock(&mailbox.waiting));
    for waiting in waiting {
        if env.is_null() {
            waiting.finish(None);
        } else {
            waiting.answer();
        }
    }
}

/// Node has ended the function.
unsafe extern "C" fn forget(_env: napi_env, mailbox: *mut c_void, _hint: *mut c_void) {
    // SAFETY: it is the count that `open` gave away.
    let mailbox = unsafe { Arc::from_raw(mailbox.cast::<Mailbox>().cast_const()) };
    mailbox.close();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
