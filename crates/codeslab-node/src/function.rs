//! JavaScript functions that call published code.
//!
//! Each stands for a [`Function`]: the address, the signature, and the code that it keeps from being collected. Where V8 is known `fast`
//! makes them; elsewhere they are functions of Node-API with that as their data. A call reads its arguments into a frame, enters the
//! code so that freeing waits for it, and has `codeslab-call` do the rest. `image` and `allocation` ask for them. A native class or a
//! napi-rs function would cost several times a call.
#![allow(unsafe_code)] // It calls native code.

mod prepare;
mod refusal;
mod structures;
mod words;

use crate::answer::during;
use crate::argument::{self, Strings};
use crate::environment;
use crate::error::Error;
use crate::fast::{FastCalls, Target};
use crate::handle::CodeHandle;
use crate::handles::Handles;
use crate::later::{self, Called, Later};
use crate::load::Weight;
use crate::node_api::{CallInfo, Callback, Scope, Value};
use crate::published::{Content, Owned, Published};
use crate::signed::Signed;
use crate::throw::OrThrow;
use codeslab::Address;
use codeslab_call::{
    Entrance, Frame, Kind, MAXIMUM_ARGUMENTS, Parameter, Reject, Running, ShortFrame,
};
use codeslab_runtime::{Exception, guarded};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi::sys::{napi_callback_info, napi_env, napi_value};
use napi_derive::napi;
use prepare::{ForLater, Prepared};
use refusal::Refusal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use words::Words;

/// What a function needs to be called. It keeps the code that it calls from being freed by garbage collection.
#[derive(Debug)]
struct Function {
    name: String,
    target: Address,
    signed: Rc<Signed>,
    code: Arc<Published>,
    /// By what this thread calls it without counting, where the system has barriers.
    entrance: Option<Entrance<Owned>>,
    /// Whether an exception may leave the code.
    may_unwind: bool,
    /// Whether none can, whatever it is given: the unwinder finds no way through bytes that were placed.
    is_opaque: bool,
    /// That of the code, which V8 shall count for as long as it is kept.
    #[expect(dead_code, reason = "dropping it takes the weight away")]
    weight: Rc<Weight>,
}

/// Compiles a signature. `types` are the names of those of the result and of the arguments.
#[napi(ts_return_type = "ExternalObject<Signed>")]
pub fn compile_signature(env: Env, types: Vec<String>) -> napi::Result<Unknown<'static>> {
    environment::hold(env, Signed::compile(&types).or_throw(env)?)
}

/// A JavaScript function that calls `target`, which lies in the code of `handle`.
pub(crate) fn make<'a>(
    scope: Scope<'a>,
    handle: &CodeHandle,
    name: String,
    target: Address,
    signed: &Rc<Signed>,
) -> Result<Option<Value<'a>>, Error> {
    let code = handle.published()?;
    let function = Function {
        name,
        target,
        signed: Rc::clone(signed),
        may_unwind: code.read(may_unwind).unwrap_or(false),
        is_opaque: code.read(is_opaque).unwrap_or(false),
        code,
        entrance: None,
        weight: handle.weight(),
    };
    Ok(create(scope, function))
}

/// As [`make`], for a function of napi-rs.
pub(crate) fn make_unknown(
    env: Env,
    handle: &CodeHandle,
    name: String,
    target: Address,
    signed: &Rc<Signed>,
) -> napi::Result<Unknown<'static>> {
    make(Scope::of(&env), handle, name, target, signed)
        .or_throw(env)?
        .map(|function| function.into_unknown(&env))
        .ok_or_else(|| napi::Error::from_reason("Node could not create a function"))
}

