//! Allocations, from the request to the end.
#![allow(unsafe_code, reason = "C passes arrays")]
#![allow(
    clippy::inline_always,
    reason = "allocations are moved into their slots and out of them once, if all of this is one function"
)]

use crate::argument::{array, array_mut, out};
use crate::failure::{Failure, Result, run};
use crate::finalizing::{finalize_all, insert_all};
use crate::memory::{codeslab_memory, codeslab_window};
use crate::object::{
    IN_FLIGHT, InFlight, Kind, Lifetime, MixedInFlight, Object, Placed, change, of_kind, read,
    take, take_all, take_in_flight, with, with_memory,
};
use crate::status::codeslab_status;
use crate::table::Filled;
use codeslab::{CodeMemory, InFlightAllocation, Layout, Protection, Request, SectionId, Window};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// An allocation in flight: writable, and not executable yet.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_in_flight {
    /// Not for anybody else.
    pub value: u64,
}

/// A published allocation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_allocation {
    /// Not for anybody else.
    pub value: u64,
}

/// Code: read and execute.
pub const CODESLAB_READ_EXECUTE: u32 = 0;
/// Constants: read.
pub const CODESLAB_READ_ONLY: u32 = 1;
/// Data: read and write. Zero at first.
pub const CODESLAB_READ_WRITE: u32 = 2;

/// Needed until the allocation is freed.
pub const CODESLAB_LIFETIME_STANDARD: u32 = 0;
/// Needed for finalization only: goes with `codeslab_end_finalization`. Within reach of everything else of the request.
pub const CODESLAB_LIFETIME_FINALIZE: u32 = 1;

/// A part of a request.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_section {
    /// In: how many bytes; may be 0.
    pub size: u64,
    /// In: their alignment, a power of two up to 4 MiB.
    pub align: u64,
    /// In: `CODESLAB_READ_EXECUTE`, `CODESLAB_READ_ONLY` or `CODESLAB_READ_WRITE`.
    pub protection: u32,
    /// In: `CODESLAB_LIFETIME_STANDARD` or `CODESLAB_LIFETIME_FINALIZE`.
    pub lifetime: u32,
    /// Out: where it will run or be read.
    pub address: u64,
    /// Out: where its bytes are written until it is finalized or abandoned. Data is zero; what else is there is not said, so write all
    /// of it.
    pub bytes: *mut c_void,
}

fn protection(number: u32) -> Result<Protection> {
    let one = Protection::ALL.get(number as usize).copied();
    one.ok_or_else(|| Failure::argument("protection", "one of the three CODESLAB_READ_ numbers"))
}

impl codeslab_section {
    /// Tells C where it is.
    #[inline(always)]
    fn describe(&mut self, part: &mut InFlightAllocation, id: SectionId) {
        let (address, bytes) = part.place_mut(id);
        self.address = address.value();
        self.bytes = bytes.as_mut_ptr().cast();
    }

    fn lifetime(&self) -> Result<Lifetime> {
        match self.lifetime {
            CODESLAB_LIFETIME_STANDARD => Ok(Lifetime::Standard),
            CODESLAB_LIFETIME_FINALIZE => Ok(Lifetime::Finalize),
            _ => Err(Failure::argument(
                "lifetime",
                "one of the CODESLAB_LIFETIME_ numbers",
            )),
        }
    }
}

/// A request, in the two parts that have lifetimes of their own.
#[derive(Default)]
struct Mixed {
    standard: Layout,
    temporary: Layout,
    sections: Vec<(Lifetime, SectionId)>,
}

impl Mixed {
    #[cold]
    fn of(sections: &[codeslab_section]) -> Result<Self> {
        let mut mixed = Self::default();
        for section in sections {
            let lifetime = section.lifetime()?;
            let layout = match lifetime {
                Lifetime::Standard => &mut mixed.standard,
                Lifetime::Finalize => &mut mixed.temporary,
            };
            let protection = protection(section.protection)?;
            let id = layout.add(protection, section.size, section.align)?;
            mixed.sections.push((lifetime, id));
        }
        Ok(mixed)
    }

