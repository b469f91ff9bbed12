//! Placing bytes by hand: allocate, write, finalize or abandon, find, free. `life` hands over what JavaScript passes.

use crate::error::{Error, Failure, Result};
use crate::function;
use crate::handle::{CodeHandle, Section};
use crate::load::{Load, Weight};
use crate::memory::{MemoryHandle, Opened, collecting};
use crate::node_api::{Scope, Value};
use crate::signed::Signed;
use crate::throw::OrThrow;
use crate::tools::Names;
use crate::views::{Held, Words};
use codeslab::{Address, InFlightAllocation, Layout, Protection, Request, SectionId, Window};
use napi::Env;
use napi_derive::napi;
use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

/// Numbers that describe one section: its protection's index, its size and its alignment.
pub(crate) const NUMBERS: usize = 3;

/// What each section shall hold from the start, if anything.
pub(crate) type Contents<'a> = Vec<Option<Cow<'a, [u8]>>>;

/// Places sections, writes what is known of their content, and publishes them if that is all. `requests` has three numbers for each section,
/// `windows` the first and last address of each window. Runs no JavaScript.
pub(crate) fn make(
    env: Env,
    memory: &MemoryHandle,
    load: &Rc<Load>,
    requests: &[f64],
    contents: &Contents<'_>,
    windows: &[u64],
    publishes: bool,
) -> Result<CodeHandle> {
    let opened = memory.open()?;
    let (in_flight, sections) = place(env, &opened, requests, contents, windows)?;
    let bytes = sections.iter().map(|section| section.size.get()).sum();
    if !publishes {
        let weight = Weight::new(load, bytes);
        return Ok(CodeHandle::in_flight(in_flight, sections, weight));
    }
    // An error drops the allocation.
    let allocation = in_flight.finalize()?;
    Ok(CodeHandle::allocation(
        allocation,
        sections,
        Weight::new(load, bytes),
    ))
}

/// Runs no JavaScript.
fn place(
    env: Env,
    opened: &Opened,
    requests: &[f64],
    contents: &Contents<'_>,
    windows: &[u64],
) -> Result<(InFlightAllocation, Box<[Section]>)> {
    let (layout, ids) = layout(requests)?;
    let windows = self::windows(windows)?;
    let request = Request::new(&layout).within(&windows);
    let mut allocation = collecting(env, || Ok(opened.memory.allocate(&request)?))?;
    for (id, bytes) in ids.iter().zip(contents) {
        if let Some(bytes) = bytes {
            allocation.write(*id, 0, bytes)?;
        }
    }
    let section = |id: &SectionId| {
        let section = layout.section(*id);
        Section {
            id: *id,
            address: allocation.address(*id),
            protection: section.protection,
            size: Cell::new(section.size),
        }
    };
    let sections = ids.iter().map(section).collect();
    Ok((allocation, sections))
}

fn layout(requests: &[f64]) -> Result<(Layout, Vec<SectionId>)> {
    let mut layout = Layout::new();
    let (requests, _) = requests.as_chunks::<NUMBERS>();
    let sections = requests.iter().map(|[protection, size, align]| {
        let known = Protection::ALL.get(*protection as usize);
        let number = *protection as u64;
        let known = known.ok_or(Error::UnknownProtection { number })?;
        Ok::<_, Error>(layout.add(*known, *size as u64, *align as u64)?)
    });
    let sections = sections.collect::<Result<_, _>>()?;
    Ok((layout, sections))
}

/// Windows from their ends. One that holds no address is refused: leaving it out would let the request lie anywhere.
pub(crate) fn windows(ends: &[u64]) -> Result<Vec<Window>> {
    let (pairs, _) = ends.as_chunks::<2>();
    let window = |(index, &[first, last]): (usize, &[u64; 2])| {
        Window::new(Address::new(first), Address::new(last))
            .ok_or(Error::EmptyWindow { index, last })
    };
    pairs.iter().enumerate().map(window).collect()
}

/// Gives the one section of an allocation in flight a name for debuggers and profilers, and for lookups if it `is_given`.
#[napi]
pub fn name_section(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] memory: Held<MemoryHandle>,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    name: String,
    is_given: bool,
) -> napi::Result<()> {
    name_sections(env, memory, handle, vec![name], is_given)
}

/// Gives the sections of an allocation in flight names for debuggers and profilers, and for lookups if they `are_given`.
#[napi]
pub fn name_sections(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] memory: Held<MemoryHandle>,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    names: Vec<String>,
    are_given: bool,
) -> napi::Result<()> {
    let opened = memory.open().or_throw(env)?;
    handle.set_names(Names::new(&opened.tools, names, are_given));
    Ok(())
}

/// Copies bytes into a section. Runs no JavaScript.
pub(crate) fn write_bytes(
    handle: &CodeHandle,
    section: u32,
    offset: f64,
    bytes: &[u8],
) -> Result<()> {
    handle.write(|_| Ok(()))?;
    let section = handle.section(section)?;
    if offset < 0.0 {
        return Err(outside(section, offset));
    }
    handle.write(|allocation| Ok(allocation.write(section.id, offset as u64, bytes)?))
}

