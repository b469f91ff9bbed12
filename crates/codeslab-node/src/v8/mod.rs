//! The few functions of V8 that fast calls need and Node-API does not have.
//!
//! A function template with a C function is what optimized JavaScript calls directly. The header that declares those classes is not
//! part of Node's distribution, but Node's executable exports what it takes: it is looked up when the module is loaded, so one
//! binary serves every Node. What is not exported are the layouts of the structures, which are in a table here by the V8 versions that
//! were tried. Everything else, such as Bun, Deno, Electron and a V8 that came later, gets functions of Node-API.
#![allow(unsafe_code)] // It calls V8's C++ functions by their addresses.

pub(crate) mod code;
mod info;
mod symbols;

pub(crate) use info::Type;

use crate::node_api::{Scope, Value};
use std::ffi::{CStr, c_void};
use std::sync::OnceLock;
use symbols::Symbols;

/// The variable that keeps calls from being fast, if it is 0.
pub(crate) const VARIABLE: &str = "CODESLAB_FAST_CALLS";

/// How versions of V8 differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// What `V8::GetVersion` begins with. Within a major version of Node, which has one of these, its C++ ABI does not change.
    version: &'static str,
    /// Bytes of a `CTypeInfo`: type, (sequence,) flags.
    type_bytes: usize,
    /// Whether a `CFunctionInfo` says how 64-bit integers cross, which before were numbers.
    has_bigints: bool,
    /// Whether calls that never ran are compiled with the rest, where others leave compiled code.
    compiles_unreached: bool,
    /// Whether a callback gets its arguments behind three pointers, or in the frame itself.
    arguments: Arguments,
}

/// Where a callback finds what it was called with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arguments {
    /// { implicit arguments, values, count }
    Pointed,
    /// One array: count … result … values
    InFrame,
}

/// The versions that were tried: those of Node 20, 22, 24 and 26.
const LAYOUTS: [Layout; 4] = [
    Layout {
        version: "11.3.",
        type_bytes: 3,
        has_bigints: false,
        compiles_unreached: false,
        arguments: Arguments::Pointed,
    },
    Layout {
        version: "12.4.",
        type_bytes: 3,
        has_bigints: true,
        compiles_unreached: false,
        arguments: Arguments::Pointed,
    },
    Layout {
        version: "13.6.",
        type_bytes: 3,
        has_bigints: true,
        compiles_unreached: false,
        arguments: Arguments::Pointed,
    },
    Layout {
        version: "14.6.",
        type_bytes: 2,
        has_bigints: true,
        compiles_unreached: true,
        arguments: Arguments::InFrame,
    },
];

/// What a version says of who built it, if that is Node.
const OF_NODE: &str = "-node.";

/// A V8 whose layouts are known.
#[derive(Debug)]
pub(crate) struct V8 {
    symbols: Symbols,
    layout: Layout,
}

/// What a callback was called with. Lives as long as the callback runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    info: *const usize,
    arguments: Arguments,
}

/// What V8 calls where it does not call the C function: `FunctionCallback`.
pub(crate) type Callback = unsafe extern "C" fn(*const usize);

/// Called by V8: what does the work of a function.
pub(crate) trait Callee {
    /// Answers a call.
    fn call(call: Call);
}

impl V8 {
    /// This process's V8, if fast calls work with it and were not switched off.
    pub(crate) fn here() -> Option<&'static Self> {
        static HERE: OnceLock<Option<V8>> = OnceLock::new();
        HERE.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        if std::env::var_os(VARIABLE).is_some_and(|value| value == "0") {
            return None;
        }
        let symbols = Symbols::find()?;
        let version = symbols.version();
        let layout = layout_of(version.to_str().ok()?)?;
        Some(Self { symbols, layout })
    }

    /// Whether 64-bit integers can cross.
    pub(crate) fn has_bigints(&self) -> bool {
        self.layout.has_bigints
    }

    /// Whether calls that never ran are compiled with the rest.
    pub(crate) fn compiles_unreached(&self) -> bool {
        self.layout.compiles_unreached
    }

    /// A function for the current context: optimized code calls `target`, everything else `C`. V8 keeps it as long as the context lives.
    ///
    /// # Safety
    /// `target` is the entry of code that takes a receiver and then these types, calls no function of V8 and runs until this
    /// thread has ended.
    pub(crate) unsafe fn function<'a, C: Callee>(
        &self,
        _scope: Scope<'a>,
        target: Option<(u64, Type, &[Type])>,
    ) -> Option<Value<'a>> {
        let target = target.map(|(address, result, types)| {
            Some([address, info::make(self.layout, result, types)? as u64])
        });
        let c_function = match &target {
            Some(Some(pair)) => pair.as_ptr(),
            Some(None) => return None,
            None => std::ptr::null(),
        };
        let callback: Callback = match self.layout.arguments {
            Arguments::Pointed => pointed::<C>,
            Arguments::InFrame => in_frame::<C>,
        };
        // SAFETY: a scope says that JavaScript runs on this thread, so there is a current isolate with a context and a handle scope; the
        // C function is two words that V8 copies, whose information lives for ever.
        let raw = unsafe { self.symbols.function(callback, c_function.cast::<c_void>()) }?;
        // SAFETY: it is a handle of the innermost handle scope, and Node's values are V8's handles.
        Some(unsafe { Value::from_raw(raw.as_ptr().cast()) })
    }

    /// Has JavaScript see `exception` when the callback returns.
    pub(crate) fn throw(&self, exception: Value<'_>) {
        // SAFETY: a value is a live handle of the current isolate, by its invariant.
        unsafe { self.symbols.throw(exception.into_raw().cast()) };
    }
}