    /// Both parts in one block, or neither.
    fn place(self, memory: &CodeMemory, windows: &[Window]) -> Result<InFlight> {
        let parts = [&self.standard, &self.temporary];
        let is_there = parts.map(|part| part.size() > 0);
        let there = parts.into_iter().filter(|part| part.size() > 0);
        let requests: Vec<_> = there
            .map(|part| Request::new(part).within(windows))
            .collect();
        let mut placed = memory.allocate_together(&requests)?.into_iter();
        let [standard, temporary] =
            is_there.map(|is_there| is_there.then(|| placed.next()).flatten());
        Ok(InFlight::Mixed(Box::new(MixedInFlight {
            standard,
            temporary,
            sections: self.sections,
        })))
    }
}

impl InFlight {
    /// The part that a section is in, and which it is there.
    fn section(&mut self, index: usize) -> Result<(&mut InFlightAllocation, SectionId)> {
        let unknown = || Failure::argument("section", "the number of a section of the request");
        match self {
            Self::Standard(part) => {
                let id = part.layout().id(index).ok_or_else(unknown)?;
                Ok((part, id))
            }
            Self::Mixed(parts) => {
                let (lifetime, id) = *parts.sections.get(index).ok_or_else(unknown)?;
                let part = match lifetime {
                    Lifetime::Standard => &mut parts.standard,
                    Lifetime::Finalize => &mut parts.temporary,
                };
                // All sections of a part are empty, so that there is no part.
                Ok((part.as_mut().ok_or_else(unknown)?, id))
            }
        }
    }

    /// Tells C where each section is.
    #[inline(always)]
    fn describe(&mut self, sections: &mut [codeslab_section]) {
        match self {
            Self::Standard(part) => {
                let ids = part.layout().ids();
                for (section, id) in sections.iter_mut().zip(ids) {
                    section.describe(part, id);
                }
            }
            Self::Mixed(_) => self.describe_mixed(sections),
        }
    }

    #[cold]
    fn describe_mixed(&mut self, sections: &mut [codeslab_section]) {
        for (index, section) in sections.iter_mut().enumerate() {
            if let Ok((part, id)) = self.section(index) {
                section.describe(part, id);
            } else {
                (section.address, section.bytes) = (0, ptr::null_mut());
            }
        }
    }
}

/// Places a request: all of its sections within reach of each other, and each byte of it in each of the windows; or nothing.
///
/// @param sections what is asked for; receives `address` and `bytes` of each
/// @param count    how many
/// @param windows  where all of it has to lie; may be null if there are none
/// @param in_flight receives the allocation
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_allocate(
    memory: codeslab_memory,
    sections: *mut codeslab_section,
    count: usize,
    windows: *const codeslab_window,
    window_count: usize,
    in_flight: Option<&mut MaybeUninit<codeslab_in_flight>>,
) -> codeslab_status {
    run(|| {
        let place = out(in_flight, "in_flight")?;
        // SAFETY: that it points to so many, which are the function's for the call, is the header's condition.
        let sections = unsafe { array_mut(sections, count, "sections") }?;
        // SAFETY: that it points to so many is the header's condition.
        let windows = unsafe { array(windows, window_count, "windows") }?;
        let value = match (sections, windows) {
            ([one], []) if one.lifetime == CODESLAB_LIFETIME_STANDARD => {
                allocate_one(memory.value, one)?
            }
            (sections, windows) => allocate(memory.value, sections, windows)?,
        };
        place.write(codeslab_in_flight { value });
        Ok(())
    })
}

/// What most requests are: one section, anywhere. No closure is between, so that all of it is one function:
#[inline(always)]
fn allocate_one(memory: u64, section: &mut codeslab_section) -> Result<u64> {
    let protection = protection(section.protection)?;
    let mut layout = Layout::new();
    layout.begin(protection, section.size, section.align)?;
    let request = Request::new(&layout);
    let reading = read(memory)?;
    let vacant = IN_FLIGHT.vacant()?;
    let in_flight = of_kind::<CodeMemory>(&reading)?.allocate(&request)?;
    let mut placed = vacant.fill(InFlight::Standard(in_flight));
    // A request for no bytes was refused, so there is a segment.
    if let Some(InFlight::Standard(part)) = placed.object()
        && let Some((address, bytes)) = part.segment_place_mut(protection)
    {
        section.address = address.value();
        section.bytes = bytes.as_mut_ptr().cast();
    }
    Ok(placed.publish())
}

