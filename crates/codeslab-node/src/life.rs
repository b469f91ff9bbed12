//! The functions that the life of every allocation and image goes through: allocate, write, finalize, publish, link, call, free.
//!
//! Each takes less time than what napi-rs adds to a call, so Node-API makes these itself. Numbers do not cross one by one: what sections
//! shall be, and where they are then, is in an array that TypeScript and this file share. `allocation` does the work.
#![allow(unsafe_code)] // These are what Node calls.

use crate::allocation;
use crate::environment;
use crate::error::Failure;
use crate::handle::{CodeHandle, Content};
use crate::handles::Handles;
use crate::image;
use crate::memory::{MemoryHandle, count};
use crate::node_api::{CallInfo, Callback, Numbers, Scope, Value};
use crate::signed::Signed;
use crate::throw;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi::sys::{ValueType, napi_callback_info, napi_env, napi_value};
use napi_derive::napi;
use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// What these functions work with.
struct Life {
    handles: Rc<Handles>,
    numbers: Numbers,
}

type Done<'a> = Result<Value<'a>, Failure>;

/// The functions of one array of numbers, which holds four for each section that is allocated at a time, and one for each allocation.
#[napi(ts_return_type = "{
  allocate(memory: ExternalObject<MemoryHandle>, keeper: object, count: number, contents: Uint8Array | undefined | Array<Uint8Array | undefined>, windows: BigUint64Array | undefined, publish: boolean): number
  write(code: number, section: number, offset: number, bytes: Uint8Array): void
  finalize(code: number): void
  publishAll(memory: ExternalObject<MemoryHandle>, keeper: object, length: number, staged: Uint8Array, contents: Array<Uint8Array>, windows: BigUint64Array | undefined): void
  places(code: number): void
  free(code: number): boolean
  call(code: number, section: number, name: string, offset: number, signed: ExternalObject<Signed>): unknown
  link(memory: ExternalObject<MemoryHandle>, keeper: object, inputs: Uint8Array | Array<string | number | Uint8Array | ExternalObject<ParsedInput>>, options: NativeLinkOptions | undefined): number
}")]
pub fn life(
    env: Env,
    #[napi(ts_arg_type = "Float64Array")] numbers: Unknown<'_>,
) -> napi::Result<Unknown<'static>> {
    let scope = Scope::of(&env);
    let handles = environment::handles(env)?;
    let made = || {
        let numbers = Numbers::new(scope, Value::of_argument(&numbers))?;
        let life = Rc::new(Life {
            handles: Rc::clone(&handles),
            numbers,
        });
        let functions: [(_, Callback); 8] = [
            (c"allocate", callback::<6, Allocate>),
            (c"publishAll", callback::<6, PublishAll>),
            (c"places", callback::<1, Places>),
            (c"write", callback::<4, Write>),
            (c"finalize", callback::<1, Finalize>),
            (c"free", callback::<1, Free>),
            (c"call", callback::<5, Call>),
            (c"link", callback::<4, Link>),
        ];
        let object = scope.object()?;
        for (name, callback) in functions {
            // SAFETY: every callback treats its data as a `&Life`, which the handles keep until the function has been collected.
            let function =
                unsafe { scope.function(name.to_str().ok()?, callback, Rc::as_ptr(&life)) }?;
            handles.keep(scope, function, Rc::clone(&life))?;
            scope.define(object, name, function)?;
        }
        Some(object.into_unknown(&env))
    };
    made().ok_or_else(|| napi::Error::from_reason("Node could not make functions"))
}

/// One of these functions, of so many arguments.
trait Act<const COUNT: usize> {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; COUNT]) -> Done<'a>;
}

