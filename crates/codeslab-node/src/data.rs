//! Published data that JavaScript reads and writes: a section of an allocation, or a symbol of an image.
//!
//! A [`Region`] is what native code knows of it: where it is and whether it may be written; what JavaScript says of that is not asked.
//! Copies enter the code as calls do, so that freeing waits for them. `shared` moves the bytes, which machine code and other threads may
//! be using; `live` makes views of them.
#![allow(unsafe_code)] // It reads and writes published memory.

use crate::environment::hold;
use crate::error::{Error, Result};
use crate::handle::CodeHandle;
use crate::image;
use crate::load::Weight;
use crate::node_api::Scope;
use crate::published::{Content, Published};
use crate::shared;
use crate::throw::OrThrow;
use crate::views::{Bytes, Held, Words};
use codeslab::{Address, Protection};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of published data.
#[derive(Debug)]
pub struct Region {
    code: Arc<Published>,
    /// What errors call it.
    name: String,
    // Invariant: it lies in a segment of `code` that has this protection and is not code.
    address: Address,
    size: u64,
    protection: Protection,
    /// That of the code, which V8 shall count for as long as it is kept.
    #[expect(dead_code, reason = "dropping it takes the weight away")]
    weight: Rc<Weight>,
}

/// Where a region shall be.
struct Place {
    name: String,
    address: Address,
    /// 0 where that is not known: it goes on to the end of its segment then.
    size: u64,
    /// `None` for an absolute symbol.
    protection: Option<Protection>,
}

impl Region {
    fn new(handle: &CodeHandle, place: Place) -> Result<Self> {
        let code = handle.published()?;
        let content = code.keep().ok_or(Error::Freed(code.noun()))?;
        let protection = place
            .protection
            .filter(|one| *one != Protection::ReadExecute);
        let Some(protection) = protection else {
            return Err(Error::NotData {
                name: place.name,
                protection: place.protection.map(Protection::name),
            });
        };
        // A symbol may say of itself that it lies elsewhere, or goes on for longer.
        let memory = content.memory();
        let segment = memory.and_then(|memory| memory.segment(protection));
        let (start, length) = segment.unwrap_or_default();
        let offset = place.address.value().wrapping_sub(start.value());
        let left = length.saturating_sub(offset);
        if left < place.size.max(1) {
            return Err(Error::OutsideData {
                name: place.name,
                offset: offset.into(),
                length: place.size,
                size: length,
            });
        }
        Ok(Self {
            code,
            name: place.name,
            address: place.address,
            size: if place.size == 0 { left } else { place.size },
            protection,
            weight: handle.weight(),
        })
    }

    /// The code that it belongs to.
    pub(crate) fn code(&self) -> &Arc<Published> {
        &self.code
    }

    /// Where it begins, and its size.
    pub(crate) fn extent(&self) -> (Address, u64) {
        (self.address, self.size)
    }

    /// What keeps its memory while a view of it lives. From now on freeing tells the views.
    pub(crate) fn lend(&self) -> Result<Content> {
        self.check_writable()?;
        self.code.note_view();
        self.code.keep().ok_or(Error::Freed(self.code.noun()))
    }

    /// Refuses what is constant.
    fn check_writable(&self) -> Result<()> {
        if self.protection == Protection::ReadWrite {
            return Ok(());
        }
        Err(Error::NotWritable {
            name: self.name.clone(),
            protection: self.protection.name(),
        })
    }

    /// Where `length` bytes at an offset are.
    fn at(&self, offset: f64, length: usize) -> Result<*mut u8> {
        let is_whole = offset >= 0.0 && offset.fract() == 0.0;
        let end = (offset as u64).checked_add(length as u64);
        if !is_whole || end.is_none_or(|end| end > self.size) {
            return Err(Error::OutsideData {
                name: self.name.clone(),
                offset: offset as i128,
                length: length as u64,
                size: self.size,
            });
        }
        let address = self.address.value() + offset as u64;
        Ok(std::ptr::with_exposed_provenance_mut(address as usize))
    }

    /// A copy of its bytes at an offset.
    fn read(&self, offset: f64, length: usize) -> Result<Vec<u8>> {
        let from = self.at(offset, length)?;
        let mut copy = vec![0; length];
        let _running = self.code.enter().ok_or(Error::Freed(self.code.noun()))?;
        // SAFETY: the bytes lie in the region, which is published and readable by its invariant, and which is not freed while
        // `_running` lives. Other threads of ours use these functions for it, or are JavaScript or machine code.
        unsafe { shared::load(from, &mut copy) };
        Ok(copy)
    }

    /// Copies bytes to an offset. They lie elsewhere.
    fn write(&self, offset: f64, bytes: &[u8]) -> Result<()> {
        self.check_writable()?;
        let to = self.at(offset, bytes.len())?;
        let _running = self.code.enter().ok_or(Error::Freed(self.code.noun()))?;
        // SAFETY: the bytes lie in the region, which is published and, as was checked, writable, and which is not freed while
        // `_running` lives; no reference of ours to them exists, so `bytes` lie elsewhere. Other threads of ours use these
        // functions for it, or are JavaScript or machine code.
        unsafe { shared::store(to, bytes) };
        Ok(())
    }
}

/// The data of a section. `name` is what errors call it.
#[napi(ts_return_type = "ExternalObject<Region>")]
pub fn section_data(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    section: u32,
    name: String,
) -> napi::Result<Unknown<'static>> {
    let region = || {
        let section = handle.section(section)?;
        let place = Place {
            name: format!("section {name}"),
            address: section.address,
            size: section.size.get(),
            protection: Some(section.protection),
        };
        Region::new(&handle, place)
    };
    hold(env, region().or_throw(env)?)
}

/// The data of a symbol. `words` takes its address and its size back.
#[napi(ts_return_type = "ExternalObject<Region>")]
pub fn image_data(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    name: String,
    #[napi(ts_arg_type = "BigUint64Array")] words: Words<'_>,
) -> napi::Result<Unknown<'static>> {
    let region = || {
        let image = handle.published()?;
        let symbol = image::find(&image, &name)?;
        let place = Place {
            name: format!("symbol {name}"),
            address: symbol.address,
            size: symbol.size,
            protection: symbol.protection,
        };
        Region::new(&handle, place)
    };
    let region = region().or_throw(env)?;
    words.write(Scope::of(&env), &[region.address.value(), region.size]);
    hold(env, region)
}

/// Copies data at an offset into all of `into`.
#[napi]
pub fn read_data(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<Region>")] region: Held<Region>,
    offset: f64,
    #[napi(ts_arg_type = "Uint8Array")] into: Bytes<'_>,
) -> napi::Result<()> {
    let scope = Scope::of(&env);
    let copy = region.read(offset, into.length(scope)?).or_throw(env)?;
    into.fill(scope, &copy);
    Ok(())
}

/// Copies bytes to data at an offset.
#[napi]
pub fn write_data(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<Region>")] region: Held<Region>,
    offset: f64,
    #[napi(ts_arg_type = "Uint8Array")] bytes: Bytes<'_>,
) -> napi::Result<()> {
    // SAFETY: `write` runs no JavaScript, and it is the last that uses the bytes.
    let bytes = unsafe { bytes.get(Scope::of(&env)) }?;
    let written = region.write(offset, &bytes);
    drop(bytes);
    written.or_throw(env)
}
