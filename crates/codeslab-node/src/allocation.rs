//! Placing bytes by hand: allocate, write, finalize or abandon, free.
#![allow(unsafe_code)] // It writes to an array of JavaScript's.

use crate::error::{Error, Result};
use crate::memory::MemoryHandle;
use crate::published::{Content, Published};
use crate::throw::OrThrow;
use codeslab::{Address, InFlightAllocation, Layout, Protection, Request, SectionId, Window};
use napi::Env;
use napi::bindgen_prelude::{BigUint64ArraySlice, External, Uint8ArraySlice};
use napi_derive::napi;
use std::cell::RefCell;
use std::sync::Arc;

/// An allocation that one thread is writing.
pub struct InFlight {
    sections: Vec<SectionId>,
    stage: RefCell<Stage>,
}

enum Stage {
    Writing(Box<InFlightAllocation>),
    Finalized,
    Abandoned,
}

/// Numbers that describe one section: its protection's index, its size and its alignment.
const NUMBERS: usize = 3;

/// Places sections, writes what is known of their content, and tells their addresses.
///
/// `request` has three numbers for each section, `windows` the first and last address of each window, `contents` the bytes
/// of each section or `null`; `addresses` receives one address for each section.
#[napi]
pub fn allocate(
    env: Env,
    handle: &External<MemoryHandle>,
    request: &[f64],
    windows: &[u64],
    contents: Vec<Option<Uint8ArraySlice<'_>>>,
    mut addresses: BigUint64ArraySlice<'_>,
) -> napi::Result<External<InFlight>> {
    let opened = handle.open().or_throw(env)?;
    let (layout, sections) = layout(request).or_throw(env)?;
    let windows = self::windows(windows);
    let request = Request::new(&layout).within(&windows);
    let mut allocation = opened.memory.allocate(&request).or_throw(env)?;
    for (section, bytes) in sections.iter().zip(&contents) {
        if let Some(bytes) = bytes {
            allocation.write(*section, 0, bytes).or_throw(env)?;
        }
    }
    // SAFETY: nobody else reads or writes it: this thread is the only one that has it, and it is here.
    let addresses = unsafe { addresses.as_mut() };
    for (section, address) in sections.iter().zip(addresses) {
        *address = allocation.address(*section).value();
    }
    Ok(External::new(InFlight {
        sections,
        stage: RefCell::new(Stage::Writing(Box::new(allocation))),
    }))
}

fn layout(request: &[f64]) -> Result<(Layout, Vec<SectionId>)> {
    let mut layout = Layout::new();
    let sections = request
        .as_chunks::<NUMBERS>()
        .0
        .iter()
        .map(|&[protection, size, align]| {
            let protection = Protection::ALL[protection as usize % Protection::ALL.len()];
            layout.add(protection, size as u64, align as u64)
        })
        .collect::<Result<_, _>>()?;
    Ok((layout, sections))
}

fn windows(ends: &[u64]) -> Vec<Window> {
    let (pairs, _) = ends.as_chunks::<2>();
    let window = |&[first, last]: &[u64; 2]| Window::new(Address::new(first), Address::new(last));
    pairs.iter().filter_map(window).collect()
}

impl InFlight {
    fn writing<T>(
        &self,
        act: impl FnOnce(&mut InFlightAllocation, &[SectionId]) -> Result<T>,
    ) -> Result<T> {
        match &mut *self.stage.borrow_mut() {
            Stage::Writing(allocation) => act(allocation, &self.sections),
            Stage::Finalized => Err(Error::Finalized),
            Stage::Abandoned => Err(Error::Abandoned),
        }
    }

    /// Takes the allocation out, leaving `next` behind.
    fn leave(&self, next: Stage) -> Result<Box<InFlightAllocation>> {
        let mut stage = self.stage.borrow_mut();
        match std::mem::replace(&mut *stage, next) {
            Stage::Writing(allocation) => Ok(allocation),
            Stage::Finalized => {
                *stage = Stage::Finalized;
                Err(Error::Finalized)
            }
            Stage::Abandoned => {
                *stage = Stage::Abandoned;
                Err(Error::Abandoned)
            }
        }
    }
}

/// Copies bytes into a section.
#[napi]
pub fn write_section(
    env: Env,
    in_flight: &External<InFlight>,
    section: u32,
    offset: f64,
    bytes: &[u8],
) -> napi::Result<()> {
    let write = |allocation: &mut InFlightAllocation, sections: &[SectionId]| {
        Ok(allocation.write(sections[section as usize], offset as u64, bytes)?)
    };
    in_flight.writing(write).or_throw(env)
}

/// Publishes an allocation.
#[napi]
pub fn finalize(
    env: Env,
    in_flight: &External<InFlight>,
) -> napi::Result<External<Arc<Published>>> {
    // What cannot be published is abandoned, so that is what it is until it is published.
    let allocation = in_flight.leave(Stage::Abandoned).or_throw(env)?;
    let allocation = allocation.finalize().or_throw(env)?;
    *in_flight.stage.borrow_mut() = Stage::Finalized;
    let published = Published::new(Content::Allocation(allocation));
    Ok(External::new(Arc::new(published)))
}

/// Gives an allocation back unpublished.
#[napi]
pub fn abandon(env: Env, in_flight: &External<InFlight>) -> napi::Result<()> {
    let allocation = in_flight.leave(Stage::Abandoned).or_throw(env)?;
    allocation.abandon();
    Ok(())
}

/// Frees an allocation or image: no call begins any more, and the memory goes when no call is running.
#[napi]
pub fn free(env: Env, published: &External<Arc<Published>>) -> napi::Result<()> {
    published
        .free()
        .then_some(())
        .ok_or(Error::Freed(published.noun()))
        .or_throw(env)
}

/// Whether an allocation or image was freed, by whichever thread.
#[napi]
pub fn is_freed(published: &External<Arc<Published>>) -> bool {
    published.is_freed()
}
