//! The functions of an environment that V8 calls without Node-API between.
//!
//! For each signature there is one function of V8 and some JavaScript around it, compiled once: it takes the number of a [`Target`],
//! checks what the function was given, and calls. Optimized code has the checks inlined, knows the target, and calls a thunk, which jumps
//! to the code. What is not optimized, or does not pass the checks, comes to [`Callee::call`] here and is what a call by Node-API is,
//! less its overhead. Node-API makes the functions where V8 is not known (`v8`).
#![allow(unsafe_code)] // It shares words with JavaScript.

mod wrapper;

use crate::node_api::{CallInfo, Scope, StrongReference, Value};
use crate::permanent;
use crate::signed::Signed;
use crate::v8::{Call, Callee, V8};
use codeslab::{Allocation, Layout, Protection, Request};
use codeslab_call::{FastTable, MAXIMUM_ARGUMENTS};
use napi::sys::{napi_callback_info, napi_env, napi_value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// The most signatures that an environment has functions of V8 for: V8 keeps them until the environment ends.
const MOST_SIGNATURES: usize = 1 << 12;

thread_local! {
    /// Those of the environment whose JavaScript this thread runs. A thread has one isolate.
    static CURRENT: Cell<*const FastCalls> = const { Cell::new(ptr::null()) };
}

/// What a number stands for: a function that can be called.
pub(crate) trait Target {
    /// Answers a call with `count` values, of which as many are in `values` as there are parameters, or all. `None` if there is an
    /// exception.
    fn answer<'a>(&self, scope: Scope<'a>, values: &[Value<'a>], count: usize)
    -> Option<Value<'a>>;

    /// As [`Target::answer`], on another thread: a promise.
    fn start<'a>(&self, scope: Scope<'a>, values: &[Value<'a>], count: usize) -> Option<Value<'a>>;

    /// How many values it takes.
    fn parameter_count(&self) -> usize;
}

/// The fast calls of one environment.
pub(crate) struct FastCalls {
    env: napi_env,
    v8: &'static V8,
    table: Arc<FastTable>,
    /// By number. A call takes its own count: JavaScript that it runs may let go of the function.
    targets: RefCell<Vec<Option<Weak<dyn Target>>>>,
    /// What makes functions, by signature.
    makers: RefCell<HashMap<String, Rc<StrongReference>>>,
    tools: StrongReference,
}

impl std::fmt::Debug for FastCalls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = &self.table;
        formatter
            .debug_struct("FastCalls")
            .field("table", table)
            .finish_non_exhaustive()
    }
}

impl Drop for FastCalls {
    fn drop(&mut self) {
        CURRENT.with(|current| {
            if ptr::eq(current.get(), self) {
                current.set(ptr::null());
            }
        });
    }
}

impl FastCalls {
    /// Those of an environment; `None` where they are impossible. The intrinsics are taken now, before a user can replace them.
    pub(crate) fn new(scope: Scope<'_>) -> Option<Rc<Self>> {
        let v8 = V8::here()?;
        // Two environments of one thread could not be told apart.
        CURRENT.with(|current| current.get().is_null().then_some(()))?;
        codeslab::process_barrier().then_some(())?;
        let table = FastTable::new(barrier, place)?;
        let tools = make_tools(scope, v8, &table)?;
        let calls = Rc::new(Self {
            env: scope.env(),
            v8,
            table,
            targets: RefCell::default(),
            makers: RefCell::default(),
            tools,
        });
        CURRENT.with(|current| current.set(Rc::as_ptr(&calls)));
        Some(calls)
    }

    /// The entrances of this thread.
    pub(crate) fn table(&self) -> &Arc<FastTable> {
        &self.table
    }

    /// A JavaScript function that calls what `number` is an entrance to and `target` answers for, with these
    /// properties: an object that keeps the target, the name, and where the code is.
    pub(crate) fn make<'a>(
        &self,
        scope: Scope<'a>,
        signed: &Signed,
        number: u32,
        target: &Rc<dyn Target>,
        [keeper, name, pointer]: [Value<'a>; 3],
    ) -> Option<Value<'a>> {
        let maker = self.maker(scope, signed)?;
        let mut targets = self.targets.borrow_mut();
        let index = number as usize;
        if targets.len() <= index {
            targets.resize(index + 1, None);
        }
        targets[index] = Some(Rc::downgrade(target));
        drop(targets);
        let number = scope.make_u32(number)?;
        scope.call(maker.get(scope)?, &[number, keeper, name, pointer])
    }

    /// What makes functions of a signature: compiled when the first one is made.
    fn maker(&self, scope: Scope<'_>, signed: &Signed) -> Option<Rc<StrongReference>> {
        if let Some(maker) = self.makers.borrow().get(&signed.name) {
            return Some(Rc::clone(maker));
        }
        (self.makers.borrow().len() < MOST_SIGNATURES).then_some(())?;
        let wrapper = wrapper::of(signed, self.v8, &self.table);
        let target = wrapper.target.as_ref();
        let target = target.map(|(thunk, result, types)| (*thunk, *result, types.as_slice()));
        // SAFETY: the thunk takes a receiver, a number and these types, and jumps to code that a signature says calls no JavaScript
        // while there are no callbacks; the table, which owns it, lives until the environment has ended.
        let call = unsafe { self.v8.function::<Slow>(scope, target) }?;
        let factory = scope.run(&wrapper.source)?;
        let maker = scope.call(factory, &[self.tools.get(scope)?, call])?;
        let maker = Rc::new(scope.refer(maker)?);
        self.makers
            .borrow_mut()
            .insert(signed.name.clone(), Rc::clone(&maker));
        Some(maker)
    }

    fn target(&self, number: f64) -> Option<Rc<dyn Target>> {
        let targets = self.targets.borrow();
        targets.get(number as usize)?.as_ref()?.upgrade()
    }

    /// Answers a call by V8. The exception that it leaves is Node-API's to throw, which does so only for its own callbacks.
    fn answer(&self, call: Call, way: Way) {
        // SAFETY: V8 runs a callback on the thread of this environment, whose isolate is the current one.
        let scope = unsafe { Scope::new(self.env) };
        self.table.stand_aside();
        let number = call.argument(0).and_then(|number| scope.number(number));
        let target = number.and_then(|number| self.target(number));
        let value = target.and_then(|target| match target.parameter_count() {
            0..=2 => run::<2>(scope, &*target, call, way),
            3..=4 => run::<4>(scope, &*target, call, way),
            5..=8 => run::<8>(scope, &*target, call, way),
            _ => run::<MAXIMUM_ARGUMENTS>(scope, &*target, call, way),
        });
        match value {
            Some(value) => call.answer(value),
            None => {
                if let Some(exception) = scope.take_exception() {
                    self.v8.throw(exception);
                }
            }
        }
    }
}

