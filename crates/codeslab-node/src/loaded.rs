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
pub struct NativeLoaded {
    /// The names of externals, their addresses, and what they lie in.
    pub names: Vec<String>,
    pub addresses: Vec<BigInt>,
    #[napi(ts_type = "Array<ExternalObject<CodeHandle>>")]
    pub keepers: Vec<Held<CodeHandle>>,
    /// Images among the libraries, and how many other libraries come before each.
    #[napi(ts_type = "Array<ExternalObject<CodeHandle>>")]
    pub images: Vec<Held<CodeHandle>>,
    pub positions: Vec<u32>,
}

/// The same, kept.
#[derive(Debug)]
pub(crate) struct Loaded {
    externals: Externals,
    images: Vec<(usize, Arc<Image>)>,
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
        let positions = native
            .positions
            .into_iter()
            .map(|position| position as usize);
        Ok(Self {
            externals: Externals {
                addresses: native.names.into_iter().zip(addresses).collect(),
                keepers: keepers.collect::<Result<_>>()?,
            },
            images: positions.zip(images.collect::<Result<Vec<_>>>()?).collect(),
        })
    }

    /// All libraries in their order: externals, then images among the others.
    pub(crate) fn among<'a>(&'a self, libraries: Vec<Input<'a>>) -> Vec<Input<'a>> {
        let image = |(_, image): &'a (usize, Arc<Image>)| Input::Loaded(image);
        let mut all = Vec::new();
        if !self.externals.addresses.is_empty() {
            all.push(Input::Loaded(&self.externals));
        }
        let count = libraries.len();
        for (index, library) in libraries.into_iter().enumerate() {
            let before = self
                .images
                .iter()
                .filter(|(position, _)| *position == index);
            all.extend(before.map(image));
            all.push(library);
        }
        let last = self
            .images
            .iter()
            .filter(|(position, _)| *position >= count);
        all.extend(last.map(image));
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
