//! Slots: entries for callers of every kind, whose code JavaScript replaces while threads run it.
//!
//! What a slot leads to is found by its address, if it is code of ours that something can call, and kept: freeing it takes effect once
//! the slot leads elsewhere and no call can be there any more. `grace` knows when that is; JavaScript polls it and waits for it by
//! [`synchronize`].

use crate::allocation::windows;
use crate::environment::{self, hold};
use crate::error::{Error, Result};
use crate::grace::{self, Completion};
use crate::handle::CodeHandle;
use crate::load::Weight;
use crate::memory::{MemoryHandle, collecting};
use crate::node_api::Scope;
use crate::published::{Content, Entry, Published};
use crate::registry::{self, Token};
use crate::sections::{Section, Sections};
use crate::throw::OrThrow;
use crate::views::{Held, Words};
use codeslab::{Address, Layout, Protection, Slot};
use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi_derive::napi;
use std::cell::Cell;
use std::sync::Arc;

/// What errors call it.
const NOUN: &str = "slot";

/// Has the code of an allocation, image or slot be found by its address, for a slot that shall lead to it.
#[napi]
pub fn watch_code(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<()> {
    handle.published().or_throw(env)?.watch();
    Ok(())
}

/// The number of a slot that leads to `target`. `windows` has the first and last address of each window in which it shall lie.
#[napi]
pub fn make_slot(
    env: Env,
    #[napi(ts_arg_type = "object")] keeper: Unknown<'_>,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] memory: Held<MemoryHandle>,
    target: BigInt,
    #[napi(ts_arg_type = "BigUint64Array")] ends: Words<'_>,
) -> napi::Result<u32> {
    let ends = ends.read(Scope::of(&env), usize::MAX)?;
    let target = Address::new(target.get_u64().1);
    let make = || {
        let opened = memory.open()?;
        let (windows, kept) = (windows(&ends)?, kept_for(target)?);
        let slot = collecting(env, || Ok(Slot::new(&opened.memory, target, &windows)?))?;
        Ok::<_, Error>(Published::new(
            Content::slot(Entry::new(slot, kept)),
            Vec::new(),
        ))
    };
    hold_slot(env, &keeper, Arc::new(make().or_throw(env)?))
}

/// What keeps the code at an address; `None` if that is not ours.
pub(crate) fn kept_for(target: Address) -> Result<Option<Content>> {
    let Some(code) = Published::at(target) else {
        return Ok(None);
    };
    let kept = code.keep().ok_or(Error::Freed(code.noun()))?;
    Ok(Some(kept))
}

/// A handle to a slot, with its code as its only section.
fn hold_slot(env: Env, keeper: &Unknown<'_>, slot: Arc<Published>) -> napi::Result<u32> {
    slot.watch();
    let handle = || {
        let (address, size) = read(&slot, |entry| {
            let code = entry.slot().allocation().segment(Protection::ReadExecute);
            code.unwrap_or_default()
        })?;
        let section = Section {
            id: Layout::new().add(Protection::ReadExecute, size, 1)?,
            address,
            protection: Protection::ReadExecute,
            size: Cell::new(size),
        };
        let weight = Weight::new(
            environment::handles(env).map_err(|_| Error::Closed)?.load(),
            size,
        );
        Ok::<_, Error>(CodeHandle::opened(
            Arc::clone(&slot),
            Sections::listed(Box::new([section])),
            weight,
        ))
    };
    environment::number(env, keeper, handle().or_throw(env)?)
}

fn read<T>(slot: &Published, look: impl FnOnce(&Entry) -> T) -> Result<T> {
    let found = slot.read(|owned| match &owned.content {
        Content::Slot(entry) => Some(look(entry)),
        _ => None,
    });
    found.flatten().ok_or(Error::Freed(slot.noun()))
}

/// Where a slot is, and where it leads: two words.
#[napi]
pub fn look_at_slot(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    #[napi(ts_arg_type = "BigUint64Array")] words: Words<'_>,
) -> napi::Result<()> {
    let look = || {
        let slot = handle.published()?;
        read(&slot, |entry| {
            [entry.slot().address(), entry.slot().target()]
        })
    };
    let found = look().or_throw(env)?;
    words.write(Scope::of(&env), &found.map(Address::value));
    Ok(())
}

/// Has a slot lead to `target`. Whether something waits for the end of a grace period then.
#[napi]
pub fn replace_slot(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    target: BigInt,
) -> napi::Result<bool> {
    let target = Address::new(target.get_u64().1);
    let replace = || {
        let slot = handle.published()?;
        let kept = kept_for(target)?;
        read(&slot, |entry| entry.replace(target, kept))
    };
    replace().or_throw(env)
}

/// A token by which every thread of the process can open the same slot while a thread holds it.
#[napi]
pub fn share_slot(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<String> {
    let slot = handle.published().or_throw(env)?;
    read(&slot, |_| ()).or_throw(env)?;
    let token = slot.token.get_or_init(|| Token::enter(NOUN, &slot));
    Ok(token.text().to_owned())
}

/// Opens the slot that a token stands for.
#[napi]
pub fn open_shared_slot(
    env: Env,
    #[napi(ts_arg_type = "object")] keeper: Unknown<'_>,
    token: String,
) -> napi::Result<u32> {
    let found = registry::find::<Published>(&token);
    let slot = found.filter(|slot| !slot.is_freed() && slot.noun() == NOUN);
    let slot = slot
        .ok_or(Error::UnknownToken { token, noun: NOUN })
        .or_throw(env)?;
    hold_slot(env, &keeper, slot)
}

/// The end of a grace period.
pub struct GraceEnd(Completion);

/// Begins a grace period of JavaScript's calls.
#[napi(ts_return_type = "ExternalObject<GraceEnd>")]
pub fn synchronize(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<MemoryHandle>")] memory: Held<MemoryHandle>,
) -> napi::Result<Unknown<'static>> {
    memory.open().or_throw(env)?;
    hold(env, GraceEnd(grace::synchronize()))
}

/// Whether every call has returned that was running when it began.
#[napi]
pub fn is_synchronized(
    #[napi(ts_arg_type = "ExternalObject<GraceEnd>")] end: Held<GraceEnd>,
) -> bool {
    end.0.is_complete()
}

/// Lets go of what no call can be in any more. Whether something waits still.
#[napi]
pub fn poll_grace() -> bool {
    grace::poll()
}
