//! The process beyond what is placed here: its symbols, functions at any address, and memory that others say where it is.
//!
//! Calling an address is what the embedder answers for. Reading one is not: what is not mapped is an error and no fault.

use crate::environment;
use crate::error::Error;
use crate::function;
use crate::handle::CodeHandle;
use crate::load::Weight;
use crate::lookup;
use crate::node_api::Scope;
use crate::published::Published;
use crate::throw::OrThrow;
use crate::views::Bytes;
use codeslab::Address;
use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi_derive::napi;

/// Where a symbol of the process is.
#[napi]
pub fn process_symbol(name: String) -> Option<BigInt> {
    let address = codeslab::process_symbol(&name)?;
    Some(address.value().into())
}

/// A JavaScript function that calls the code at an address. If that lies in code of ours, it is a function of that.
#[napi(ts_return_type = "unknown")]
pub fn function_at(
    env: Env,
    address: BigInt,
    name: String,
    types: Vec<String>,
) -> napi::Result<Unknown<'static>> {
    let address = Address::new(address.get_u64().1);
    let code = Published::at(address).unwrap_or_else(Published::process);
    if code.is_freed() {
        return Err(Error::Freed(code.noun())).or_throw(env);
    }
    let name = lookup::label(address).unwrap_or(name);
    let weight = Weight::new(environment::handles(env)?.load(), 0);
    let handle = CodeHandle::image(code, weight);
    function::make(env, &handle, name, address, &types)
}

/// Copies memory from an address on into `into`, as far as it is mapped. How many bytes that were.
#[napi]
pub fn read_at(
    env: Env,
    address: BigInt,
    #[napi(ts_arg_type = "Uint8Array")] into: Bytes<'_>,
) -> napi::Result<u32> {
    /// So much at once.
    const MOST: usize = 1 << 30;
    let scope = Scope::of(&env);
    let mut copy = vec![0; into.length(scope)?.min(MOST)];
    let at = Address::new(address.get_u64().1);
    let count = codeslab::read_process(at, &mut copy);
    let count = count.ok_or(Error::NoReading).or_throw(env)?;
    into.fill(scope, &copy[..count]);
    Ok(count as u32)
}