/// Makes a section smaller.
#[napi]
pub fn shrink_section(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    section: u32,
    size: f64,
) -> napi::Result<()> {
    let shrink = || {
        handle.write(|_| Ok(()))?;
        let section = handle.section(section)?;
        handle.write(|allocation| Ok(allocation.shrink(section.id, size as u64)?))?;
        section.size.set(size as u64);
        Ok::<_, Error>(())
    };
    shrink().or_throw(env)
}

/// Publishes an allocation.
pub(crate) fn finalize(handle: &CodeHandle) -> Result<()> {
    let in_flight = handle.take()?;
    // An error drops the allocation.
    let allocation = in_flight.finalize();
    handle.publish(allocation.inspect_err(|_| handle.weight().clear())?);
    Ok(())
}

/// Publishes allocations, all of them or none. One that is not in flight is refused before any is taken.
#[napi]
pub fn finalize_all(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] memory: Held<MemoryHandle>,
    #[napi(ts_arg_type = "Array<number>")] batch: Vec<Held<CodeHandle>>,
) -> napi::Result<()> {
    let finalize = || {
        let opened = memory.open()?;
        batch
            .iter()
            .try_for_each(|handle| handle.write(|_| Ok(())))?;
        let in_flight = batch.iter().map(|handle| handle.take());
        let in_flight = in_flight.collect::<Result<Vec<_>>>()?;
        // An error drops all of them.
        let finalized = opened.memory.finalize_all(in_flight);
        finalized
            .inspect_err(|_| batch.iter().for_each(|handle| handle.weight().clear()))
            .map_err(Error::from)
    };
    for (handle, allocation) in batch.iter().zip(finalize().or_throw(env)?) {
        handle.publish(allocation);
    }
    Ok(())
}

/// `in flight`, `finalized` or `abandoned`.
#[napi]
pub fn stage(#[napi(ts_arg_type = "number")] handle: Held<CodeHandle>) -> &'static str {
    handle.stage()
}

/// Gives an allocation back unpublished.
#[napi]
pub fn abandon(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<()> {
    handle.take().or_throw(env)?.abandon();
    handle.weight().clear();
    Ok(())
}

/// Frees an allocation or image. Whether threads may have views of it.
pub(crate) fn free(handle: &CodeHandle) -> Result<bool> {
    let published = handle.published()?;
    if !published.free() {
        return Err(Error::Freed(published.noun()));
    }
    published.leave();
    handle.weight().clear();
    Ok(published.is_viewed())
}

/// Whether an allocation or image was freed, by whichever thread.
#[napi]
pub fn is_freed(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<bool> {
    Ok(handle.published().or_throw(env)?.is_freed())
}

/// A JavaScript function that calls the code in a section, at an offset. `name` is what errors call the section.
pub(crate) fn function<'a>(
    scope: Scope<'a>,
    handle: &CodeHandle,
    section: u32,
    name: String,
    offset: f64,
    signed: &Rc<Signed>,
) -> Result<Value<'a>, Failure> {
    let target = callable(handle, section, &name, offset)?;
    let made = function::make(scope, handle, name, target, signed)?;
    made.ok_or(Failure::Thrown)
}

/// Where the code of a section is.
fn callable(handle: &CodeHandle, section: u32, name: &str, offset: f64) -> Result<Address> {
    let section = handle.section(section)?;
    if section.protection != Protection::ReadExecute {
        return Err(Error::SectionNotExecutable {
            section: name.to_owned(),
            protection: section.protection.name(),
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "no section is that large")]
    let size = section.size.get() as f64;
    if !(0.0 <= offset && offset < size) {
        return Err(outside(section, offset));
    }
    let published = handle.published()?;
    if published.is_freed() {
        return Err(Error::Freed(published.noun()));
    }
    published.watch();
    published.name(section.address, section.size.get(), name);
    Ok(Address::new(section.address.value() + offset as u64))
}

fn outside(section: &Section, offset: f64) -> Error {
    let size = section.size.get();
    Error::OutsideSection {
        offset: offset as i128,
        size,
    }
}

/// What an address lies in; `false` if in nothing.
///
/// `words` brings the address, and takes back where what it lies in begins, its size, and the index of its protection: making
/// a name of that would take twice as long.
#[napi]
pub fn find(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] handle: Held<MemoryHandle>,
    #[napi(ts_arg_type = "BigUint64Array")] words: Words<'_>,
) -> napi::Result<bool> {
    let opened = handle.open().or_throw(env)?;
    let scope = Scope::of(&env);
    let address = words.read(scope, 1)?.first().copied().map(Address::new);
    let Some(found) = address.and_then(|address| opened.memory.find(address)) else {
        return Ok(false);
    };
    let protection = found.protection.index() as u64;
    words.write(scope, &[found.address.value(), found.size, protection]);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_without_addresses_is_refused_and_does_not_widen_a_request() {
        let error = windows(&[0, 1 << 20, 2, 1]).unwrap_err();
        assert_eq!(error.code(), "OUT_OF_RANGE");
        assert_eq!(windows(&[1, 1]).unwrap().len(), 1);
    }

    #[test]
    fn a_protection_that_there_is_not_is_refused_and_not_taken_for_another() {
        assert!(layout(&[2.0, 16.0, 16.0]).is_ok());
        let error = layout(&[3.0, 16.0, 16.0]).unwrap_err();
        assert_eq!(error.code(), "INVALID_INDEX");
    }
}
