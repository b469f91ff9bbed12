//! Linking, and what it yields.
#![allow(unsafe_code)] // It reads memory of JavaScript's.

use crate::enums::NativeProtection;
use crate::environment;
use crate::error::{Error, Failure, Result};
use crate::function;
use crate::handle::CodeHandle;
use crate::inputs::{Inputs, Listed};
use crate::load::{Load, Weight};
use crate::loaded::{Loaded, NativeLoaded};
use crate::memory::{MemoryHandle, collecting, count};
use crate::node_api::{Scope, Value};
use crate::published::{Content, Published};
use crate::registry::{self, Token};
use crate::signed::Signed;
use crate::slot::kept_for;
use crate::throw::{self, OrThrow};
use crate::tools;
use crate::views::Held;
use codeslab::{Address, Protection};
use codeslab_link::{Image, ImageSymbol, Input, LinkOptions, Replaceable};
use napi::Env;
use napi::bindgen_prelude::{BigInt, FromNapiValue, Unknown};
use napi::sys::ValueType;
use napi_derive::napi;
use std::rc::Rc;
use std::sync::Arc;

/// What links need to know besides their inputs.
#[napi(object, object_to_js = false)]
pub struct NativeLinkOptions<'a> {
    pub external_names: Vec<String>,
    pub external_addresses: Vec<BigInt>,
    pub process_symbols: bool,
    pub roots: Vec<String>,
    pub gc: bool,
    pub wrap: Vec<String>,
    /// Functions that can be replaced; `None` for all.
    pub replaceable: Option<Vec<String>>,
    pub defsym_names: Vec<String>,
    pub defsym_expressions: Vec<String>,
    #[napi(ts_type = "Array<string | number | Uint8Array | ExternalObject<ParsedInput>>")]
    pub libraries: Inputs<'a>,
    pub loaded: NativeLoaded,
}

impl NativeLinkOptions<'_> {
    /// Those that JavaScript made.
    #[inline(never)]
    fn of(scope: Scope<'_>, options: Value<'_>) -> napi::Result<Self> {
        // SAFETY: environment and handle are live by their invariants, and belong together.
        unsafe { Self::from_napi_value(scope.env(), options.into_raw()) }
    }

    /// Those of a link that has none.
    fn usual() -> Self {
        Self {
            external_names: Vec::new(),
            external_addresses: Vec::new(),
            process_symbols: true,
            roots: Vec::new(),
            gc: false,
            wrap: Vec::new(),
            replaceable: Some(Vec::new()),
            defsym_names: Vec::new(),
            defsym_expressions: Vec::new(),
            libraries: Inputs::default(),
            loaded: NativeLoaded::default(),
        }
    }
}