/// The layout of a version, if it was tried.
fn layout_of(version: &str) -> Option<Layout> {
    let known = LAYOUTS
        .into_iter()
        .find(|layout| version.starts_with(layout.version))?;
    version.contains(OF_NODE).then_some(known)
}

unsafe extern "C" fn pointed<C: Callee>(info: *const usize) {
    C::call(Call {
        info,
        arguments: Arguments::Pointed,
    });
}

unsafe extern "C" fn in_frame<C: Callee>(info: *const usize) {
    C::call(Call {
        info,
        arguments: Arguments::InFrame,
    });
}

/// Words of `{ implicit arguments, values, count }`, and among the implicit arguments.
mod pointed_words {
    pub(super) const IMPLICIT: usize = 0;
    pub(super) const VALUES: usize = 1;
    pub(super) const COUNT: usize = 2;
    pub(super) const RESULT: usize = 3;
}

/// Words of the frame.
mod frame_words {
    pub(super) const COUNT: usize = 0;
    pub(super) const RESULT: usize = 6;
    pub(super) const VALUES: usize = 10;
}

impl Call {
    /// How many arguments JavaScript passed.
    pub(crate) fn count(self) -> usize {
        let index = match self.arguments {
            Arguments::Pointed => pointed_words::COUNT,
            Arguments::InFrame => frame_words::COUNT,
        };
        // SAFETY: V8 passed the information of a running call, whose words are laid out like this.
        let count = unsafe { self.info.wrapping_add(index).read() };
        // Older versions have an `int` there.
        count as u32 as usize
    }

    /// An argument, by its index; `None` unless it was passed.
    pub(crate) fn argument<'a>(self, index: usize) -> Option<Value<'a>> {
        (index < self.count()).then_some(())?;
        let values = match self.arguments {
            // SAFETY: V8 passed the information of a running call, whose words are laid out like this.
            Arguments::Pointed => unsafe { self.info.wrapping_add(pointed_words::VALUES).read() },
            Arguments::InFrame => self.info as usize + frame_words::VALUES * size_of::<usize>(),
        };
        let slot = values + index * size_of::<usize>();
        // SAFETY: a handle is the address of a slot with a value; V8 keeps this one until the callback returns.
        Some(unsafe { Value::from_raw(std::ptr::with_exposed_provenance_mut(slot)) })
    }

    /// Has the call return `value`.
    pub(crate) fn answer(self, value: Value<'_>) {
        // SAFETY: a value is a live handle, which is the address of a slot.
        let content = unsafe { *value.into_raw().cast::<usize>() };
        let slot = match self.arguments {
            Arguments::Pointed => {
                // SAFETY: V8 passed the information of a running call, whose words are laid out like this.
                let implicit = unsafe { self.info.wrapping_add(pointed_words::IMPLICIT).read() };
                implicit + pointed_words::RESULT * size_of::<usize>()
            }
            Arguments::InFrame => self.info as usize + frame_words::RESULT * size_of::<usize>(),
        };
        // SAFETY: it is the slot of the result, which belongs to the callback until it returns.
        unsafe { *std::ptr::with_exposed_provenance_mut::<usize>(slot) = content };
    }
}

impl Symbols {
    fn version(&self) -> &'static CStr {
        // SAFETY: it has no requirements.
        let version = unsafe { (self.get_version)() };
        // SAFETY: it is a string that lives as long as the process.
        unsafe { CStr::from_ptr(version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_node_that_were_tried_have_a_layout() {
        let known = [
            "11.3.244.8-node.38",
            "12.4.254.21-node.57",
            "13.6.233.17-node.53",
            "14.6.202.34-node.34",
        ];
        assert!(known.iter().all(|version| layout_of(version).is_some()));
        let others = [
            "13.6.233.17-electron.0",
            "14.7.1.1-node.1",
            "1.3.244-node.1",
            "12.4.254.21",
            "14.60.1-node.2",
        ];
        assert!(others.iter().all(|version| layout_of(version).is_none()));
    }
}