/// Places any other request, says where, and gives its handle.
#[inline(never)]
fn allocate(
    memory: u64,
    sections: &mut [codeslab_section],
    windows: &[codeslab_window],
) -> Result<u64> {
    let windows: Result<Vec<_>> = windows.iter().map(|window| window.window()).collect();
    let windows = windows?;
    let mut layout = Layout::new();
    for section in sections.iter() {
        if section.lifetime != CODESLAB_LIFETIME_STANDARD {
            return allocate_mixed(memory, sections, &windows);
        }
        layout.add(protection(section.protection)?, section.size, section.align)?;
    }
    let request = Request::new(&layout).within(&windows);
    let placed = with_memory(memory, |memory| {
        let vacant = IN_FLIGHT.vacant()?;
        Ok(vacant.fill(InFlight::Standard(memory.allocate(&request)?)))
    })?;
    Ok(publish(placed, sections))
}

/// Says where the sections of a request are, and gives its handle.
#[inline(always)]
fn publish(mut placed: Filled<'_, InFlight, 1>, sections: &mut [codeslab_section]) -> u64 {
    if let Some(placed) = placed.object() {
        placed.describe(sections);
    }
    placed.publish()
}

#[cold]
fn allocate_mixed(
    memory: u64,
    sections: &mut [codeslab_section],
    windows: &[Window],
) -> Result<u64> {
    let mixed = Mixed::of(sections)?;
    let placed = with_memory(memory, |memory| {
        let vacant = IN_FLIGHT.vacant()?;
        Ok(vacant.fill(mixed.place(memory, windows)?))
    })?;
    Ok(publish(placed, sections))
}

/// Copies bytes into a section of an allocation in flight, `offset` bytes behind its start.
///
/// @param section its number in the request
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_write(
    in_flight: codeslab_in_flight,
    section: usize,
    offset: u64,
    bytes: *const c_void,
    size: usize,
) -> codeslab_status {
    run(|| {
        // SAFETY: that it points to so many bytes is the header's condition.
        let bytes = unsafe { array(bytes.cast::<u8>(), size, "bytes") }?;
        with_section(in_flight, section, |part, id| {
            Ok(part.write(id, offset, bytes)?)
        })
    })
}

/// Makes a section of an allocation in flight smaller. What is behind the last section of its protection is given back at once. Addresses
/// stay.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_shrink(
    in_flight: codeslab_in_flight,
    section: usize,
    size: u64,
) -> codeslab_status {
    run(|| with_section(in_flight, section, |part, id| Ok(part.shrink(id, size)?)))
}

fn with_section(
    handle: codeslab_in_flight,
    section: usize,
    use_it: impl FnOnce(&mut InFlightAllocation, SectionId) -> Result<()>,
) -> Result<()> {
    let mut changing = IN_FLIGHT.change(handle.value)?;
    let (part, id) = changing.object()?.section(section)?;
    use_it(part, id)
}

/// Says which block an allocation in flight lies in: everything there reaches everything else.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_block(
    in_flight: codeslab_in_flight,
    block: Option<&mut MaybeUninit<codeslab_window>>,
) -> codeslab_status {
    run(|| {
        let place = out(block, "block")?;
        let reading = IN_FLIGHT.read(in_flight.value)?;
        let placed = reading.object()?;
        let part = match placed {
            InFlight::Standard(part) => Some(part),
            InFlight::Mixed(parts) => parts.standard.as_ref().or(parts.temporary.as_ref()),
        };
        let window = part.map(InFlightAllocation::block);
        let window = window.ok_or_else(|| Failure::stale(in_flight.value))?;
        place.write(codeslab_window::of(window));
        Ok(())
    })
}