/// A JavaScript function that calls native code, by V8 or else by Node-API. Its property `pointer` says where that is.
fn create(scope: Scope<'_>, mut function: Function) -> Option<Value<'_>> {
    let env = Env::from_raw(scope.env());
    let handles = environment::handles(env).ok()?;
    let entrances = environment::entrances(env).ok()?;
    let open = |table| function.code.open(table, function.target.value());
    function.entrance = entrances.as_ref().and_then(open);
    // Calls that compiled JavaScript makes itself pass no frame that would stop an exception.
    let fast = environment::fast_calls(env).ok()?;
    if let Some(calls) = fast.filter(|_| !function.may_unwind) {
        let function = Rc::new(function);
        let made = create_by_v8(scope, &handles, &calls, &function);
        if made.is_some() {
            return made;
        }
        scope.take_exception();
        return create_by_node_api(scope, &handles, function);
    }
    create_by_node_api(scope, &handles, Rc::new(function))
}

fn create_by_v8<'a>(
    scope: Scope<'a>,
    handles: &Rc<Handles>,
    calls: &FastCalls,
    function: &Rc<Function>,
) -> Option<Value<'a>> {
    let number = function.entrance.as_ref()?.number();
    let keeper = scope.object()?;
    handles.number(scope, keeper, Rc::clone(function))?;
    let target: Rc<dyn Target> = Rc::<Function>::clone(function);
    let name = scope.text(&function.name)?;
    let pointer = scope.make_u64(function.target.value())?;
    let properties = [keeper, name, pointer];
    calls.make(scope, &function.signed, number, &target, properties)
}

fn create_by_node_api<'a>(
    scope: Scope<'a>,
    handles: &Rc<Handles>,
    function: Rc<Function>,
) -> Option<Value<'a>> {
    let (callback, start) = callbacks_for(function.parameters().len());
    let pointer = scope.make_u64(function.target.value())?;
    // SAFETY: every callback of `callback_for` treats its data as a `&Function`, and the handles keep it until the JavaScript
    // function has been collected. If they cannot, nothing but this Rust function has it, which drops it.
    let value = unsafe { scope.function(&function.name, callback, Rc::as_ptr(&function)) }?;
    // SAFETY: so does this one, and the handles keep the function until this one has been collected, too.
    let later = unsafe { scope.function("async", start, Rc::as_ptr(&function)) }?;
    handles.keep(scope, value, Rc::clone(&function))?;
    handles.keep(scope, later, function)?;
    scope.define(value, c"pointer", pointer)?;
    scope.define_hidden(value, c"async", later)?;
    Some(value)
}

/// The callbacks with the least room that suffices: Node fills all of it, which is a good part of a short call.
fn callbacks_for(arguments: usize) -> (Callback, Callback) {
    match arguments {
        0..=2 => (callback::<2>, callback_async::<2>),
        3..=4 => (callback::<4>, callback_async::<4>),
        5..=8 => (callback::<8>, callback_async::<8>),
        _ => (
            callback::<MAXIMUM_ARGUMENTS>,
            callback_async::<MAXIMUM_ARGUMENTS>,
        ),
    }
}

/// What Node calls.
///
/// # Safety
/// - `env` and `info` are what Node passes to a callback.
/// - The function was created with a [`Function`] as its data.
unsafe extern "C" fn callback<const CAPACITY: usize>(
    env: napi_env,
    info: napi_callback_info,
) -> napi_value {
    // SAFETY: both are what Node passed, and the data is a `Function`, by the obligations.
    unsafe { answer::<CAPACITY>(env, info, Function::answer) }
}

/// What Node calls for `async`.
///
/// # Safety
/// - `env` and `info` are what Node passes to a callback.
/// - The function was created with a [`Function`] as its data.
unsafe extern "C" fn callback_async<const CAPACITY: usize>(
    env: napi_env,
    info: napi_callback_info,
) -> napi_value {
    // SAFETY: both are what Node passed, and the data is a `Function`, by the obligations.
    unsafe { answer::<CAPACITY>(env, info, Function::start) }
}

