//! Inputs that are parsed once, and linked any number of times.
#![allow(unsafe_code)] // It reads memory of JavaScript's.

use crate::environment;
use crate::error::Error;
use crate::load::Weight;
use crate::memory::count;
use crate::node_api::Scope;
use crate::throw::OrThrow;
use crate::views::{Bytes, Held};
use codeslab_link::ParsedFile;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

/// An input that was parsed, for any number of links.
pub struct ParsedInput {
    file: ParsedFile,
    _weight: Weight,
}

impl ParsedInput {
    /// As the linker takes it.
    pub(crate) fn file(&self) -> &ParsedFile {
        &self.file
    }
}

/// How many times as much memory as a file what was parsed of it takes.
const PARSED_SIZE: u64 = 2;

/// Parses an object or an archive.
#[napi(ts_return_type = "ExternalObject<ParsedInput>")]
pub fn parse_input(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "Uint8Array")] bytes: Bytes<'_>,
) -> napi::Result<Unknown<'static>> {
    // SAFETY: parsing runs no JavaScript, and it is the last that uses the bytes.
    let content = unsafe { bytes.get(Scope::of(&env)) }?;
    let parsed = ParsedFile::parse(&name, &content);
    drop(content);
    let file = parsed.map_err(Error::Link).or_throw(env)?;
    let bytes = file.size().saturating_mul(PARSED_SIZE);
    let weight = Weight::new(environment::handles(env)?.load(), bytes);
    environment::hold(
        env,
        ParsedInput {
            file,
            _weight: weight,
        },
    )
}

/// How many bytes were parsed.
#[napi]
pub fn parsed_size(
    #[napi(ts_arg_type = "ExternalObject<ParsedInput>")] input: Held<ParsedInput>,
) -> f64 {
    count(input.file.size())
}
