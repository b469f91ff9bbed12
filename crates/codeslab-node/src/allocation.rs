//! Placing bytes by hand: allocate, write, finalize or abandon, find, free.
#![allow(unsafe_code)] // It writes to an array of JavaScript's.

use crate::error::{Error, Result};
use crate::handle::{CodeHandle, Writing};
use crate::memory::MemoryHandle;
use crate::published::{Content, Published};
use crate::throw::OrThrow;
use codeslab::{Address, Layout, Protection, Request, SectionId, Window};
use napi::Env;
use napi::bindgen_prelude::{BigUint64ArraySlice, External, Uint8ArraySlice};
use napi_derive::napi;

/// Numbers that describe one section: its protection's index, its size and its alignment.
const NUMBERS: usize = 3;

/// Places sections, writes what is known of their content, and tells their addresses.
///
/// `contents` has the bytes of each section, or `null`; `windows` the first and last address of each window. `words` brings
/// three numbers for each section (the index of its protection, its size, its alignment) and takes one address for each
/// section back.
#[napi]
pub fn allocate(
    env: Env,
    handle: &External<MemoryHandle>,
    contents: Vec<Option<Uint8ArraySlice<'_>>>,
    windows: &[u64],
    mut words: BigUint64ArraySlice<'_>,
) -> napi::Result<External<CodeHandle>> {
    let opened = handle.open().or_throw(env)?;
    // SAFETY: this thread is the only one that has the section, and it is here, so no other code reads or writes it.
    let words = unsafe { words.as_mut() };
    let (layout, sections) = layout(words, contents.len()).or_throw(env)?;
    let windows = self::windows(windows).or_throw(env)?;
    let request = Request::new(&layout).within(&windows);
    let mut allocation = opened.memory.allocate(&request).or_throw(env)?;
    for (section, bytes) in sections.iter().zip(&contents) {
        if let Some(bytes) = bytes {
            allocation.write(*section, 0, bytes).or_throw(env)?;
        }
    }
    for (section, word) in sections.iter().zip(words) {
        *word = allocation.address(*section).value();
    }
    let writing = Writing {
        allocation,
        sections,
    };
    Ok(External::new(writing.into()))
}

fn layout(words: &[u64], count: usize) -> Result<(Layout, Vec<SectionId>)> {
    let mut layout = Layout::new();
    let (requests, _) = words.as_chunks::<NUMBERS>();
    let sections = requests
        .iter()
        .take(count)
        .map(|request| {
            let [protection, size, align] = *request;
            let known = usize::try_from(protection)
                .ok()
                .and_then(|index| Protection::ALL.get(index));
            let known = known.ok_or(Error::UnknownProtection { number: protection })?;
            Ok::<_, Error>(layout.add(*known, size, align)?)
        })
        .collect::<Result<_, _>>()?;
    Ok((layout, sections))
}

/// Windows from their ends. One that holds no address is refused: leaving it out would let the request lie anywhere.
fn windows(ends: &[u64]) -> Result<Vec<Window>> {
    let (pairs, _) = ends.as_chunks::<2>();
    let window = |&[first, last]: &[u64; 2]| {
        Window::new(Address::new(first), Address::new(last))
            .ok_or(Error::EmptyWindow { first, last })
    };
    pairs.iter().map(window).collect()
}

/// Copies bytes into a section.
#[napi]
pub fn write_section(
    env: Env,
    handle: &External<CodeHandle>,
    section: u32,
    offset: f64,
    bytes: &[u8],
) -> napi::Result<()> {
    let write = |writing: &mut Writing| {
        let section = writing.sections[section as usize];
        Ok(writing.allocation.write(section, offset as u64, bytes)?)
    };
    handle.write(write).or_throw(env)
}

