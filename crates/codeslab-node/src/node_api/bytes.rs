//! Where the bytes of buffers and their views are, by internal slots.
//!
//! Subclasses, proxies and patched prototypes say of `length`, `buffer` and `byteOffset` what they like; Node-API does not ask
//! them. An address stays valid until JavaScript runs again, because only JavaScript detaches or resizes a buffer. So functions
//! of this module first read everything that may run JavaScript (elements, properties), and ask for addresses last.

use super::lending::may_be_lent;
use super::script::StrongReference;
use super::{Scope, Value, ok, value};
use crate::shared;
use napi::sys::{self, TypedarrayType};
use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr;

/// The bytes of a view or buffer, as Node-API tells them.
#[derive(Clone, Copy, Debug)]
struct Extent<'a> {
    data: *mut c_void,
    /// Elements of a typed array, else bytes.
    length: usize,
    /// Which kind of typed array it is; -1 for anything else.
    kind: sys::napi_typedarray_type,
    buffer: Value<'a>,
    offset: usize,
}

/// Why bytes have no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoBytes {
    /// It is neither a typed array, nor a `DataView`, nor an `ArrayBuffer`.
    Type,
    /// Its buffer was detached, or shrank so that the view lies outside of it.
    Detached,
}

impl<'a> Scope<'a> {
    /// Where the bytes of a typed array, a `Buffer`, a `DataView` or an `ArrayBuffer` are. The address is valid until
    /// JavaScript runs again.
    pub(crate) fn address(self, object: Value<'a>) -> Result<*mut c_void, NoBytes> {
        let extent = self
            .typed_array(object)
            .or_else(|| self.data_view(object))
            .or_else(|| self.array_buffer(object))
            .ok_or(NoBytes::Type)?;
        if extent.length == 0 && self.is_out_of_bounds(extent) {
            return Err(NoBytes::Detached);
        }
        Ok(extent.data)
    }

