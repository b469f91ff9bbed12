//! Linking, and what it yields.

use crate::error::{Error, Result};
use crate::function;
use crate::graph;
use crate::handle::CodeHandle;
use crate::memory::{MemoryHandle, count};
use crate::node_api::Scope;
use crate::published::{Content, Published};
use crate::registry::{self, Token};
use crate::throw::OrThrow;
use codeslab::{Address, Protection};
use codeslab_call::Signature;
use codeslab_link::{Graph, ImageSymbol, Input, LinkOptions};
use napi::Env;
use napi::bindgen_prelude::{BigInt, External, Uint8ArraySlice, Unknown};
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::Arc;

/// Inputs as parallel arrays: what errors call each, its bytes, and 1 for each that is a graph.
#[napi(object, object_to_js = false)]
pub struct NativeInputs<'a> {
    pub names: Vec<String>,
    pub contents: Vec<Uint8ArraySlice<'a>>,
    pub graphs: Vec<bool>,
}

/// What links need to know besides their inputs.
#[napi(object, object_to_js = false)]
pub struct NativeLinkOptions<'a> {
    pub external_names: Vec<String>,
    pub external_addresses: Vec<BigInt>,
    pub process_symbols: bool,
    pub roots: Vec<String>,
    pub libraries: NativeInputs<'a>,
}

/// Links inputs into a memory.
#[napi]
pub fn link(
    env: Env,
    handle: &External<MemoryHandle>,
    inputs: NativeInputs<'_>,
    options: NativeLinkOptions<'_>,
) -> napi::Result<External<CodeHandle>> {
    let image = (|| {
        let opened = handle.open()?;
        let (graphs, libraries) = (inputs.graphs()?, options.libraries.graphs()?);
        let addresses = options.external_addresses.iter();
        let addresses = addresses.map(|address| Address::new(address.get_u64().1));
        let externals: HashMap<_, _> = options.external_names.into_iter().zip(addresses).collect();
        let link_options = LinkOptions {
            externals,
            process_symbols: options.process_symbols,
            roots: options.roots,
            libraries: options.libraries.borrow(&libraries),
        };
        let image = codeslab_link::link(&opened.memory, &inputs.borrow(&graphs), &link_options)?;
        Ok::<_, Error>(image)
    })();
    let published = Published::new(Content::Image(image.or_throw(env)?));
    Ok(External::new(Arc::new(published).into()))
}

impl NativeInputs<'_> {
    fn graphs(&self) -> Result<Vec<Option<Graph<'_>>>> {
        let inputs = self.contents.iter().zip(&self.graphs);
        inputs
            .map(|(bytes, is_graph)| is_graph.then(|| graph::read(bytes)).transpose())
            .collect()
    }

    fn borrow<'a>(&'a self, graphs: &'a [Option<Graph<'a>>]) -> Vec<Input<'a>> {
        let files = self.names.iter().zip(&self.contents).zip(graphs);
        files
            .map(|((name, bytes), graph)| match graph {
                Some(graph) => Input::Graph(graph),
                None => Input::File { name, bytes },
            })
            .collect()
    }
}

/// A symbol of an image.
#[napi(object, object_from_js = false)]
pub struct NativeSymbol {
    pub name: String,
    pub address: BigInt,
    pub size: f64,
    pub protection: Option<&'static str>,
    pub object: String,
}

impl From<&ImageSymbol> for NativeSymbol {
    fn from(symbol: &ImageSymbol) -> Self {
        Self {
            name: symbol.name.clone(),
            address: symbol.address.value().into(),
            size: count(symbol.size),
            protection: symbol.protection.map(Protection::name),
            object: symbol.object.to_string(),
        }
    }
}

/// Global and weak definitions of an image, by name.
#[napi]
pub fn image_symbols(env: Env, handle: &External<CodeHandle>) -> napi::Result<Vec<NativeSymbol>> {
    let symbols = |image: &codeslab_link::Image| image.symbols().map(NativeSymbol::from).collect();
    let image = handle.published().or_throw(env)?;
    look(&image, symbols).or_throw(env)
}

