//! What handles are of.
#![allow(
    clippy::inline_always,
    reason = "objects are moved into their slots and out of them once, if all of this is one function"
)]

use crate::failure::{Failure, Result};
use crate::table::{Changing, Reading, Table, Vacant};
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

static OBJECTS: Table<Object, 0> = Table::new();

/// Allocations in flight have a table of their own: they are larger, and few at a time.
pub(crate) static IN_FLIGHT: Table<InFlight, 1> = Table::new();

/// Puts an object behind a handle.
#[inline(always)]
pub(crate) fn insert(object: Object) -> Result<u64> {
    OBJECTS.insert(object)
}

/// A slot for an object.
#[inline(always)]
pub(crate) fn vacant() -> Result<Vacant<'static, Object, 0>> {
    OBJECTS.vacant()
}

/// What a handle can be of, each by its type.
pub(crate) trait Kind: Sized {
    /// The object, if it is of this kind.
    fn of(object: &Object) -> Option<&Self>;

    /// Takes the object, if it is of this kind.
    fn take_from(place: &mut Option<Object>) -> Option<Self>;
}

/// Shared use of what a handle is of.
#[inline(always)]
pub(crate) fn read(handle: u64) -> Result<Reading<'static, Object>> {
    OBJECTS.read(handle)
}

/// What is being read, if it is of this kind.
#[inline(always)]
pub(crate) fn of_kind<'a, T: Kind>(reading: &'a Reading<'static, Object>) -> Result<&'a T> {
    T::of(reading.object()?).ok_or_else(|| reading.stale())
}

/// Has `use_it` see the object of a handle.
#[inline(always)]
pub(crate) fn with<T: Kind, R>(handle: u64, use_it: impl FnOnce(&T) -> Result<R>) -> Result<R> {
    use_it(of_kind(&read(handle)?)?)
}

/// The object of a handle, which no other thread can use meanwhile.
#[inline(always)]
pub(crate) fn change(handle: u64) -> Result<Changing<'static, Object, 0>> {
    OBJECTS.change(handle)
}

/// Takes the object of a handle, which is stale from then on, if it is of that kind.
#[inline(always)]
pub(crate) fn take<T: Kind>(handle: u64) -> Result<T> {
    change(handle)?.take(T::take_from)
}

/// Takes an allocation in flight, whose handle is stale from then on.
#[inline(always)]
pub(crate) fn take_in_flight(handle: u64) -> Result<InFlight> {
    IN_FLIGHT.change(handle)?.take(Option::take)
}

/// Takes all that `handles` name if they are what `is_right` knows, or none.
pub(crate) fn take_all<T: 'static, const TABLE: usize>(
    handles: &[u64],
    change: impl Fn(u64) -> Result<Changing<'static, T, TABLE>>,
    is_right: impl Fn(&T) -> bool,
) -> Result<Vec<T>> {
    let mut changing = Vec::with_capacity(handles.len());
    for (index, handle) in handles.iter().enumerate() {
        let at = |failure: Failure| failure.with("index", &Fact::Number(index as u64));
        let mut one = change(*handle).map_err(at)?;
        if !is_right(one.object().map_err(at)?) {
            return Err(at(Failure::stale(*handle)));
        }
        changing.push(one);
    }
    // From here on nothing fails: what is taken is taken from all.
    let taken = changing.into_iter().map(|one| one.take(Option::take));
    taken.collect()
}

/// Has `use_it` see the memory of a handle.
#[inline(always)]
pub(crate) fn with_memory<R>(
    handle: u64,
    use_it: impl FnOnce(&CodeMemory) -> Result<R>,
) -> Result<R> {
    with(handle, use_it)
}

macro_rules! kinds {
    ($($variant:ident: $kind:ty,)*) => {$(
        impl Kind for $kind {
            #[inline(always)]
            fn of(object: &Object) -> Option<&Self> {
                match object {
                    Object::$variant(one) => Some(one),
                    _ => None,
                }
            }

            #[inline(always)]
            fn take_from(place: &mut Option<Object>) -> Option<Self> {
                match place.take() {
                    Some(Object::$variant(one)) => Some(one),
                    other => {
                        *place = other;
                        None
                    }
                }
            }
        }
    )*};
}

kinds! {
    Memory: CodeMemory,
    Allocation: Placed,
    Image: Arc<Image>,
    Slot: Box<Slot>,
}