/// Links inputs into a memory: the handle of the image. What the inputs' constructors do, such as running JavaScript, is done then.
pub(crate) fn link(
    scope: Scope<'_>,
    memory: &MemoryHandle,
    load: &Rc<Load>,
    (inputs, options): (Value<'_>, Value<'_>),
) -> Result<CodeHandle, Failure> {
    let env = Env::from_raw(scope.env());
    let opened = memory.open()?;
    let link = |inputs: &[Input<'_>], mut options: LinkOptions<'_>| {
        options.keep_objects = opened.tools.is_on();
        let link = || Ok(codeslab_link::link(&opened.memory, inputs, &options)?);
        collecting(env, link)
    };
    let inputs = Inputs::of(scope, inputs);
    let linked = inputs.and_then(|inputs| with_inputs(scope, inputs, options, link));
    let mut linked = linked.map_err(|error| throw::show(scope, error))??;
    // Before anything runs, so that debuggers know constructors, too.
    let told = tools::tell(&opened.tools, linked.take_objects());
    // SAFETY: that the inputs are sound, and the externals what the inputs take them for, is what the embedder says by linking them, as a
    // caller of `dlopen` does. What JavaScript lent is given back, and no lock is held: they may run anything.
    let image = unsafe { linked.start() }?;
    let published = Arc::new(Published::new(Content::image(image), told));
    let size = published.be_found();
    Ok(CodeHandle::image(published, Weight::new(load, size)))
}

/// What a link would take.
#[napi(object, object_from_js = false)]
pub struct NativeEstimate {
    pub code: f64,
    pub constants: f64,
    pub data: f64,
    pub objects: Vec<String>,
}

/// Says what linking inputs would take, and links nothing.
#[napi]
pub fn estimate_link(
    env: Env,
    #[napi(
        ts_arg_type = "Uint8Array | Array<string | number | Uint8Array | ExternalObject<ParsedInput>>"
    )]
    inputs: Inputs<'_>,
    #[napi(ts_arg_type = "NativeLinkOptions | undefined")] options: Unknown<'_>,
) -> napi::Result<NativeEstimate> {
    let (scope, options) = (Scope::of(&env), Value::of_argument(&options));
    let estimate = |inputs: &[Input<'_>], options: LinkOptions<'_>| {
        Ok(codeslab_link::estimate(inputs, &options)?)
    };
    let estimate = with_inputs(scope, inputs, options, estimate)?;
    let estimate = estimate.or_throw(env)?;
    Ok(NativeEstimate {
        code: count(estimate.code),
        constants: count(estimate.constants),
        data: count(estimate.data),
        objects: estimate.objects,
    })
}

/// Hands inputs and options, with their contents, to the linker. `act` runs no JavaScript, and the bytes are given back when this returns.
fn with_inputs<T>(
    scope: Scope<'_>,
    inputs: Inputs<'_>,
    options: Value<'_>,
    act: impl FnOnce(&[Input<'_>], LinkOptions<'_>) -> Result<T>,
) -> napi::Result<Result<T>> {
    let has_options = scope.type_of(options) != ValueType::napi_undefined;
    match inputs {
        // The shortest way: links of one small object are many, and to make the options of none takes a good part of one.
        Inputs::File(bytes) if !has_options => {
            // SAFETY: `act` runs no JavaScript, and it is the last that uses the bytes.
            let content = unsafe { bytes.get(scope) }?;
            Ok(act(&[Inputs::unnamed(&content)], LinkOptions::default()))
        }
        inputs => {
            let options = has_options.then(|| NativeLinkOptions::of(scope, options));
            let options = options.transpose()?;
            let options = options.unwrap_or_else(NativeLinkOptions::usual);
            with_options(scope, &inputs.listed(), options, act)
        }
    }
}

/// The same for any inputs and options.
#[inline(never)]
fn with_options<T>(
    scope: Scope<'_>,
    inputs: &Listed<'_>,
    options: NativeLinkOptions<'_>,
    act: impl FnOnce(&[Input<'_>], LinkOptions<'_>) -> Result<T>,
) -> napi::Result<Result<T>> {
    let given = options.libraries.listed();
    // SAFETY: nothing below runs JavaScript, and the last that uses the bytes is `act`.
    let contents = unsafe { inputs.contents(scope) }?;
    // SAFETY: as above, and asking for the bytes of the libraries runs none either.
    let library_contents = unsafe { given.contents(scope) }?;
    let act_on = || {
        let (graphs, library_graphs) =
            (inputs.graphs(&contents)?, given.graphs(&library_contents)?);
        let addresses = options.external_addresses.iter();
        let addresses = addresses.map(|address| Address::new(address.get_u64().1));
        let loaded = Loaded::new(options.loaded)?;
        let libraries = given.borrow(&library_contents, &library_graphs);
        let defsym = options.defsym_names.into_iter();
        let link_options = LinkOptions {
            externals: options.external_names.into_iter().zip(addresses).collect(),
            process_symbols: options.process_symbols,
            roots: options.roots,
            libraries: loaded.among(libraries),
            gc: options.gc,
            wrap: options.wrap,
            defsym: defsym.zip(options.defsym_expressions).collect(),
            replaceable: match options.replaceable {
                Some(names) if names.is_empty() => Replaceable::None,
                Some(names) => Replaceable::Named(names),
                None => Replaceable::All,
            },
            ..LinkOptions::default()
        };
        act(&inputs.borrow(&contents, &graphs), link_options)
    };
    Ok(act_on())
}

/// A symbol of an image.
#[napi(object, object_from_js = false)]
pub struct NativeSymbol {
    pub name: String,
    pub address: BigInt,
    pub size: f64,
    pub protection: Option<NativeProtection>,
    pub object: String,
}

impl From<&ImageSymbol> for NativeSymbol {
    fn from(symbol: &ImageSymbol) -> Self {
        Self {
            name: symbol.name.clone(),
            address: symbol.address.value().into(),
            size: count(symbol.size),
            protection: symbol.protection.map(NativeProtection::from),
            object: symbol.object.to_string(),
        }
    }
}

/// Global and weak definitions of an image, by name.
#[napi]
pub fn image_symbols(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<Vec<NativeSymbol>> {
    let symbols = |image: &codeslab_link::Image| image.symbols().map(NativeSymbol::from).collect();
    let image = handle.published().or_throw(env)?;
    look(&image, symbols).or_throw(env)
}

/// The address of a symbol.
#[napi]
pub fn image_address(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    name: String,
) -> napi::Result<BigInt> {
    let image = handle.published().or_throw(env)?;
    let symbol = find(&image, &name).or_throw(env)?;
    Ok(symbol.address.value().into())
}

/// Has a function lead to `target`. Whether something waits for the end of a grace period then.
#[napi]
pub fn replace_function(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    name: String,
    target: BigInt,
) -> napi::Result<bool> {
    let target = Address::new(target.get_u64().1);
    let replace = || {
        let image = handle.published()?;
        find(&image, &name)?;
        let kept = kept_for(target)?;
        let replaced = image.read(|owned| owned.replace(&name, target, kept));
        let replaced = replaced.ok_or(Error::Freed(image.noun()))?;
        replaced.ok_or(Error::NotReplaceable { symbol: name })
    };
    replace().or_throw(env)
}

/// A token by which every thread of the process can open the same image while a thread holds it.
#[napi]
pub fn share_image(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
) -> napi::Result<String> {
    let image = handle.published().or_throw(env)?;
    look(&image, |_| ()).or_throw(env)?;
    let token = image.token.get_or_init(|| Token::enter("image", &image));
    Ok(token.text().to_owned())
}

/// Opens the image that a token stands for.
#[napi]
pub fn open_shared_image(
    env: Env,
    #[napi(ts_arg_type = "object")] keeper: Unknown<'_>,
    token: String,
) -> napi::Result<u32> {
    let noun = "image";
    let image = registry::find(&token)
        .filter(|image: &Arc<Published>| !image.is_freed() && image.noun() == noun);
    let image = image
        .ok_or(Error::UnknownToken { token, noun })
        .or_throw(env)?;
    // The thread that linked it tells V8 what it weighs.
    let weight = Weight::new(environment::handles(env)?.load(), 0);
    environment::number(env, &keeper, CodeHandle::image(image, weight))
}

/// A JavaScript function that calls a function of an image.
#[napi(ts_return_type = "unknown")]
pub fn image_function(
    env: Env,
    #[napi(ts_arg_type = "number")] handle: Held<CodeHandle>,
    name: String,
    #[napi(ts_arg_type = "ExternalObject<Signed>")] signed: Held<Signed>,
) -> napi::Result<Unknown<'static>> {
    let image = handle.published().or_throw(env)?;
    let target = executable(&image, &name).or_throw(env)?;
    image.watch();
    function::make_unknown(env, &handle, name, target, signed.shared())
}

fn look<T>(image: &Published, look: impl FnOnce(&codeslab_link::Image) -> T) -> Result<T> {
    let found = image.read(|owned| match &owned.content {
        Content::Image(image) => Some(look(image)),
        _ => None,
    });
    found.flatten().ok_or(Error::Freed(image.noun()))
}

/// A symbol of an image.
pub(crate) fn find(image: &Published, name: &str) -> Result<ImageSymbol> {
    look(image, |image| {
        let symbol = image.find(name);
        symbol.ok_or_else(|| unknown(image, name))
    })?
}

/// A symbol that is not there, and what may have been meant.
#[cold]
fn unknown(image: &Image, name: &str) -> Error {
    let similar = image.similar(name);
    let advice = match image.local(name) {
        Some(object) => {
            format!(
                "it is local to {object}, where nothing else sees it; declare it without `static`"
            )
        }
        None => similar.advice().unwrap_or_else(|| {
            let count = image.symbols().len();
            format!("nothing is called like that; image.symbols() lists all {count}")
        }),
    };
    Error::UnknownSymbol {
        symbol: name.to_owned(),
        advice,
        candidates: similar.names,
    }
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