/// Publishes an allocation: code becomes executable, constants read-only, and every processor sees the bytes. The handle of the allocation
/// in flight is stale then, also if that fails: the allocation is abandoned then.
///
/// @param allocation receives the published allocation
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_finalize(
    in_flight: codeslab_in_flight,
    allocation: Option<&mut MaybeUninit<codeslab_allocation>>,
) -> codeslab_status {
    run(|| {
        let place = out(allocation, "allocation")?;
        let finalize = |in_flight: &mut Option<InFlight>| Some(in_flight.as_mut()?.finalize());
        let value = IN_FLIGHT.change(in_flight.value)?.take(finalize)??;
        place.write(codeslab_allocation { value });
        Ok(())
    })
}

/// Publishes many allocations at once, or none: what it takes to make all processors notice is done once. Their handles are stale then; if
/// one of them was so before, or occurs twice (CODESLAB_BUSY), all others stay as they are.
///
/// @param allocations receives the published allocations, in the order of `in_flight`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_finalize_many(
    memory: codeslab_memory,
    in_flight: *const codeslab_in_flight,
    count: usize,
    allocations: *mut codeslab_allocation,
) -> codeslab_status {
    run(|| {
        // SAFETY: that it points to so many is the header's condition.
        let handles = unsafe { array(in_flight, count, "in_flight") }?;
        // SAFETY: that it points to room for so many, which is the function's for the call, is the header's condition.
        let places = unsafe {
            array_mut(
                allocations.cast::<MaybeUninit<codeslab_allocation>>(),
                count,
                "allocations",
            )
        }?;
        let handles: Vec<u64> = handles.iter().map(|one| one.value).collect();
        let published = with_memory(memory.value, |memory| finalize_all(memory, &handles))?;
        let values = insert_all(published)?;
        for (place, value) in places.iter_mut().zip(values) {
            place.write(codeslab_allocation { value });
        }
        Ok(())
    })
}

/// Gives an allocation back unpublished.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_abandon(in_flight: codeslab_in_flight) -> codeslab_status {
    run(|| take_in_flight(in_flight.value).map(drop))
}

/// Frees the sections that were needed for finalization only. Does nothing if there are none, or none any more.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_end_finalization(allocation: codeslab_allocation) -> codeslab_status {
    run(|| {
        let mut changing = change(allocation.value)?;
        match changing.object()? {
            Object::Allocation(placed) => {
                if let Placed::Mixed(parts) = placed {
                    drop(parts.temporary.take());
                }
                Ok(())
            }
            _ => Err(Failure::stale(allocation.value)),
        }
    })
}

/// Says where the sections of one protection are that stay until the allocation is freed: all of them together. The size is 0 if there are
/// none.
///
/// @param address receives the address of the first byte
/// @param size    receives how many bytes there are, those included that fill it up to the next multiple of 16
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_segment(
    allocation: codeslab_allocation,
    protection: u32,
    address: Option<&mut MaybeUninit<u64>>,
    size: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        let (address, size) = (out(address, "address")?, out(size, "size")?);
        let protection = self::protection(protection)?;
        let segment = with(allocation.value, |placed: &Placed| {
            let standard = placed.standard();
            Ok(standard.and_then(|standard| standard.segment(protection)))
        })?;
        let (start, length) = segment.unwrap_or_default();
        address.write(start.value());
        size.write(length);
        Ok(())
    })
}

/// Frees an allocation. Nothing may execute it or refer to it any more.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_free(allocation: codeslab_allocation) -> codeslab_status {
    run(|| take::<Placed>(allocation.value).map(drop))
}

/// Frees many allocations, or none: if one handle is stale, or occurs twice (CODESLAB_BUSY), the others stay as they are. The fact `index` says which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_free_many(
    allocations: *const codeslab_allocation,
    count: usize,
) -> codeslab_status {
    run(|| {
        // SAFETY: that it points to so many is the header's condition.
        let handles = unsafe { array(allocations, count, "allocations") }?;
        let handles: Vec<u64> = handles.iter().map(|one| one.value).collect();
        let is_allocation = |object: &Object| Placed::of(object).is_some();
        take_all(&handles, change, is_allocation).map(drop)
    })
}