/// Calls a function with what V8 passed behind the number.
#[inline]
fn run<'a, const CAPACITY: usize>(
    scope: Scope<'a>,
    target: &dyn Target,
    call: Call,
    way: Way,
) -> Option<Value<'a>> {
    let values = CallInfo::<CAPACITY>::of(call.count() - 1, |index| call.argument(index + 1));
    match way {
        Way::Now => target.answer(scope, values.values(), values.count),
        Way::Later => target.start(scope, values.values(), values.count),
    }
}

/// When a call is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Before the callback returns.
    Now,
    /// On another thread.
    Later,
}

/// What V8 calls where it does not call a thunk.
#[derive(Debug)]
struct Slow;

impl Callee for Slow {
    fn call(call: Call) {
        answer(call, Way::Now);
    }
}

/// What `async` calls.
#[derive(Debug)]
struct Start;

impl Callee for Start {
    fn call(call: Call) {
        answer(call, Way::Later);
    }
}

fn answer(call: Call, way: Way) {
    let calls = CURRENT.get();
    // SAFETY: it is null, or the environment lives: it takes itself out before it goes.
    let Some(calls) = (unsafe { calls.as_ref() }) else {
        return;
    };
    // A panic would be a bug of ours; it must not unwind into C++.
    let _ = catch_unwind(AssertUnwindSafe(|| calls.answer(call, way)));
}

