//! Inputs of links, as they cross from JavaScript: one array, in which each has three values, or the bytes of a file alone. Reading a
//! property of an object by its name takes longer than reading an element, and links of one small object are many.
#![allow(unsafe_code)] // It reads memory of JavaScript's.

use crate::error::Result;
use crate::graph;
use crate::node_api::{Scope, Value};
use crate::parsed::ParsedInput;
use crate::views::{Bytes, Held, expected};
use codeslab_link::{Graph, Input};
use napi::ValueType;
use napi::bindgen_prelude::{FromNapiValue, TypeName};
use napi::sys::{napi_env, napi_value};
use std::borrow::Cow;

/// How many values each input has: what errors call it, what its content is ([`FILE`], [`GRAPH`] or [`PARSED`]), and the content.
const VALUES: u32 = 3;

/// The content is bytes of an object or archive.
const FILE: u32 = 0;
/// The content is the bytes of a graph.
const GRAPH: u32 = 1;
/// The content is the handle of an input that was parsed before.
const PARSED: u32 = 2;

/// What errors call a file that has no name.
const UNNAMED: &str = "input";

/// Inputs of a link.
pub enum Inputs<'a> {
    /// A file without a name.
    File(Bytes<'a>),
    /// Any others.
    Listed(Vec<One<'a>>),
}

/// Inputs of a link, one after the other.
pub(crate) struct Listed<'a>(Vec<One<'a>>);

/// An input.
pub struct One<'a> {
    name: Cow<'static, str>,
    content: Content<'a>,
}

enum Content<'a> {
    File(Bytes<'a>),
    Graph(Bytes<'a>),
    Parsed(Held<ParsedInput>),
}

/// The bytes of inputs, in their order; those that were parsed before have none.
pub(crate) type Contents<'a> = Vec<Cow<'a, [u8]>>;

/// The graphs among inputs, by their place.
pub(crate) type Graphs<'a> = Vec<Option<Graph<'a>>>;

impl Default for Inputs<'_> {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl<'a> Inputs<'a> {
    /// The same in a list, which all but the shortest way takes.
    pub(crate) fn listed(self) -> Listed<'a> {
        match self {
            Self::Listed(all) => Listed(all),
            Self::File(bytes) => Listed(vec![One {
                name: Cow::Borrowed(UNNAMED),
                content: Content::File(bytes),
            }]),
        }
    }

    /// As the linker takes a file that has no name.
    pub(crate) const fn unnamed(bytes: &[u8]) -> Input<'_> {
        Input::File {
            name: UNNAMED,
            bytes,
        }
    }
}

impl<'a> Inputs<'a> {
    /// Those that JavaScript passes.
    pub(crate) fn of(scope: Scope<'a>, array: Value<'a>) -> napi::Result<Self> {
        let Some(length) = scope.array_length(array) else {
            // Whether it is what it should be is asked when its bytes are.
            return Ok(Self::File(Bytes::of(array)));
        };
        let count = length / VALUES;
        let at = |index: u32| {
            let element = scope.element(array, index);
            element.ok_or_else(|| expected("an input"))
        };
        let one = |index: u32| {
            let first = index * VALUES;
            let name = scope.string(at(first)?);
            let kind = scope
                .number(at(first + 1)?)
                .map_or(u32::MAX, |kind| kind as u32);
            let content = at(first + 2)?;
            Ok(One {
                name: name.ok_or_else(|| expected("the name of an input"))?.into(),
                content: match kind {
                    FILE => Content::File(Bytes::of(content)),
                    GRAPH => Content::Graph(Bytes::of(content)),
                    PARSED => Content::Parsed(Held::of(scope, content)?),
                    _ => return Err(expected("a kind of input")),
                },
            })
        };
        let all = (0..count).map(one).collect::<napi::Result<_>>();
        all.map(Self::Listed)
    }
}

impl<'a> Listed<'a> {
    /// Their bytes.
    ///
    /// # Safety
    /// JavaScript does not run on this thread before the last use of the result.
    pub(crate) unsafe fn contents(&self, scope: Scope<'a>) -> napi::Result<Contents<'a>> {
        let bytes_of = |one: &One<'a>| match &one.content {
            // SAFETY: JavaScript does not run before the last use, by the obligation; asking for bytes runs none.
            Content::File(bytes) | Content::Graph(bytes) => unsafe { bytes.get(scope) },
            Content::Parsed(_) => Ok(Cow::Borrowed(&[][..])),
        };
        self.0.iter().map(bytes_of).collect()
    }

    /// Reads the graphs.
    pub(crate) fn graphs<'c>(&self, contents: &'c [Cow<'_, [u8]>]) -> Result<Graphs<'c>> {
        let inputs = self.0.iter().zip(contents);
        inputs
            .map(|(one, bytes)| match one.content {
                Content::Graph(_) => graph::read(bytes).map(Some),
                Content::File(_) | Content::Parsed(_) => Ok(None),
            })
            .collect()
    }

    /// The same as the linker takes them.
    pub(crate) fn borrow<'i>(
        &'i self,
        contents: &'i [Cow<'_, [u8]>],
        graphs: &'i [Option<Graph<'i>>],
    ) -> Vec<Input<'i>> {
        let inputs = self.0.iter().zip(contents).zip(graphs);
        inputs
            .map(|((one, bytes), graph)| match (&one.content, graph) {
                (Content::Parsed(parsed), _) => Input::Parsed(parsed.file()),
                (_, Some(graph)) => Input::Graph(graph),
                (_, None) => Input::File {
                    name: &one.name,
                    bytes,
                },
            })
            .collect()
    }
}

impl FromNapiValue for Inputs<'_> {
    unsafe fn from_napi_value(env: napi_env, value: napi_value) -> napi::Result<Self> {
        // SAFETY: napi-rs converts arguments of a running callback, in the environment that is current until it returns.
        let scope = unsafe { Scope::new(env) };
        // SAFETY: napi-rs converts arguments of a running callback, whose handles live until it returns.
        Self::of(scope, unsafe { Value::from_raw(value) })
    }
}

impl TypeName for Inputs<'_> {
    fn type_name() -> &'static str {
        "Inputs"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}