/// What Node calls.
///
/// # Safety
/// - `env` and `info` are what Node passes to a callback.
/// - The function was created with a [`Life`] as its data, which lives as long as the function.
unsafe extern "C" fn callback<const COUNT: usize, A: Act<COUNT>>(
    env: napi_env,
    info: napi_callback_info,
) -> napi_value {
    let run = || {
        let mut call = CallInfo::<COUNT>::unread();
        // SAFETY: `env` is what Node passed to the running callback: the current environment until the callback returns.
        let scope = unsafe { Scope::new(env) };
        // SAFETY: `info` is what Node passed to the running callback, by the first obligation.
        unsafe { scope.read_call(info, &mut call) }?;
        // SAFETY: the data is a `Life` that lives as long as the function, by the second obligation.
        let life = unsafe { &*call.data.cast::<Life>() };
        let values = call
            .exactly(COUNT)
            .and_then(|values| values.try_into().ok());
        let done = match values {
            Some(values) => A::act(life, scope, values),
            None => Err(Failure::Argument("wrong number of arguments")),
        };
        done.map_err(|failure| throw_failure(scope, &failure)).ok()
    };
    // A panic would be a bug of ours; it must not unwind into C++.
    let value = catch_unwind(AssertUnwindSafe(run)).ok().flatten();
    value.map_or(ptr::null_mut(), Value::into_raw)
}

#[cold]
fn throw_failure(scope: Scope<'_>, failure: &Failure) {
    match failure {
        Failure::Refused(error) => throw::throw(scope, error),
        Failure::Argument(what) => {
            let message = std::ffi::CString::new(*what).unwrap_or_default();
            scope.throw_type_error(c"ERR_INVALID_ARG_TYPE", &message);
        }
        Failure::Thrown => {}
    }
}

/// A value that Node could make.
fn made(value: Option<Value<'_>>) -> Done<'_> {
    value.ok_or(Failure::Thrown)
}

impl Life {
    /// What an external stands for.
    fn external<T: Any>(&self, scope: Scope<'_>, value: Value<'_>) -> Result<Rc<T>, Failure> {
        let word = scope.external_word(value);
        word.and_then(|word| self.handles.get(word))
            .ok_or(Failure::Argument("this is not a handle of codeslab"))
    }

    /// Says where sections are: four numbers for each, the index of its protection, its size, and the halves of its address.
    fn tell_places(&self, scope: Scope<'_>, handle: &CodeHandle) {
        if handle.sections().is_empty() {
            // Nothing is said of an image: no need to ask where the numbers are.
            return;
        }
        let places = handle.sections().iter().flat_map(|section| {
            let address = section.address.value();
            [
                f64::from(section.protection.index() as u32),
                count(section.size.get()),
                // As signed halves, which JavaScript has without a box.
                f64::from((address as u32).cast_signed()),
                f64::from((address >> 32) as u32),
            ]
        });
        self.numbers.set(scope, places);
    }

    fn code(&self, scope: Scope<'_>, value: Value<'_>) -> Result<Rc<CodeHandle>, Failure> {
        let number = scope.number(value);
        number
            .and_then(|number| self.handles.numbered(number))
            .ok_or(Failure::Argument("this is not the number of any code"))
    }
}

fn number<'a>(scope: Scope<'a>, value: Value<'a>) -> Result<f64, Failure> {
    let number = scope.number(value);
    number.ok_or(Failure::Argument("this is not a number"))
}

/// Places sections, writes what is known of their content, and publishes that if it is all. Their addresses go where their numbers were.
struct Allocate;

impl Act<6> for Allocate {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 6]) -> Done<'a> {
        let [memory, keeper, count, contents, windows, publish] = *values;
        let memory = life.external::<MemoryHandle>(scope, memory)?;
        let count = number(scope, count)? as usize;
        let requests = life
            .numbers
            .first(scope, count.saturating_mul(allocation::NUMBERS));
        let requests = requests.ok_or(Failure::Argument(
            "there are no numbers of so many sections",
        ))?;
        let elements = elements(scope, contents, count)?;
        let windows = windows_of(scope, windows)?;
        let publishes = scope.truth(publish).unwrap_or(false);
        let mut elements = elements.into_iter();
        let content = |_| {
            // SAFETY: `allocation::make` asks for one after the other, and runs no JavaScript before it is done with the bytes.
            let bytes = |element| unsafe { scope.bytes(element) };
            // What has none is `undefined`.
            Ok(elements.next().and_then(bytes))
        };
        let env = Env::from_raw(scope.env());
        let load = life.handles.load();
        let content = if publishes {
            allocation::publish(env, &memory, load, &requests, content, &windows)
        } else {
            let made = allocation::make(env, &memory, load, &requests, content, &windows);
            made.map(|handle| {
                life.tell_places(scope, &handle);
                Content::Shared(Rc::new(handle))
            })
        };
        let number = life.handles.number_content(scope, keeper, content?);
        life.handles.settle(scope);
        made(number.and_then(|number| scope.make_u32(number)))
    }
}