/// Entrances for calls by Node-API alone. `None` where the system has no barriers.
pub(crate) fn entrances() -> Option<Arc<FastTable>> {
    codeslab::process_barrier().then(|| FastTable::without_thunks(barrier))
}

fn barrier() {
    codeslab::process_barrier();
}

/// Puts thunks into code memory: their address and what owns them.
fn place(bytes: &[u8]) -> Option<(u64, Allocation)> {
    let memory = permanent::memory()?;
    let mut layout = Layout::new();
    let section = layout
        .add(Protection::ReadExecute, bytes.len() as u64, 16)
        .ok()?;
    let mut in_flight = memory.allocate(&Request::new(&layout)).ok()?;
    in_flight.write(section, 0, bytes).ok()?;
    let address = in_flight.address(section).value();
    Some((address, in_flight.finalize().ok()?))
}

/// What all wrappers of an environment use.
fn make_tools(scope: Scope<'_>, v8: &V8, table: &Arc<FastTable>) -> Option<StrongReference> {
    let tools = scope.object()?;
    let global = scope.global()?;
    for (holder, names) in [
        (c"BigInt", &[c"asIntN", c"asUintN"][..]),
        (c"Math", &[c"fround"]),
        (c"Object", &[c"defineProperty", c"freeze"]),
    ] {
        let holder = scope.property(global, holder)?;
        for name in names {
            scope.define(tools, name, scope.property(holder, name)?)?;
        }
    }
    // SAFETY: a table has these two words for as long as it lives, which its owner here sees to, and accesses them atomically.
    let words = unsafe { scope.shared_words(table.words(), 2, Arc::clone(table)) }?;
    scope.define(tools, c"words", words)?;
    // SAFETY: no code is called by it.
    let slow = unsafe { v8.function::<Slow>(scope, None) }?;
    scope.define(tools, c"slow", slow)?;
    // SAFETY: no code is called by it.
    let start = unsafe { v8.function::<Start>(scope, None) }?;
    scope.define(tools, c"start", start)?;
    // SAFETY: the callback uses no data.
    let miscount = unsafe { scope.function("miscount", miscount, ptr::null::<()>()) }?;
    scope.define(tools, c"miscount", miscount)?;
    // SAFETY: the callback uses no data.
    let settle = unsafe { scope.function("settle", settle, ptr::null::<()>()) }?;
    scope.define(tools, c"settle", settle)?;
    scope.refer(tools)
}

/// What a wrapper calls when the second word is not 0: whether the call was refused.
unsafe extern "C" fn settle(env: napi_env, _info: napi_callback_info) -> napi_value {
    // SAFETY: `env` is what Node passed to the running callback.
    let scope = unsafe { Scope::new(env) };
    // SAFETY: it is null, or the environment lives: it takes itself out before it goes.
    let calls = unsafe { CURRENT.get().as_ref() };
    let refused = calls.is_none_or(|calls| calls.table.settle());
    scope
        .boolean(refused)
        .map_or(ptr::null_mut(), Value::into_raw)
}

/// What a wrapper calls, with a number and how many arguments it got, if they are too many or too few.
unsafe extern "C" fn miscount(env: napi_env, info: napi_callback_info) -> napi_value {
    // SAFETY: `env` is what Node passed to the running callback.
    let scope = unsafe { Scope::new(env) };
    let mut call = CallInfo::<3>::unread();
    // SAFETY: `info` is what Node passed to the running callback.
    unsafe { scope.read_call(info, &mut call) };
    // SAFETY: it is null, or the environment lives: it takes itself out before it goes.
    let calls = unsafe { CURRENT.get().as_ref() };
    let arguments = call.exactly(3).zip(calls);
    let thrown = arguments.and_then(|(values, calls)| {
        let (number, count) = (scope.number(values[0])?, scope.number(values[1])?);
        // Without values, whatever the count: it is one that the target refuses.
        Some(
            calls
                .target(number)?
                .answer(scope, &[], count as usize)
                .is_none(),
        )
    });
    debug_assert_eq!(thrown, Some(true), "wrappers pass what it takes");
    ptr::null_mut()
}
