//! Placing bytes by hand: allocate, write, finalize or abandon, find, free. `life` hands over what JavaScript passes.

use crate::error::{Error, Failure, Result};
use crate::function;
use crate::handle::{self, CodeHandle, Writing};
use crate::load::{Load, Weight};
use crate::memory::{MemoryHandle, Opened, collecting};
use crate::node_api::{Scope, Value};
use crate::sections::{Section, Sections};
use crate::signed::Signed;
use crate::throw::OrThrow;
use crate::tools::Names;
use crate::views::{Held, Words};
use codeslab::{Address, InFlightAllocation, Layout, Protection, Request, Window};
use napi::Env;
use napi_derive::napi;
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// Numbers that describe one section: its protection's index, its size, its alignment, and for [`Content`] to say how its content comes.
pub(crate) const NUMBERS: usize = 4;

/// What a section shall hold from the start, if anything: what its last number says of that.
pub(crate) type Content<'a> = Result<Option<Cow<'a, [u8]>>, Failure>;

/// Places sections, and writes what is known of their content. `requests` has [`NUMBERS`] for each section, `windows` the first and last
/// address of each window. Runs no JavaScript, but `content`.
pub(crate) fn make<'a>(
    env: Env,
    memory: &MemoryHandle,
    load: &Rc<Load>,
    requests: &[f64],
    content: impl FnMut(f64) -> Content<'a>,
    windows: &[u64],
) -> Result<CodeHandle, Failure> {
    let opened = memory.open()?;
    let windows = self::windows(windows)?;
    let placed = place(env, &opened, requests, content, &windows)?;
    let weight = Weight::new(load, placed.bytes);
    Ok(CodeHandle::in_flight(
        placed.allocation,
        placed.sections,
        weight,
    ))
}

/// As [`make`], and publishes them: no content is to come.
pub(crate) fn publish<'a>(
    env: Env,
    memory: &MemoryHandle,
    load: &Rc<Load>,
    requests: &[f64],
    content: impl FnMut(f64) -> Content<'a>,
    windows: &[u64],
) -> Result<handle::Content, Failure> {
    let opened = memory.open()?;
    let windows = self::windows(windows)?;
    let placed = place(env, &opened, requests, content, &windows)?;
    // An error drops the allocation.
    let allocation = placed.allocation.finalize()?;
    Ok(handle::Content::published(
        allocation,
        placed.sections,
        load,
        placed.bytes,
    ))
}

/// Requests that are placed one by one and published together.
pub(crate) struct Batch {
    env: Env,
    opened: Arc<Opened>,
    windows: Vec<Window>,
    in_flight: Vec<InFlightAllocation>,
    sections: Vec<(Sections, u64)>,
}

impl Batch {
    /// Of nothing yet.
    pub(crate) fn new(env: Env, memory: &MemoryHandle, windows: &[u64]) -> Result<Self> {
        Ok(Self {
            env,
            opened: memory.open()?,
            windows: self::windows(windows)?,
            in_flight: Vec::new(),
            sections: Vec::new(),
        })
    }

    /// Places the sections of one request, and writes what is known of their content. Runs no JavaScript, but `content`.
    pub(crate) fn place<'a>(
        &mut self,
        requests: &[f64],
        content: impl FnMut(f64) -> Content<'a>,
    ) -> Result<(), Failure> {
        let placed = place(self.env, &self.opened, requests, content, &self.windows)?;
        self.in_flight.push(placed.allocation);
        self.sections.push((placed.sections, placed.bytes));
        Ok(())
    }

    /// Publishes all of them.
    pub(crate) fn publish(self, load: &Rc<Load>) -> Result<impl Iterator<Item = handle::Content>> {
        // An error drops all of them.
        let published = self.opened.memory.finalize_all(self.in_flight)?;
        let content = |(allocation, (sections, bytes))| {
            handle::Content::published(allocation, sections, load, bytes)
        };
        Ok(published.into_iter().zip(self.sections).map(content))
    }
}

/// What was placed just now.
struct Placed {
    allocation: InFlightAllocation,
    sections: Sections,
    /// The size of all sections.
    bytes: u64,
}

/// An error drops what was placed.
fn place<'a>(
    env: Env,
    opened: &Opened,
    requests: &[f64],
    mut content: impl FnMut(f64) -> Content<'a>,
    windows: &[Window],
) -> Result<Placed, Failure> {
    let (requests, _) = requests.as_chunks();
    let layout = layout(requests)?;
    let request = Request::new(&layout).within(windows);
    let mut allocation = collecting(env, || Ok(opened.memory.allocate(&request)?))?;
    for (id, [.., how]) in layout.ids().zip(requests) {
        if let Some(bytes) = content(*how)? {
            allocation.write(id, 0, &bytes)?;
        }
    }
    let sections = Sections::of(&layout, |id| allocation.address(id));
    Ok(Placed {
        allocation,
        sections,
        bytes: layout.sections().map(|section| section.size).sum(),
    })
}

fn layout(requests: &[[f64; NUMBERS]]) -> Result<Layout> {
    let mut layout = Layout::new();
    for [protection, size, align, _] in requests {
        let known = Protection::ALL.get(*protection as usize);
        let number = *protection as u64;
        let known = known.ok_or(Error::UnknownProtection { number })?;
        layout.add(*known, *size as u64, *align as u64)?;
    }
    Ok(layout)
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
    let Writing { allocation, names } = handle.take()?;
    // An error drops the allocation.
    let allocation = allocation.finalize();
    handle.publish(allocation.inspect_err(|_| handle.clear_weight())?, names);
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
        let mut names = Vec::with_capacity(batch.len());
        let in_flight = batch.iter().map(|handle| {
            let writing = handle.take()?;
            names.push(writing.names);
            Ok(writing.allocation)
        });
        let in_flight = in_flight.collect::<Result<Vec<_>>>()?;
        // An error drops all of them.
        let finalized = opened.memory.finalize_all(in_flight);
        let finalized =
            finalized.inspect_err(|_| batch.iter().for_each(|handle| handle.clear_weight()))?;
        Ok::<_, Error>(finalized.into_iter().zip(names))
    };
    for (handle, (allocation, names)) in batch.iter().zip(finalize().or_throw(env)?) {
        handle.publish(allocation, names);
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
    handle.take().or_throw(env)?.allocation.abandon();
    handle.clear_weight();
    Ok(())
}

/// Frees an allocation or image. Whether threads may have views of it.
pub(crate) fn free(handle: &CodeHandle) -> Result<bool> {
    if handle.free_placed() {
        handle.clear_weight();
        return Ok(false);
    }
    let published = handle.published()?;
    if !published.free() {
        return Err(Error::Freed(published.noun()));
    }
    published.leave();
    handle.clear_weight();
    Ok(published.is_viewed())
}

/// Whether an allocation or image was freed, by whichever thread.
#[napi]
pub fn is_freed(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<bool> {
    handle.is_freed().or_throw(env)
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
        assert!(layout(&[[2.0, 16.0, 16.0, 0.0]]).is_ok());
        let error = layout(&[[3.0, 16.0, 16.0, 0.0]]).unwrap_err();
        assert_eq!(error.code(), "INVALID_INDEX");
    }
}
