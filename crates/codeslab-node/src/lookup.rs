//! What an address is, by name: a function or variable of an image, code that was placed under a name, or a symbol of the process.
//!
//! A memory knows which span an address lies in (`CodeMemory::find`) and no names. Images know theirs; of what is placed by hand a name is
//! known once it was given one, or a function was made of it; `places` has both by address. For the rest of the process the dynamic linker is
//! asked.

use crate::enums::NativeProtection;
use crate::memory::{self, MemoryHandle, count};
use crate::places::Part;
use crate::published::{Content, Published};
use crate::throw::OrThrow;
use crate::views::Held;
use codeslab::{Address, Found, Protection};
use napi::Env;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;

/// What an address is.
#[napi(object, object_from_js = false)]
pub struct NativeLocation {
    #[napi(ts_type = "'image' | 'placed' | 'process'")]
    pub origin: &'static str,
    pub name: Option<String>,
    pub object: Option<String>,
    pub address: BigInt,
    pub offset: f64,
    pub size: Option<f64>,
    pub protection: Option<NativeProtection>,
}

impl NativeLocation {
    fn new(origin: &'static str, start: Address, address: Address) -> Self {
        Self {
            origin,
            name: None,
            object: None,
            address: start.value().into(),
            offset: count(address.value().wrapping_sub(start.value())),
            size: None,
            protection: None,
        }
    }

    /// What is published there, if that was entered.
    fn of_published(address: Address) -> Option<Self> {
        let published = Published::entered_at(address)?;
        let Part { start, size, name } = published.entered.part(address)?;
        let found = published.read(|owned| {
            let memory = owned.content.memory()?;
            let protection = protection_of(memory, address)?;
            let origin = match owned.content {
                Content::Image(_) => "image",
                _ => "placed",
            };
            let location = Self {
                name: name.map(Into::into),
                size: Some(count(size)),
                protection: Some(protection.into()),
                ..Self::new(origin, start, address)
            };
            Some(match &owned.content {
                Content::Image(image) => location.with_symbol(image, address),
                _ => location,
            })
        });
        found.flatten()
    }

    /// The same, with the symbol of an image, if there is one.
    fn with_symbol(self, image: &codeslab_link::Image, address: Address) -> Self {
        let Some(symbol) = image.locate(address) else {
            return self;
        };
        Self {
            name: Some(symbol.name),
            object: Some(symbol.object.to_string()),
            size: Some(count(symbol.size)),
            protection: self.protection,
            ..Self::new(self.origin, symbol.address, address)
        }
    }

    /// What has no name.
    fn of_span(found: Found, address: Address) -> Self {
        Self {
            size: Some(count(found.size)),
            protection: Some(found.protection.into()),
            ..Self::new("placed", found.address, address)
        }
    }

    /// What lies in the executable or in a library.
    fn of_process(address: Address) -> Option<Self> {
        let found = codeslab_runtime::process_location(address)?;
        Some(Self {
            name: found.name,
            object: Some(found.object),
            ..Self::new("process", found.address, address)
        })
    }
}

fn protection_of(memory: &codeslab::Allocation, address: Address) -> Option<Protection> {
    Protection::ALL.into_iter().find(|protection| {
        let segment = memory.segment(*protection);
        segment.is_some_and(|(start, size)| {
            let offset = address.value().checked_sub(start.value());
            offset.is_some_and(|offset| offset < size)
        })
    })
}

/// What an address is: in one memory, or without one in all of this process.
#[napi]
pub fn lookup(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle> | undefined")] handle: Option<
        Held<MemoryHandle>,
    >,
    address: BigInt,
) -> napi::Result<Option<NativeLocation>> {
    let address = Address::new(address.get_u64().1);
    let span = match &handle {
        Some(handle) => {
            let opened = handle.open().or_throw(env)?;
            let Some(found) = opened.memory.find(address) else {
                return Ok(None);
            };
            Some(found)
        }
        None => None,
    };
    if let Some(location) = NativeLocation::of_published(address) {
        return Ok(Some(location));
    }
    let span = span.or_else(|| memory::find_in_all(address));
    let placed = span.map(|found| NativeLocation::of_span(found, address));
    Ok(placed.or_else(|| NativeLocation::of_process(address)))
}

/// What to call the code at an address: `name`, or `name+0x10` within it.
pub(crate) fn label(address: Address) -> Option<String> {
    let location = NativeLocation::of_published(address);
    let location = location.or_else(|| NativeLocation::of_process(address))?;
    let name = location.name?;
    Some(match location.offset as u64 {
        0 => name,
        offset => format!("{name}+{offset:#x}"),
    })
}