    /// As [`Scope::address`], for a typed array with something in it, which most are: one question, and no more than that is asked. (Which kind
    /// of typed array it is takes as long to say as all the rest.)
    #[inline]
    pub(crate) fn typed_array_address(self, object: Value<'a>) -> Option<*mut c_void> {
        let (mut length, mut data) = (0, ptr::null_mut());
        let none = ptr::null_mut();
        // SAFETY: environment and handle are live by their invariants, the results are ours, and what is null is not written.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                object.raw,
                none,
                &raw mut length,
                &raw mut data,
                none.cast(),
                none.cast(),
            )
        };
        let address = ok(status, data)?;
        (length > 0).then_some(address)
    }

    /// How long what [`Scope::address`] finds is, in elements or bytes; `None` where it finds nothing.
    pub(crate) fn extent_length(self, object: Value<'a>) -> Option<usize> {
        let extent = self
            .typed_array(object)
            .or_else(|| self.data_view(object))
            .or_else(|| self.array_buffer(object));
        extent.map(|extent| extent.length)
    }

    /// The bytes of a `Uint8Array`; `None` if it is none. Shared ones are copied: other threads can change them meanwhile. Of a
    /// detached buffer there are none.
    ///
    /// # Safety
    /// JavaScript does not run on this thread before the last use of the bytes.
    pub(crate) unsafe fn bytes(self, object: Value<'a>) -> Option<Cow<'a, [u8]>> {
        let extent = self.byte_array(object)?;
        if extent.length == 0 || extent.data.is_null() {
            return Some(Cow::Borrowed(&[]));
        }
        if self.is_shared(extent.buffer) || may_be_lent(extent.data) {
            // SAFETY: Node says that so many bytes are there, and what other threads share is never given back while a view of it
            // is reachable, which `object` is.
            return Some(Cow::Owned(unsafe {
                copy_shared(extent.data.cast(), extent.length)
            }));
        }
        // SAFETY: Node says that so many bytes are there; only JavaScript changes or takes them, which does not run before
        // their last use, by the obligation.
        let bytes = unsafe { std::slice::from_raw_parts(extent.data.cast::<u8>(), extent.length) };
        Some(Cow::Borrowed(bytes))
    }

    /// A `Uint8Array` with a copy of bytes.
    pub(crate) fn make_bytes(self, bytes: &[u8]) -> Option<Value<'a>> {
        let (mut data, mut buffer, mut raw) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let length = bytes.len();
        // SAFETY: the environment is live by its invariant, and the results are ours.
        let status = unsafe {
            sys::napi_create_arraybuffer(self.env, length, &raw mut data, &raw mut buffer)
        };
        ok(status, ())?;
        if length > 0 {
            // SAFETY: Node has made room for so many bytes there, which nothing else knows yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), length) };
        }
        let kind = TypedarrayType::uint8_array;
        // SAFETY: environment and handle are live, and the buffer has as many bytes from its start on.
        let status =
            unsafe { sys::napi_create_typedarray(self.env, kind, length, buffer, 0, &raw mut raw) };
        ok(status, value(raw))
    }

    /// How many bytes a `Uint8Array` has; `None` if it is none.
    pub(crate) fn byte_count(self, object: Value<'a>) -> Option<usize> {
        self.byte_array(object).map(|extent| extent.length)
    }

    /// Writes to the start of a `Uint8Array`, as much as fits.
    pub(crate) fn set_bytes(self, object: Value<'a>, bytes: &[u8]) {
        if let Some(extent) = self.byte_array(object) {
            let bytes = &bytes[..bytes.len().min(extent.length)];
            // SAFETY: Node says that so many bytes are there, and no reference to them exists. Other threads that share them write
            // with atomics, as JavaScript and `shared` do, or are machine code.
            unsafe { shared::store(extent.data.cast(), bytes) };
        }
    }

    /// A copy of the first `count` words of a `BigUint64Array`, or of as many as there are; `None` if it is none.
    pub(crate) fn words(self, object: Value<'a>, count: usize) -> Option<Vec<u64>> {
        let extent = self.word_array(object)?;
        let mut words = vec![0_u64; extent.length.min(count)];
        if !words.is_empty() {
            // SAFETY: Node says that so many words are there, and `words` has as many.
            unsafe {
                ptr::copy_nonoverlapping(extent.data.cast(), words.as_mut_ptr(), words.len());
            };
        }
        Some(words)
    }

    /// Writes to the start of a `BigUint64Array`, as much as fits.
    pub(crate) fn set_words(self, object: Value<'a>, words: &[u64]) {
        if let Some(extent) = self.word_array(object) {
            let count = words.len().min(extent.length);
            if count > 0 {
                // SAFETY: Node says that so many words are there, and no reference to them exists.
                unsafe { ptr::copy_nonoverlapping(words.as_ptr(), extent.data.cast(), count) };
            }
        }
    }

    fn byte_array(self, object: Value<'a>) -> Option<Extent<'a>> {
        self.typed_array(object)
            .filter(|extent| extent.kind == TypedarrayType::uint8_array)
    }

    fn word_array(self, object: Value<'a>) -> Option<Extent<'a>> {
        let is_aligned = |extent: &Extent<'_>| extent.data.cast::<u64>().is_aligned();
        self.typed_array(object)
            .filter(|extent| extent.kind == TypedarrayType::biguint64_array)
            .filter(|extent| extent.length == 0 || is_aligned(extent))
    }

    fn typed_array(self, object: Value<'a>) -> Option<Extent<'a>> {
        let mut extent = Extent::unread();
        // SAFETY: environment and handle are live by their invariants, and the results are ours.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                object.raw,
                &raw mut extent.kind,
                &raw mut extent.length,
                &raw mut extent.data,
                &raw mut extent.buffer.raw,
                &raw mut extent.offset,
            )
        };
        ok(status, extent)
    }

    fn data_view(self, object: Value<'a>) -> Option<Extent<'a>> {
        let mut extent = Extent::unread();
        // SAFETY: environment and handle are live by their invariants, and the results are ours.
        let status = unsafe {
            sys::napi_get_dataview_info(
                self.env,
                object.raw,
                &raw mut extent.length,
                &raw mut extent.data,
                &raw mut extent.buffer.raw,
                &raw mut extent.offset,
            )
        };
        ok(status, extent)
    }

    fn array_buffer(self, object: Value<'a>) -> Option<Extent<'a>> {
        let mut extent = Extent::unread();
        extent.buffer = object;
        // SAFETY: environment and handle are live by their invariants, and the results are ours.
        let status = unsafe {
            sys::napi_get_arraybuffer_info(
                self.env,
                object.raw,
                &raw mut extent.data,
                &raw mut extent.length,
            )
        };
        ok(status, extent)
    }

    /// Whether a view without bytes has none because its buffer is gone or too short, and not because it was made so.
    #[cold]
    fn is_out_of_bounds(self, extent: Extent<'a>) -> bool {
        self.is_detached(extent.buffer)
            || self
                .array_buffer(extent.buffer)
                .is_some_and(|buffer| extent.offset > buffer.length)
    }

    fn is_detached(self, buffer: Value<'a>) -> bool {
        let mut is_detached = false;
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe {
            sys::napi_is_detached_arraybuffer(self.env, buffer.raw, &raw mut is_detached)
        };
        ok(status, is_detached).unwrap_or(false)
    }

    /// Whether a buffer is none of JavaScript's own: what has bytes and is no `ArrayBuffer` is shared.
    fn is_shared(self, buffer: Value<'a>) -> bool {
        let mut is_own = false;
        // SAFETY: environment and handle are live by their invariants, and the result is ours.
        let status = unsafe { sys::napi_is_arraybuffer(self.env, buffer.raw, &raw mut is_own) };
        !ok(status, is_own).unwrap_or(false)
    }
}

impl Extent<'_> {
    fn unread() -> Self {
        Self {
            data: ptr::null_mut(),
            length: 0,
            kind: -1,
            buffer: value(ptr::null_mut()),
            offset: 0,
        }
    }
}

/// Numbers that native code and JavaScript share: an array that is kept. Where they are is asked every time, for it may be detached.
#[derive(Debug)]
pub(crate) struct Numbers(StrongReference);

impl Numbers {
    /// Those of an array; `None` if Node refused.
    pub(crate) fn new<'a>(scope: Scope<'a>, array: Value<'a>) -> Option<Self> {
        scope.refer(array).map(Self)
    }

    /// A copy of the first of them; `None` if there are not so many.
    pub(crate) fn first(&self, scope: Scope<'_>, count: usize) -> Option<Vec<f64>> {
        let (first, all) = self.extent(scope)?;
        let read = |index| {
            // SAFETY: so many numbers are there, and JavaScript has not run since that was asked.
            unsafe { first.wrapping_add(index).read() }
        };
        (count <= all).then(|| (0..count).map(read).collect())
    }

    /// Sets the first of them, as many as there are.
    pub(crate) fn set(&self, scope: Scope<'_>, numbers: impl Iterator<Item = f64>) {
        let Some((first, all)) = self.extent(scope) else {
            return;
        };
        for (index, number) in numbers.take(all).enumerate() {
            // SAFETY: so many numbers are there, and JavaScript has not run since that was asked.
            unsafe { first.wrapping_add(index).write(number) };
        }
    }

    /// Where they are and how many. What is no `Float64Array`, or not aligned, has none.
    fn extent(&self, scope: Scope<'_>) -> Option<(*mut f64, usize)> {
        let extent = scope.typed_array(self.0.get(scope)?)?;
        let first = extent.data.cast::<f64>();
        let fits = extent.kind == TypedarrayType::float64_array && first.is_aligned();
        fits.then_some((first, extent.length))
    }
}

/// A copy of bytes that other threads may be changing.
///
/// # Safety
/// `length` bytes are mapped at `data`.
unsafe fn copy_shared(data: *mut u8, length: usize) -> Vec<u8> {
    let mut copy = vec![0_u8; length];
    // SAFETY: so many bytes are mapped there, by the obligation. Other threads that share them write with atomics, as JavaScript and
    // `shared` do, or are machine code.
    unsafe { shared::load(data, &mut copy) };
    copy
}