/// The address of a symbol.
#[napi]
pub fn image_address(
    env: Env,
    handle: &External<CodeHandle>,
    name: String,
) -> napi::Result<BigInt> {
    let image = handle.published().or_throw(env)?;
    let symbol = find(&image, &name).or_throw(env)?;
    Ok(symbol.address.value().into())
}

/// A token by which every thread of the process can open the same image while a thread holds it.
#[napi]
pub fn share_image(env: Env, handle: &External<CodeHandle>) -> napi::Result<String> {
    let image = handle.published().or_throw(env)?;
    look(&image, |_| ()).or_throw(env)?;
    let token = image.token.get_or_init(|| Token::enter("image", &image));
    Ok(token.text().to_owned())
}

/// Opens the image that a token stands for.
#[napi]
pub fn open_shared_image(env: Env, token: String) -> napi::Result<External<CodeHandle>> {
    let image = registry::find(&token).filter(|image: &Arc<Published>| !image.is_freed());
    let noun = "image";
    let image = image
        .ok_or(Error::UnknownToken { token, noun })
        .or_throw(env)?;
    Ok(External::new(image.into()))
}

/// A JavaScript function that calls a function of an image. `types` are those of the result and of the arguments.
#[napi(ts_return_type = "unknown")]
pub fn image_function(
    env: Env,
    handle: &External<CodeHandle>,
    name: String,
    types: Vec<String>,
) -> napi::Result<Unknown<'static>> {
    let image = handle.published().or_throw(env)?;
    let target = executable(&image, &name).or_throw(env)?;
    function(env, &image, name, target, &types)
}

/// A JavaScript function that calls an address of an allocation, which the caller has checked.
#[napi(ts_return_type = "unknown")]
pub fn allocation_function(
    env: Env,
    handle: &External<CodeHandle>,
    name: String,
    address: BigInt,
    types: Vec<String>,
) -> napi::Result<Unknown<'static>> {
    let target = Address::new(address.get_u64().1);
    let allocation = handle.published().or_throw(env)?;
    let freed = Error::Freed(allocation.noun());
    allocation.read(|_| ()).ok_or(freed).or_throw(env)?;
    function(env, &allocation, name, target, &types)
}

fn function(
    env: Env,
    code: &Arc<Published>,
    name: String,
    target: Address,
    types: &[String],
) -> napi::Result<Unknown<'static>> {
    let (result, arguments) = types
        .split_first()
        .map_or(("", &[][..]), |(result, arguments)| {
            (result.as_str(), arguments)
        });
    let signature = Signature::compile(result, arguments).or_throw(env)?;
    function::create(Scope::of(&env), name, target, signature, Arc::clone(code))
        .map(|function| function.into_unknown(&env))
        .ok_or_else(|| napi::Error::from_reason("Node could not create a function"))
}

fn look<T>(image: &Published, look: impl FnOnce(&codeslab_link::Image) -> T) -> Result<T> {
    let found = image.read(|content| match content {
        Content::Image(image) => Some(look(image)),
        Content::Allocation(_) => None,
    });
    found.flatten().ok_or(Error::Freed(image.noun()))
}

fn find(image: &Published, name: &str) -> Result<ImageSymbol> {
    look(image, |image| image.symbol(name).cloned())?.ok_or_else(|| Error::UnknownSymbol {
        symbol: name.to_owned(),
    })
}

/// Where a symbol's code is. Absolute symbols are taken at their word.
fn executable(image: &Published, name: &str) -> Result<Address> {
    let symbol = find(image, name)?;
    match symbol.protection {
        Some(Protection::ReadExecute) | None => Ok(symbol.address),
        Some(other) => Err(Error::NotExecutable {
            symbol: symbol.name,
            protection: other.name(),
        }),
    }
}
