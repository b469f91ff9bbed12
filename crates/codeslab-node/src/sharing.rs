//! Allocations that other threads open: a token for each, and what its sections are.
//!
//! Names are those that JavaScript gave the sections; native code keeps them for the threads that open the allocation, and does not use
//! them. Addresses, sizes and protections are what was placed. `image` has the same for images.

use crate::enums::NativeProtection;
use crate::environment;
use crate::error::{Error, Result};
use crate::handle::CodeHandle;
use crate::load::Weight;
use crate::memory::count;
use crate::published::{Published, SharedSection};
use crate::registry::{self, Token};
use crate::sections::{Section, Sections};
use crate::throw::OrThrow;
use crate::views::Held;
use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi_derive::napi;
use std::cell::Cell;
use std::sync::Arc;

/// What an error calls it.
const NOUN: &str = "allocation";

/// An allocation that another thread shared.
#[napi(object, object_from_js = false)]
pub struct NativeSharedAllocation {
    /// Its number, which stands for it until its keeper has been collected.
    pub number: u32,
    pub sections: Vec<NativeSharedSection>,
}

/// A section of it.
#[napi(object, object_from_js = false)]
pub struct NativeSharedSection {
    pub name: String,
    pub address: BigInt,
    pub size: f64,
    pub protection: NativeProtection,
}

/// A token by which every thread of the process can open the same allocation while a thread holds it. `names` are those of its
/// sections.
#[napi]
pub fn share_allocation(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    names: Vec<String>,
) -> napi::Result<String> {
    let share = || {
        let allocation = handle.published()?;
        if allocation.is_freed() || allocation.noun() != NOUN {
            return Err(Error::Freed(allocation.noun()));
        }
        allocation.sections.get_or_init(|| describe(&handle, names));
        let token = allocation
            .token
            .get_or_init(|| Token::enter(NOUN, &allocation));
        Ok::<_, Error>(token.text().to_owned())
    };
    share().or_throw(env)
}

fn describe(handle: &CodeHandle, names: Vec<String>) -> Box<[SharedSection]> {
    let named = names.into_iter().zip(handle.sections());
    let shared = named.map(|(name, section)| SharedSection {
        name,
        id: section.id,
        address: section.address,
        protection: section.protection,
        size: section.size.get(),
    });
    shared.collect()
}

/// Opens the allocation that a token stands for.
#[napi]
pub fn open_shared_allocation(
    env: Env,
    #[napi(ts_arg_type = "object")] keeper: Unknown<'_>,
    token: String,
) -> napi::Result<NativeSharedAllocation> {
    let (allocation, sections) = find(token).or_throw(env)?;
    // The thread that placed it tells V8 what it weighs.
    let weight = Weight::new(environment::handles(env)?.load(), 0);
    let handle = CodeHandle::opened(
        allocation,
        Sections::listed(sections.iter().map(Section::from).collect()),
        weight,
    );
    Ok(NativeSharedAllocation {
        number: environment::number(env, &keeper, handle)?,
        sections: sections
            .into_iter()
            .map(NativeSharedSection::from)
            .collect(),
    })
}

fn find(token: String) -> Result<(Arc<Published>, Vec<SharedSection>)> {
    let found = registry::find::<Published>(&token).filter(|found| !found.is_freed());
    // An image has no sections that were shared.
    let shared = found.and_then(|found| Some((found.sections.get()?.to_vec(), found)));
    let (sections, allocation) = shared.ok_or(Error::UnknownToken { token, noun: NOUN })?;
    Ok((allocation, sections))
}

impl From<&SharedSection> for Section {
    fn from(shared: &SharedSection) -> Self {
        Self {
            id: shared.id,
            address: shared.address,
            protection: shared.protection,
            size: Cell::new(shared.size),
        }
    }
}

impl From<SharedSection> for NativeSharedSection {
    fn from(shared: SharedSection) -> Self {
        Self {
            name: shared.name,
            address: shared.address.value().into(),
            size: count(shared.size),
            protection: shared.protection.into(),
        }
    }
}