/// Has a function answer a callback.
///
/// # Safety
/// - `env` and `info` are what Node passes to a callback.
/// - The function was created with a [`Function`] as its data.
#[inline]
unsafe fn answer<const CAPACITY: usize>(
    env: napi_env,
    info: napi_callback_info,
    answer: for<'a> fn(&Function, Scope<'a>, &[Value<'a>], usize) -> Option<Value<'a>>,
) -> napi_value {
    let run = || {
        let mut call = CallInfo::<CAPACITY>::unread();
        // SAFETY: `env` is what Node passed to the running callback: the current environment until the callback returns.
        let scope = unsafe { Scope::new(env) };
        // SAFETY: `info` is what Node passed to the running callback, by the first obligation.
        unsafe { scope.read_call(info, &mut call) }?;
        // SAFETY: the data is a `Function`, by the second obligation, and the handles drop it when the JavaScript function has
        // been collected, which cannot be while that function is being called.
        let function = unsafe { &*call.data.cast::<Function>() };
        answer(function, scope, call.values(), call.count)
    };
    // A panic would be a bug of ours; it must not unwind into C++.
    let value = catch_unwind(AssertUnwindSafe(run)).ok().flatten();
    value.map_or(ptr::null_mut(), Value::into_raw)
}

impl Target for Function {
    #[inline]
    fn answer<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
        count: usize,
    ) -> Option<Value<'a>> {
        match self.call(scope, values, count) {
            Ok(value) => value,
            Err(refusal) => {
                self.throw(scope, &refusal, values);
                None
            }
        }
    }

    fn start<'a>(&self, scope: Scope<'a>, values: &[Value<'a>], count: usize) -> Option<Value<'a>> {
        match self.begin(scope, values, count) {
            Ok(promise) => promise,
            Err(refusal) => {
                self.throw(scope, &refusal, values);
                None
            }
        }
    }

    fn parameter_count(&self) -> usize {
        self.parameters().len()
    }
}

/// Whether an exception may leave code. A slot may come to lead to code that throws, and what is not ours may do anything.
fn may_unwind(owned: &Owned) -> bool {
    match &owned.content {
        Content::Image(image) => image.may_unwind(),
        Content::Allocation(_) => false,
        Content::Slot(_) | Content::Process => true,
    }
}

/// Whether no unwinder knows the code.
fn is_opaque(owned: &Owned) -> bool {
    matches!(owned.content, Content::Allocation(_))
}

impl Function {
    fn parameters(&self) -> &[Parameter] {
        self.signed.signature.parameters()
    }

