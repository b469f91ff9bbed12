//! What handles are of.

use crate::failure::{Failure, Result};
use crate::table::{Changing, Reading, Table};
use codeslab::{Allocation, CodeMemory, Fact, InFlightAllocation, SectionId, Slot};
use codeslab_link::Image;
use std::sync::Arc;

/// Everything that a handle can be of.
pub(crate) enum Object {
    Memory(CodeMemory),
    Allocation(Placed),
    Image(Arc<Image>),
    Slot(Box<Slot>),
}

/// A request in flight.
pub(crate) enum InFlight {
    /// All of it stays until it is freed, as of most requests.
    Standard(InFlightAllocation),
    /// Some of it goes after finalization.
    Mixed(Box<MixedInFlight>),
}

/// A request in flight in two parts, of which one at least is there.
pub(crate) struct MixedInFlight {
    /// What stays until it is freed.
    pub(crate) standard: Option<InFlightAllocation>,
    /// What goes after finalization.
    pub(crate) temporary: Option<InFlightAllocation>,
    /// Where each section of the request is.
    pub(crate) sections: Vec<(Lifetime, SectionId)>,
}

/// How long a section is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Standard,
    Finalize,
}

/// A request that is published.
pub(crate) enum Placed {
    Standard(Allocation),
    Mixed(Box<MixedPlaced>),
}

/// A published request in two parts.
pub(crate) struct MixedPlaced {
    pub(crate) standard: Option<Allocation>,
    pub(crate) temporary: Option<Allocation>,
}

impl Placed {
    /// What stays until it is freed.
    pub(crate) fn standard(&self) -> Option<&Allocation> {
        match self {
            Self::Standard(one) => Some(one),
            Self::Mixed(parts) => parts.standard.as_ref(),
        }
    }
}

static OBJECTS: Table<Object> = Table::new(0);

/// Allocations in flight have a table of their own: they are larger, and few at a time.
pub(crate) static IN_FLIGHT: Table<InFlight> = Table::new(1);

/// Puts an object behind a handle.
#[inline]
pub(crate) fn insert(object: Object) -> Result<u64> {
    OBJECTS.insert(object)
}

/// Has `use_it` see the object of a handle, as `choose` knows it.
#[inline]
pub(crate) fn with<T, R>(
    handle: u64,
    choose: impl FnOnce(&Object) -> Option<&T>,
    use_it: impl FnOnce(&T) -> Result<R>,
) -> Result<R> {
    let reading: Reading<'_, Object> = OBJECTS.read(handle)?;
    let object = choose(reading.object()?);
    use_it(object.ok_or_else(|| Failure::stale(handle))?)
}

/// The object of a handle, which no other thread can use meanwhile.
#[inline]
pub(crate) fn change(handle: u64) -> Result<Changing<'static, Object>> {
    OBJECTS.change(handle)
}

/// Takes the object of a handle, which is stale from then on, if it is what `choose` knows.
#[inline]
pub(crate) fn take<T>(
    handle: u64,
    choose: fn(Object) -> std::result::Result<T, Object>,
) -> Result<T> {
    let mut changing = change(handle)?;
    let place = changing.object();
    let object = place.take().ok_or_else(|| Failure::stale(handle))?;
    choose(object).map_err(|other| {
        *place = Some(other);
        Failure::stale(handle)
    })
}

/// Takes an allocation in flight, whose handle is stale from then on.
#[inline]
pub(crate) fn take_in_flight(handle: u64) -> Result<InFlight> {
    let mut changing = IN_FLIGHT.change(handle)?;
    let taken = changing.object().take();
    taken.ok_or_else(|| Failure::stale(handle))
}

/// Takes all that `handles` name if they are what `is_right` knows, or none.
pub(crate) fn take_all<T: 'static>(
    handles: &[u64],
    change: impl Fn(u64) -> Result<Changing<'static, T>>,
    is_right: impl Fn(&T) -> bool,
) -> Result<Vec<T>> {
    let mut changing = Vec::with_capacity(handles.len());
    for (index, handle) in handles.iter().enumerate() {
        let at = |failure: Failure| failure.with("index", &Fact::Number(index as u64));
        let mut one = change(*handle).map_err(at)?;
        if !one.object().as_ref().is_some_and(&is_right) {
            return Err(at(Failure::stale(*handle)));
        }
        changing.push(one);
    }
    // From here on nothing fails: what is taken is taken from all.
    let taken = changing.iter_mut().filter_map(|one| one.object().take());
    Ok(taken.collect())
}

/// The memory of a handle.
#[inline]
pub(crate) fn with_memory<R>(
    handle: u64,
    use_it: impl FnOnce(&CodeMemory) -> Result<R>,
) -> Result<R> {
    with(handle, Object::as_memory, use_it)
}

impl Object {
    const fn as_memory(&self) -> Option<&CodeMemory> {
        match self {
            Self::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    pub(crate) const fn as_allocation(&self) -> Option<&Placed> {
        match self {
            Self::Allocation(placed) => Some(placed),
            _ => None,
        }
    }

    pub(crate) const fn as_image(&self) -> Option<&Arc<Image>> {
        match self {
            Self::Image(image) => Some(image),
            _ => None,
        }
    }

    pub(crate) fn as_slot(&self) -> Option<&Slot> {
        match self {
            Self::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    pub(crate) fn into_memory(self) -> std::result::Result<CodeMemory, Self> {
        match self {
            Self::Memory(memory) => Ok(memory),
            other => Err(other),
        }
    }

    pub(crate) fn into_allocation(self) -> std::result::Result<Placed, Self> {
        match self {
            Self::Allocation(placed) => Ok(placed),
            other => Err(other),
        }
    }

    pub(crate) fn into_image(self) -> std::result::Result<Arc<Image>, Self> {
        match self {
            Self::Image(image) => Ok(image),
            other => Err(other),
        }
    }

    pub(crate) fn into_slot(self) -> std::result::Result<Box<Slot>, Self> {
        match self {
            Self::Slot(slot) => Ok(slot),
            other => Err(other),
        }
    }
}