/// Makes a section smaller.
#[napi]
pub fn shrink_section(
    env: Env,
    handle: &External<CodeHandle>,
    section: u32,
    size: f64,
) -> napi::Result<()> {
    let shrink = |writing: &mut Writing| {
        let section = writing.sections[section as usize];
        Ok(writing.allocation.shrink(section, size as u64)?)
    };
    handle.write(shrink).or_throw(env)
}

/// Publishes an allocation.
#[napi]
pub fn finalize(env: Env, handle: &External<CodeHandle>) -> napi::Result<()> {
    let allocation = handle.take().or_throw(env)?;
    let allocation = allocation.finalize().or_throw(env)?;
    handle.publish(Published::new(Content::Allocation(allocation)));
    Ok(())
}

/// Publishes allocations, all of them or none. One that is not in flight is refused before any is taken.
#[napi]
pub fn finalize_all(
    env: Env,
    memory: &External<MemoryHandle>,
    batch: Vec<&External<CodeHandle>>,
) -> napi::Result<()> {
    let finalize = || {
        let opened = memory.open()?;
        batch
            .iter()
            .try_for_each(|handle| handle.write(|_| Ok(())))?;
        let in_flight = batch.iter().map(|handle| handle.take());
        let in_flight = in_flight.collect::<Result<Vec<_>>>()?;
        Ok::<_, Error>(opened.memory.finalize_all(in_flight)?)
    };
    for (handle, allocation) in batch.iter().zip(finalize().or_throw(env)?) {
        handle.publish(Published::new(Content::Allocation(allocation)));
    }
    Ok(())
}

/// `in flight`, `finalized` or `abandoned`.
#[napi]
pub fn stage(handle: &External<CodeHandle>) -> &'static str {
    handle.stage()
}

/// Gives an allocation back unpublished.
#[napi]
pub fn abandon(env: Env, handle: &External<CodeHandle>) -> napi::Result<()> {
    handle.take().or_throw(env)?.abandon();
    Ok(())
}

/// Frees an allocation or image: no call begins any more, and the memory goes when no call is running.
#[napi]
pub fn free(env: Env, handle: &External<CodeHandle>) -> napi::Result<()> {
    let published = handle.published().or_throw(env)?;
    published
        .free()
        .then_some(())
        .ok_or(Error::Freed(published.noun()))
        .or_throw(env)
}

/// Whether an allocation or image was freed, by whichever thread.
#[napi]
pub fn is_freed(env: Env, handle: &External<CodeHandle>) -> napi::Result<bool> {
    Ok(handle.published().or_throw(env)?.is_freed())
}

/// What an address lies in; `false` if in nothing.
///
/// `words` brings the address, and takes back where what it lies in begins, its size, and the index of its protection.
#[napi]
pub fn find(
    env: Env,
    handle: &External<MemoryHandle>,
    mut words: BigUint64ArraySlice<'_>,
) -> napi::Result<bool> {
    let opened = handle.open().or_throw(env)?;
    // SAFETY: this thread is the only one that has the section, and it is here, so no other code reads or writes it.
    let words = unsafe { words.as_mut() };
    let address = words.first().copied().map(Address::new);
    let Some(found) = address.and_then(|address| opened.memory.find(address)) else {
        return Ok(false);
    };
    let protection = found.protection.index() as u64;
    let answer = [found.address.value(), found.size, protection];
    words
        .iter_mut()
        .zip(answer)
        .for_each(|(word, fact)| *word = fact);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_without_addresses_is_refused_and_does_not_widen_a_request() {
        let error = windows(&[0, 1 << 20, 2, 1]).unwrap_err();
        assert_eq!(error.code(), "CONFLICTING_WINDOWS");
        assert_eq!(windows(&[1, 1]).unwrap().len(), 1);
    }

    #[test]
    fn a_protection_that_there_is_not_is_refused_and_not_taken_for_another() {
        assert!(layout(&[2, 16, 16], 1).is_ok());
        let error = layout(&[3, 16, 16], 1).unwrap_err();
        assert_eq!(error.code(), "INVALID_INDEX");
    }
}