    /// A call with `count` values, of which as many are in `values` as there are parameters, or all.
    #[inline]
    fn call<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
        count: usize,
    ) -> Result<Option<Value<'a>>, Refusal> {
        let parameters = self.parameters();
        let values = values
            .get(..parameters.len())
            .filter(|_| count == parameters.len())
            .ok_or(Refusal::Count(count))?;
        if self.signed.has_callbacks() {
            return self.call_with_functions(scope, values);
        }
        if self.signed.signature.has_structures() {
            return self.call_with_structures(scope, values);
        }
        if self.signed.signature.is_short() {
            return self.call_with_words(scope, values, ShortFrame::new());
        }
        self.call_with_words(scope, values, Frame::new())
    }

    /// A call with neither functions nor structures among its arguments.
    #[inline]
    fn call_with_words<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
        mut frame: impl Words,
    ) -> Result<Option<Value<'a>>, Refusal> {
        let mut strings = Strings::new();
        for (index, (parameter, value)) in self.parameters().iter().zip(values).enumerate() {
            match argument::read(scope, *value, parameter.kind(), &mut strings) {
                Ok(word) => frame.put(index, *parameter, word),
                Err(reject) => return self.call_otherwise(scope, values, index, reject),
            }
        }
        self.run(scope, &frame)
    }

    /// A call whose argument with this index could not be read without running JavaScript.
    #[cold]
    fn call_otherwise<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
        index: usize,
        reject: Reject,
    ) -> Result<Option<Value<'a>>, Refusal> {
        let (value, kind) = (values[index], self.parameters()[index].kind());
        if argument::is_function(scope, value, kind) {
            return self.call_with_functions(scope, values);
        }
        let unfit = argument::unfit(scope, value, kind, reject);
        Err(Refusal::Argument(index, unfit))
    }

    /// A call with functions among its arguments.
    #[inline(never)]
    fn call_with_functions<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
    ) -> Result<Option<Value<'a>>, Refusal> {
        if self.signed.signature.has_structures() {
            return self.call_with_structures(scope, values);
        }
        let prepared = self.prepare(scope, values, Frame::new())?;
        self.run(scope, &prepared.frame)
    }

    /// Begins a call on a thread of the pool: a promise of its result.
    fn begin<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
        count: usize,
    ) -> Result<Option<Value<'a>>, Refusal> {
        let values = values
            .get(..self.parameters().len())
            .filter(|_| count == self.parameters().len())
            .ok_or(Refusal::Count(count))?;
        let entered = self.code.enter_for_long().ok_or(Refusal::Freed)?;
        let (call, kept) = self.call_for_later(scope, values)?;
        let borrowed = values
            .iter()
            .filter(|value| argument::is_borrowed(scope, **value));
        // What a buffer of JavaScript's lies in stays as long as the buffer.
        let buffers: Vec<_> = borrowed
            .filter_map(|value| scope.refer_to_object(*value))
            .collect();
        let (result, function) = (Rc::clone(&self.signed), self.name.clone());
        let finish = move |scope: Scope<'_>, called: Called| {
            drop((entered, kept, buffers));
            match called {
                Ok((word, bytes)) => write(scope, &result, word, &bytes).map(Value::into_raw),
                Err(exception) => {
                    refusal::throw_exception(scope, &function, exception);
                    None
                }
            }
        };
        let finish = Box::new(finish);
        Ok(later::start(scope, Later { call, finish }))
    }

    /// A call that any thread can make, as long as the code is entered, and what has to stay until then.
    fn call_for_later<'a>(
        &self,
        scope: Scope<'a>,
        values: &[Value<'a>],
    ) -> Result<ForLater, Refusal> {
        if self.signed.signature.has_structures() {
            return self.structures_for_later(scope, values);
        }
        let Prepared {
            frame,
            strings,
            lent,
        } = self.prepare(scope, values, Frame::new())?;
        let (signed, target) = (Rc::clone(&self.signed), self.target);
        // SAFETY: `target` lies in published code, which the caller has entered until the call has returned. The frame was
        // filled by the parameters of this very signature, with words that fit their types; strings, closures and what buffers lie in are
        // kept as long. That the code is what the signature says, may run on any thread, and returns, is what the embedder says by
        // asking for it.
        let call = move || unsafe {
            signed.signature.call(
                ptr::with_exposed_provenance(target.value() as usize),
                &frame,
            )
        };
        // SAFETY: no frame between here and the code owns anything; that exceptions are sound belongs to what the embedder says.
        let call = move || unsafe { guarded(&call) }.map(|word| (word, Vec::new()));
        Ok((Box::new(call), (strings, lent)))
    }

    /// Calls the code and reads its result.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "with it, a call takes a twentieth less"
    )]
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "frames of processors without a convention are nothing"
    )]
    fn run<'a>(&self, scope: Scope<'a>, frame: &impl Words) -> Result<Option<Value<'a>>, Refusal> {
        // Until what the result points to has been read: it may lie in the code's own data.
        let _running = self.enter()?;
        let word = during(|| self.invoke(frame)).map_err(Refusal::Stopped)?;
        Ok(write(scope, &self.signed, word, &[]))
    }

    /// Begins a call: the code stays meanwhile.
    #[inline]
    fn enter(&self) -> Result<Running<'_, Owned>, Refusal> {
        let running = match &self.entrance {
            Some(entrance) => entrance.enter(),
            None => self.code.enter(),
        };
        running.ok_or(Refusal::Freed)
    }

    /// Calls the code, which a [`codeslab_call::Running`] keeps from being freed meanwhile.
    #[inline]
    fn invoke(&self, frame: &impl Words) -> Result<u64, Exception> {
        let target = ptr::with_exposed_provenance(self.target.value() as usize);
        // SAFETY: `target` lies in published code, which `run` has entered and which therefore stays until this returns.
        // The frame was filled by the parameters of this very signature, with words that fit their types. Strings live until
        // the call has returned, and so do buffers: JavaScript, which could detach them, has not run since their addresses
        // were read. That the code is what the signature says, that it is sound with these values, and that it returns, is
        // what the embedder says by declaring it. What unwinds is stopped below; nothing gets out of opaque code.
        let call = || unsafe { frame.call(&self.signed.signature, target) };
        if self.is_opaque {
            return Ok(call());
        }
        // SAFETY: no frame between here and the code owns anything; that exceptions are sound belongs to what the embedder says.
        unsafe { guarded(call) }
    }
}

/// The JavaScript value of a result; `None` if Node refused to make one.
#[inline]
fn write<'a>(scope: Scope<'a>, signed: &Signed, word: u64, bytes: &[u8]) -> Option<Value<'a>> {
    if signed.returns_text {
        return argument::write_text(scope, word);
    }
    if signed.signature.result() == Kind::Structure {
        return scope.make_bytes(bytes);
    }
    argument::write(scope, signed.signature.result().value(word))
}
