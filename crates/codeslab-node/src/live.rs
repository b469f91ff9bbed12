//! Live views: `ArrayBuffer`s whose bytes are published data.
//!
//! JavaScript reads and writes through a view without asking, so the memory stays for as long as V8 has a way to it, whatever was freed
//! meanwhile: Node tells when V8 gives up the bytes themselves, however many buffers they went through. What is freed is detached: at
//! once from the views of the thread that frees, from those of others when their thread learns of it ([`detach_freed`]). `data` knows
//! the regions that are viewed, `lent` the views, `allocation` frees, and `node_api` copies arguments that may lie in a view.
#![allow(unsafe_code)] // It lends published memory to V8.

use crate::data::Region;
use crate::environment;
use crate::error::Error;
use crate::lent::View;
use crate::node_api::Scope;
use crate::throw::OrThrow;
use crate::views::Held;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use std::rc::Rc;
use std::sync::Arc;

/// An `ArrayBuffer` that is the data itself, from the multiple of 8 at or before its start on.
#[napi(ts_return_type = "ArrayBuffer")]
pub fn view_data(
    env: Env,
    #[napi(ts_arg_type = "ExternalObject<Region>")] region: Held<Region>,
) -> napi::Result<Unknown<'static>> {
    /// What the element types of JavaScript ask for at most.
    const ALIGN: u64 = 8;
    let content = region.lend().or_throw(env)?;
    let views = environment::views(env)?;
    let view = Rc::new(View::new(Arc::clone(region.code()), content));
    let (address, size) = region.extent();
    // Segments begin at a multiple of 16, so this byte is one of them.
    let start = address.align_down(ALIGN);
    let bytes = std::ptr::with_exposed_provenance_mut(start.value() as usize);
    let length = (size + address.distance(start)) as usize;
    let given_up = {
        let (views, view) = (Rc::clone(&views), Rc::clone(&view));
        move |environment| views.forget(&view, environment)
    };
    let scope = Scope::of(&env);
    // SAFETY: the bytes are published data, readable and writable; the view keeps them, and `given_up` the view.
    let lent = unsafe { scope.lend_buffer(bytes, length, Box::new(given_up)) };
    let (buffer, reference) = lent.ok_or(Error::NoViews).or_throw(env)?;
    if !views.add(scope, view, reference) {
        return Err(Error::Freed(region.code().noun())).or_throw(env);
    }
    Ok(buffer.into_unknown(&env))
}

/// Detaches this thread's views of what any thread has freed.
#[napi]
pub fn detach_freed(env: Env) -> napi::Result<()> {
    environment::views(env)?.detach_freed(Scope::of(&env));
    Ok(())
}
