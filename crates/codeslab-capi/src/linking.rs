//! Linking objects and archives, and images that come of it.
#![allow(unsafe_code, reason = "C passes arrays, and linked code is started")]

use crate::argument::{SelfSized, array, null, out, structure, text};
use crate::failure::{Failure, Result, run};
use crate::memory::codeslab_memory;
use crate::object::{Object, insert, take, with, with_memory};
use crate::status::{CODESLAB_NOT_REPLACEABLE, codeslab_status};
use codeslab::{Address, CodeMemory};
use codeslab_link::{Files, Image, Input, LinkOptions, Replaceable, link};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Objects that were linked and started.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_image {
    /// Not for anybody else.
    pub value: u64,
}

/// An object or an archive in memory: `name` is what errors call it.
pub const CODESLAB_INPUT_BYTES: u32 = 0;
/// The path `name`, of an object, an archive, a linker script or a shared library.
pub const CODESLAB_INPUT_PATH: u32 = 1;
/// An image that was linked before, which stays as long as the new one uses it.
pub const CODESLAB_INPUT_IMAGE: u32 = 2;

/// Something to link. What its kind does not need is zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_input {
    /// One of the `CODESLAB_INPUT_` numbers.
    pub kind: u32,
    /// A name or a path.
    pub name: *const c_char,
    /// The bytes of an object or an archive; they are needed until the link is done.
    pub bytes: *const c_void,
    /// How many bytes.
    pub size: usize,
    /// The image.
    pub image: codeslab_image,
}

/// A symbol that the embedder provides.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_external {
    /// Its name.
    pub name: *const c_char,
    /// Its address.
    pub address: u64,
}

/// The symbols of the process are not looked up.
pub const CODESLAB_LINK_WITHOUT_PROCESS: u32 = 1;
/// Sections that nothing needs are left out.
pub const CODESLAB_LINK_GC: u32 = 2;
/// No files are read that inputs name.
pub const CODESLAB_LINK_WITHOUT_FILES: u32 = 4;
/// All functions that others can see can be replaced: see `codeslab_image_replace`.
pub const CODESLAB_LINK_REPLACEABLE: u32 = 8;

/// How to link: see `codeslab_default_link_options`. Zero is the default of everything.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct codeslab_link_options {
    /// `sizeof(codeslab_link_options)`.
    pub struct_size: usize,
    /// Symbols that come before every other external.
    pub externals: *const codeslab_external,
    /// How many.
    pub external_count: usize,
    /// Names of symbols: archives among the inputs give only what these need.
    pub roots: *const *const c_char,
    /// How many.
    pub root_count: usize,
    /// What defines what is missing: archives, images, shared libraries.
    pub libraries: *const codeslab_input,
    /// How many.
    pub library_count: usize,
    /// Any of the `CODESLAB_LINK_` numbers.
    pub flags: u32,
}

impl SelfSized for codeslab_link_options {
    fn struct_size(&self) -> usize {
        self.struct_size
    }
}

const FLAGS: u32 = CODESLAB_LINK_WITHOUT_PROCESS
    | CODESLAB_LINK_GC
    | CODESLAB_LINK_WITHOUT_FILES
    | CODESLAB_LINK_REPLACEABLE;

/// An input, with what it refers to.
enum Given<'a> {
    Bytes { name: &'a str, bytes: &'a [u8] },
    Path(&'a str),
    Image(Arc<Image>),
}

impl codeslab_input {
    /// # Safety
    /// What it points to is as its fields say, and nothing changes it during `'a`.
    unsafe fn given<'a>(&self) -> Result<Given<'a>> {
        match self.kind {
            CODESLAB_INPUT_BYTES => {
                if self.bytes.is_null() {
                    return Err(null("bytes"));
                }
                // SAFETY: that it points to a text with an end is the caller's promise.
                let name = unsafe { text(self.name, "name") }?;
                // SAFETY: that it points to so many bytes is the caller's promise.
                let bytes = unsafe { array(self.bytes.cast::<u8>(), self.size, "bytes") }?;
                Ok(Given::Bytes { name, bytes })
            }
            // SAFETY: that it points to a text with an end is the caller's promise.
            CODESLAB_INPUT_PATH => Ok(Given::Path(unsafe { text(self.name, "name") }?)),
            CODESLAB_INPUT_IMAGE => {
                let image = with(self.image.value, |image: &Arc<Image>| Ok(Arc::clone(image)));
                Ok(Given::Image(image?))
            }
            _ => Err(Failure::argument(
                "kind",
                "one of the CODESLAB_INPUT_ numbers",
            )),
        }
    }
}

impl Given<'_> {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Bytes { name, bytes } => Input::File { name, bytes },
            Self::Path(path) => Input::Path(path),
            Self::Image(image) => Input::Loaded(image),
        }
    }
}

/// # Safety
/// It points to so many inputs, and those to what their fields say; nothing changes that during `'a`.
unsafe fn all_given<'a>(
    inputs: *const codeslab_input,
    count: usize,
    name: &str,
) -> Result<Vec<Given<'a>>> {
    // SAFETY: that it points to so many is the caller's promise.
    let inputs = unsafe { array(inputs, count, name) }?;
    // SAFETY: what they point to is the caller's promise.
    inputs
        .iter()
        .map(|input| unsafe { input.given() })
        .collect()
}