/// The ends of windows, if there are any.
fn windows_of<'a>(scope: Scope<'a>, windows: Value<'a>) -> Result<Vec<u64>, Failure> {
    match scope.type_of(windows) {
        ValueType::napi_undefined => Ok(Vec::new()),
        _ => scope
            .words(windows, usize::MAX)
            .ok_or(Failure::Argument("windows are a BigUint64Array")),
    }
}

/// The content of each section: one value stands for itself.
fn elements<'a>(
    scope: Scope<'a>,
    contents: Value<'a>,
    count: usize,
) -> Result<Vec<Value<'a>>, Failure> {
    if count == 1 {
        return Ok(vec![contents]);
    }
    let element = |index: usize| scope.element(contents, index as u32);
    let elements: Option<Vec<_>> = (0..count).map(element).collect();
    elements.ok_or(Failure::Argument("contents are an array"))
}

/// Places and publishes many requests, all of them or none. The first numbers are how many sections each has, with the numbers of those
/// behind it; the number of each allocation comes in their place. The last number of a section says how many bytes are `staged` for it, behind
/// those of the one before; of a section for which it is negative, `contents` has the next.
struct PublishAll;

impl Act<6> for PublishAll {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 6]) -> Done<'a> {
        let [memory, keeper, length, staged, contents, windows] = *values;
        let memory = life.external::<MemoryHandle>(scope, memory)?;
        let numbers = life
            .numbers
            .first(scope, number(scope, length)? as usize)
            .ok_or(Failure::Argument("there are not as many numbers"))?;
        let windows = windows_of(scope, windows)?;
        // The array is asked first: it may have getters, and what they do, bytes need not survive.
        let length = scope.array_length(contents);
        let element = |index| scope.element(contents, index);
        let elements: Option<Vec<_>> = length.and_then(|length| (0..length).map(element).collect());
        let elements = elements.ok_or(Failure::Argument("contents are an array"))?;
        // SAFETY: nothing below runs JavaScript before the last use of the bytes, which `place` makes.
        let staged = unsafe { scope.bytes(staged) };
        let staged = staged.ok_or(Failure::Argument("staged bytes are a Uint8Array"))?;
        let mut supply = Supply {
            scope,
            staged: &staged,
            elements: elements.into_iter(),
        };
        let mut batch = allocation::Batch::new(Env::from_raw(scope.env()), &memory, &windows)?;
        let mut rest = &numbers[..];
        while let Some((count, after)) = rest.split_first() {
            let length = (*count as usize).saturating_mul(allocation::NUMBERS);
            let (requests, after) = after
                .split_at_checked(length)
                .ok_or(Failure::Argument("there are not as many numbers"))?;
            rest = after;
            batch.place(requests, |staged| supply.next(staged))?;
        }
        let contents = batch.publish(life.handles.load())?;
        let numbers = life.handles.number_batch(scope, keeper, contents);
        let numbers = numbers.ok_or(Failure::Argument("a keeper is an object"))?;
        life.numbers
            .set(scope, numbers.iter().copied().map(f64::from));
        life.handles.settle(scope);
        self::made(scope.undefined())
    }
}

/// What the sections of a batch shall hold, in their order.
struct Supply<'a> {
    scope: Scope<'a>,
    /// What is left of the bytes that are staged.
    staged: &'a [u8],
    /// What is left of the others.
    elements: std::vec::IntoIter<Value<'a>>,
}

