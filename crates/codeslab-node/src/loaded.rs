//! What a link binds to that is in memory already: images among its libraries, and externals that lie in something of ours.
//!
//! The new image keeps what it uses of them, whatever JavaScript frees or drops afterwards. Externals that are mere addresses are not
//! here: nothing is known of them. `image` hands both to the linker.

use crate::error::{Error, Result};
use crate::handle::CodeHandle;
use crate::published::Content;
use crate::views::Held;
use codeslab::Address;
use codeslab_link::{Exports, Image, Input, Keep};
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::Arc;

/// Externals and images as parallel arrays.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeLoaded {
    /// The names of externals, their addresses, and what they lie in.
    pub names: Vec<String>,
    pub addresses: Vec<BigInt>,
    #[napi(ts_type = "Array<number>")]
    pub keepers: Vec<Held<CodeHandle>>,
    /// Images among the libraries, and how many libraries come before each.
    #[napi(ts_type = "Array<number>")]
    pub images: Vec<Held<CodeHandle>>,
    pub positions: Vec<u32>,
    /// Paths of libraries, or names that the dynamic linker knows, and how many libraries come before each.
    pub paths: Vec<String>,
    pub path_positions: Vec<u32>,
}

/// The same, kept.
#[derive(Debug)]
pub(crate) struct Loaded {
    externals: Externals,
    others: Vec<(usize, Library)>,
}

/// A library that is neither bytes nor a graph.
#[derive(Debug)]
enum Library {
    Image(Arc<Image>),
    Path(String),
}

impl Library {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Image(image) => Input::Loaded(image),
            Self::Path(path) => Input::Path(path),
        }
    }
}

/// Externals with what they lie in.
#[derive(Debug)]
struct Externals {
    addresses: HashMap<String, Address>,
    keepers: Vec<Content>,
}

impl Exports for Externals {
    fn address(&self, name: &str) -> Option<Address> {
        self.addresses.get(name).copied()
    }

    fn keep(&self) -> Box<dyn Keep> {
        Box::new(self.keepers.clone())
    }
}

impl Loaded {
    pub(crate) fn new(native: NativeLoaded) -> Result<Self> {
        let addresses = native.addresses.iter();
        let addresses = addresses.map(|address| Address::new(address.get_u64().1));
        let keepers = native.keepers.iter().map(|keeper| keep(keeper));
        let images = native.images.iter().map(|image| as_image(keep(image)?));
        let images = images.map(|image| Ok(Library::Image(image?)));
        let images = images.collect::<Result<Vec<_>>>()?;
        let paths = native.paths.into_iter().map(Library::Path);
        let paths = native.path_positions.iter().zip(paths);
        let others = native.positions.iter().zip(images).chain(paths);
        let mut others: Vec<_> = others
            .map(|(position, library)| (*position as usize, library))
            .collect();
        others.sort_by_key(|(position, _)| *position);
        Ok(Self {
            externals: Externals {
                addresses: native.names.into_iter().zip(addresses).collect(),
                keepers: keepers.collect::<Result<_>>()?,
            },
            others,
        })
    }

    /// All libraries in their order, after the externals: each of these at its position, the others in between.
    pub(crate) fn among<'a>(&'a self, libraries: Vec<Input<'a>>) -> Vec<Input<'a>> {
        let mut all = Vec::new();
        if !self.externals.addresses.is_empty() {
            all.push(Input::Loaded(&self.externals));
        }
        let mut here = self.others.iter().peekable();
        let mut rest = libraries.into_iter();
        let count = self.others.len() + rest.len();
        for index in 0..count {
            let next = here.next_if(|(position, _)| *position <= index);
            all.extend(
                next.map(|(_, library)| library.input())
                    .or_else(|| rest.next()),
            );
        }
        all.extend(rest);
        all.extend(here.map(|(_, library)| library.input()));
        all
    }
}

fn keep(handle: &CodeHandle) -> Result<Content> {
    let code = handle.published()?;
    code.keep().ok_or(Error::Freed(code.noun()))
}

fn as_image(content: Content) -> Result<Arc<Image>> {
    match content {
        Content::Image(image) => Ok(image),
        _ => Err(Error::Freed("image")),
    }
}