impl codeslab_link_options {
    /// What does not depend on libraries.
    ///
    /// # Safety
    /// What it points to is as its fields say.
    unsafe fn options<'a>(&self) -> Result<LinkOptions<'a>> {
        if self.flags & !FLAGS != 0 {
            return Err(Failure::argument("flags", "flags that this version knows"));
        }
        let mut options = LinkOptions {
            process_symbols: self.flags & CODESLAB_LINK_WITHOUT_PROCESS == 0,
            gc: self.flags & CODESLAB_LINK_GC != 0,
            ..LinkOptions::default()
        };
        if self.flags & CODESLAB_LINK_WITHOUT_FILES != 0 {
            options.files = Files::None;
        }
        if self.flags & CODESLAB_LINK_REPLACEABLE != 0 {
            options.replaceable = Replaceable::All;
        }
        // SAFETY: that it points to so many is the caller's promise.
        let externals = unsafe { array(self.externals, self.external_count, "externals") }?;
        for external in externals {
            // SAFETY: that it points to a text with an end is the caller's promise.
            let name = unsafe { text(external.name, "externals") }?;
            let address = Address::new(external.address);
            options.externals.insert(name.to_owned(), address);
        }
        // SAFETY: that it points to so many is the caller's promise.
        let roots = unsafe { array(self.roots, self.root_count, "roots") }?;
        for root in roots {
            // SAFETY: that it points to a text with an end is the caller's promise.
            let name = unsafe { text(*root, "roots") }?;
            options.roots.push(name.to_owned());
        }
        Ok(options)
    }
}

/// Links objects and archives into a memory, and runs their constructors, as loading a shared library does. Inputs must be trusted: they
/// become code.
///
/// @param inputs  what to link
/// @param count   how many
/// @param options how, or null
/// @param image   receives the image
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_link_objects(
    memory: codeslab_memory,
    inputs: *const codeslab_input,
    count: usize,
    options: *const codeslab_link_options,
    image: Option<&mut MaybeUninit<codeslab_image>>,
) -> codeslab_status {
    run(|| {
        let place = out(image, "image")?;
        // SAFETY: that it points to so many inputs, and those to what their fields say, is the header's condition.
        let inputs = unsafe { all_given(inputs, count, "inputs") }?;
        // SAFETY: that it is null or points to as much as its first field says is the header's condition.
        let options = unsafe { structure(options, "options") }?;
        let (linking, libraries) = match options {
            None => (LinkOptions::default(), Vec::new()),
            Some(options) => {
                let (start, count) = (options.libraries, options.library_count);
                // SAFETY: that its fields say what they point to is the header's condition.
                let libraries = unsafe { all_given(start, count, "libraries") }?;
                // SAFETY: that its fields say what they point to is the header's condition.
                (unsafe { options.options() }?, libraries)
            }
        };
        let libraries = libraries.iter().map(Given::input).collect();
        let options = LinkOptions {
            libraries,
            ..linking
        };
        // A link takes long, and the memory's handle is not kept from others meanwhile.
        let memory = with_memory(memory.value, |memory| Ok(CodeMemory::clone(memory)))?;
        let inputs: Vec<_> = inputs.iter().map(Given::input).collect();
        let linked = link(&memory, &inputs, &options)?;
        // SAFETY: that the inputs are sound is the header's condition.
        let started = unsafe { linked.start() }?;
        let value = insert(Object::Image(Arc::new(started)))?;
        place.write(codeslab_image { value });
        Ok(())
    })
}

/// The address of a symbol of an image. CODESLAB_UNDEFINED_SYMBOL if it has none of this name that others can see.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_image_symbol(
    image: codeslab_image,
    name: *const c_char,
    address: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        let place = out(address, "address")?;
        // SAFETY: that it points to a text with an end is the header's condition.
        let name = unsafe { text(name, "name") }?;
        let found = with(image.value, |image: &Arc<Image>| {
            image
                .address(name)
                .ok_or_else(|| Failure::undefined("image", name))
        })?;
        place.write(found.value());
        Ok(())
    })
}

/// Has a function of an image lead to `target`, for every call that begins from now on. The image must have been linked with
/// CODESLAB_LINK_REPLACEABLE. Its own address as `target` stands for the function of the inputs.
///
/// @param before receives where it led before; may be null
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_image_replace(
    image: codeslab_image,
    name: *const c_char,
    target: u64,
    before: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        // SAFETY: that it points to a text with an end is the header's condition.
        let name = unsafe { text(name, "name") }?;
        let target = Address::new(target);
        let found = with(image.value, |image: &Arc<Image>| {
            // SAFETY: that what is at the target can stand for the function is the header's condition.
            let found = unsafe { image.replace(name, target) };
            found.ok_or_else(|| {
                let message = format!("the image has no function {name} that can be replaced");
                Failure::symbol(CODESLAB_NOT_REPLACEABLE, "NOT_REPLACEABLE", &message, name)
            })
        })?;
        if let Some(place) = before {
            place.write(found.value());
        }
        Ok(())
    })
}

/// Frees an image: its destructors run, and its memory is given back, once no other image uses it. Nothing may execute it or refer to it any
/// more.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_image_free(image: codeslab_image) -> codeslab_status {
    run(|| take::<Arc<Image>>(image.value).map(drop))
}