impl<'a> Supply<'a> {
    /// That of the next section.
    fn next(&mut self, staged: f64) -> allocation::Content<'a> {
        if staged < 0.0 {
            let element = self.elements.next();
            // SAFETY: nothing runs JavaScript before the last use of the bytes, which `place` makes.
            let bytes = element.and_then(|element| unsafe { self.scope.bytes(element) });
            let bytes = bytes.ok_or(Failure::Argument("contents are Uint8Arrays"))?;
            return Ok(Some(bytes));
        }
        let (bytes, rest) = self
            .staged
            .split_at_checked(staged as usize)
            .ok_or(Failure::Argument("there are not as many bytes"))?;
        self.staged = rest;
        Ok((!bytes.is_empty()).then_some(Cow::Borrowed(bytes)))
    }
}

/// Tells where the sections of an allocation are.
struct Places;

impl Act<1> for Places {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 1]) -> Done<'a> {
        let code = life.code(scope, values[0])?;
        life.tell_places(scope, &code);
        made(scope.undefined())
    }
}

/// Copies bytes into a section.
struct Write;

impl Act<4> for Write {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 4]) -> Done<'a> {
        let [code, section, offset, bytes] = *values;
        let code = life.code(scope, code)?;
        let (section, offset) = (number(scope, section)?, number(scope, offset)?);
        // SAFETY: `write_bytes` runs no JavaScript, and it is the last that uses the bytes.
        let bytes = unsafe { scope.bytes(bytes) };
        let bytes = bytes.ok_or(Failure::Argument("bytes are a Uint8Array"))?;
        let written = allocation::write_bytes(&code, section as u32, offset, &bytes);
        drop(bytes);
        written?;
        made(scope.undefined())
    }
}

/// Publishes an allocation.
struct Finalize;

impl Act<1> for Finalize {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 1]) -> Done<'a> {
        let code = life.code(scope, values[0])?;
        allocation::finalize(&code)?;
        made(scope.undefined())
    }
}

/// Frees an allocation or image, and gives its number up: no call begins any more, and the memory goes when no call is running and no
/// view is left. This thread's views are detached; whether other threads may have some is the result. Where its sections were, the numbers
/// say.
struct Free;

impl Act<1> for Free {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 1]) -> Done<'a> {
        let code = life.code(scope, values[0])?;
        life.tell_places(scope, &code);
        let is_viewed = allocation::free(&code)?;
        life.handles.release(scope, number(scope, values[0])?);
        if is_viewed {
            let views = environment::views(Env::from_raw(scope.env()));
            views.map_err(|_| Failure::Thrown)?.detach_freed(scope);
        }
        made(scope.boolean(is_viewed))
    }
}

/// A JavaScript function that calls the code in a section, at an offset. `name` is what errors call the section.
struct Call;

impl Act<5> for Call {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 5]) -> Done<'a> {
        let [code, section, name, offset, signed] = *values;
        let code = life.code(scope, code)?;
        let (section, offset) = (number(scope, section)?, number(scope, offset)?);
        let name = scope
            .string(name)
            .ok_or(Failure::Argument("a name is a string"))?;
        let signed = life.external::<Signed>(scope, signed)?;
        allocation::function(scope, &code, section as u32, name, offset, &signed)
    }
}

/// Links inputs into a memory: the number of the image.
struct Link;

impl Act<4> for Link {
    fn act<'a>(life: &Life, scope: Scope<'a>, values: &[Value<'a>; 4]) -> Done<'a> {
        let [memory, keeper, inputs, options] = *values;
        let memory = life.external::<MemoryHandle>(scope, memory)?;
        // Constructors may run JavaScript that has these functions made anew, after which V8 may collect this one and what it works with.
        let handles = Rc::clone(&life.handles);
        let image = image::link(scope, &memory, handles.load(), (inputs, options))?;
        let number = handles.number(scope, keeper, Rc::new(image));
        let number = number.ok_or(Failure::Argument("a keeper is an object"))?;
        handles.settle(scope);
        made(scope.make_u32(number))
    }
}
