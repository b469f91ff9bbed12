//! Debuggers and profilers: who is told of a memory's code, and of what.
//!
//! Whether a memory tells anyone is decided once, when it is opened (`codeslab-debug`). Then its sections get names, and what is finalized or
//! linked is registered; the registration lies beside the memory that it is about and goes first. Where nobody is told, which is usual,
//! all of this is an empty cell.
#![allow(unsafe_code)] // Published code is read.

use crate::error::{Error, Result};
use crate::v8;
use codeslab::{Address, Options, WRITER_VARIABLE};
use codeslab_debug::{Code, Function, Region, Registration, Settings, Tools};
use codeslab_link::PlacedObject;
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};

/// Who is told of a memory's code.
#[napi(object, object_from_js = false)]
pub struct NativeTools {
    pub perf: bool,
    pub jitdump: bool,
    pub gdb: bool,
}

impl From<&Tools> for NativeTools {
    fn from(tools: &Tools) -> Self {
        Self {
            perf: tools.writes_perf_map(),
            jitdump: tools.writes_jitdump(),
            gdb: tools.tells_debuggers(),
        }
    }
}

/// Opens the tools that a memory shall tell.
pub(crate) fn open(settings: Settings) -> Result<Arc<Tools>> {
    let tools = Tools::open(settings.or_environment(variable))?;
    if tools.tells_debuggers() {
        tell_frames(&tools);
    }
    Ok(Arc::new(tools))
}

/// Tells debuggers how to get through JavaScript's frames: once for each region, for good, since threads share them.
fn tell_frames(tools: &Tools) {
    static TOLD: Mutex<Vec<(Region, Registration)>> = Mutex::new(Vec::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    for region in v8::code::regions() {
        if !told.iter().any(|(known, _)| *known == region) {
            // SAFETY: nothing of these regions is read.
            let (registration, _nothing) = unsafe { tools.publish(Code::Frames(vec![region])) };
            told.push((region, registration));
        }
    }
}

/// Options with a writer that suits the tools, unless one is chosen.
pub(crate) fn choose_writer(tools: &Tools, mut options: Options) -> Result<Options> {
    let is_chosen = options.writer.is_some() || variable(WRITER_VARIABLE).is_some();
    if tools.prefer_private_memory() && !is_chosen {
        options.writer = codeslab_debug::writer_for_tools(&codeslab::capabilities()?);
    }
    Ok(options)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What an allocation tells when it is published: the names of its sections.
#[derive(Debug)]
pub(crate) struct Names {
    tools: Arc<Tools>,
    labels: Vec<String>,
    /// Whether a user gave them, so that lookups shall find them: that costs an entry for each.
    are_given: bool,
}

impl Names {
    /// The names of sections in their order.
    pub(crate) fn new(tools: &Arc<Tools>, labels: Vec<String>, are_given: bool) -> Self {
        let tools = Arc::clone(tools);
        Self {
            tools,
            labels,
            are_given,
        }
    }

    /// The names that lookups shall find.
    pub(crate) fn given(&self) -> &[String] {
        if self.are_given { &self.labels } else { &[] }
    }

    /// Tells of code that has been published just now: for each section where it is and how many bytes it has, or nothing if it is no code.
    pub(crate) fn tell(
        &self,
        sections: impl Iterator<Item = Option<(Address, u64)>>,
    ) -> Registration {
        if !self.tools.is_on() {
            return Registration::default();
        }
        let functions = sections.zip(&self.labels).filter_map(|(section, name)| {
            let (address, size) = section?;
            let name = name.clone();
            Some(Function {
                name,
                address,
                size,
            })
        });
        let functions: Vec<_> = functions.collect();
        if functions.is_empty() {
            return Registration::default();
        }
        publish(&self.tools, Code::Functions(functions))
    }
}

/// Tells of the objects of an image, which was published just now.
pub(crate) fn tell(tools: &Tools, objects: Vec<PlacedObject>) -> Vec<Registration> {
    let code = objects.into_iter().filter_map(|object| match object {
        PlacedObject::File(bytes) => Some(Code::Object(bytes)),
        PlacedObject::Functions(functions) if functions.is_empty() => None,
        PlacedObject::Functions(functions) => {
            let functions = functions.into_iter().map(|function| Function {
                name: function.name,
                address: function.address,
                size: function.size,
            });
            Some(Code::Functions(functions.collect()))
        }
        _ => None,
    });
    code.map(|code| publish(tools, code)).collect()
}

/// A file that cannot be written any more (a full disk) is no reason to lose code that was published: the profile lacks it then.
fn publish(tools: &Tools, code: Code) -> Registration {
    // SAFETY: what was published is readable until it is freed, and it is freed by its handle, which the running call holds.
    let (registration, _written) = unsafe { tools.publish(code) };
    registration
}

impl From<codeslab_debug::Error> for Error {
    fn from(error: codeslab_debug::Error) -> Self {
        Self::Tool {
            path: error.path().display().to_string(),
            message: error.to_string(),
        }
    }
}
