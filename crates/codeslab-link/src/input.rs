//! What an embedder hands to the linker: inputs, and how to link them.
//!
//! Files are bytes with a name for errors; what is in them is found out later (`format`), and only as far as the link needs it. Nothing
//! is copied: inputs are borrowed until `link` returns.

use crate::exports::Exports;
use crate::graph::Graph;
use crate::kept::ParsedFile;
use codeslab::Address;
use std::collections::HashMap;

/// One thing to link.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// An object file or an archive, told apart by its first bytes.
    File {
        /// What errors call it.
        name: &'a str,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A graph that the embedder built.
    Graph(&'a Graph<'a>),
    /// An object or an archive that was parsed before.
    Parsed(&'a ParsedFile),
    /// The path of an object, an archive, a linker script or a shared library; or the name under which the dynamic linker finds a shared
    /// library.
    Path(&'a str),
    /// An image that was linked before, or a shared library. It stays as long as the new image, if that uses it.
    Loaded(&'a dyn Exports),
}

/// Whether a link may read files that its inputs name: those of [`Input::Path`], of linker scripts and of thin archives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Files {
    /// It reads them.
    #[default]
    Read,
    /// It reads none, and an input that names one is refused.
    None,
}

impl Input<'_> {
    /// How much it is, in bytes.
    fn size(&self) -> u64 {
        match self {
            Self::File { name, bytes } => (name.len() + bytes.len()) as u64,
            Self::Graph(graph) => graph.input_size(),
            Self::Parsed(file) => file.size(),
            Self::Path(path) => path.len() as u64,
            Self::Loaded(_) => 0,
        }
    }
}

/// How much a link is given, in bytes.
pub(crate) fn size(inputs: &[Input<'_>], options: &LinkOptions<'_>) -> u64 {
    /// A name that is asked for counts as much as an undefined symbol.
    const ROOT: u64 = 24;
    let inputs = inputs.iter().chain(&options.libraries).map(Input::size);
    let roots = options.roots.iter().map(|root| root.len() as u64 + ROOT);
    let wrapped = options.wrap.iter().map(|name| name.len() as u64 + ROOT);
    let assigned = options.defsym.iter();
    let assigned = assigned.map(|(name, other)| (name.len() + other.len()) as u64 + 2 * ROOT);
    let replaceable = match &options.replaceable {
        Replaceable::Named(names) => names.as_slice(),
        Replaceable::None | Replaceable::All => &[],
    };
    let replaceable = replaceable.iter().map(|name| name.len() as u64 + ROOT);
    let names = roots.chain(wrapped).chain(replaceable);
    inputs.chain(names).chain(assigned).sum()
}

/// Which functions of an image can be replaced while threads run them: [`Image::replace`](crate::Image::replace). Every reference to such a
/// function, from the image and from outside, leads through a word of data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Replaceable {
    /// None.
    #[default]
    None,
    /// Those with these names, each of which the inputs have to define.
    Named(Vec<String>),
    /// All that others can see.
    All,
}

/// How to link.
#[derive(Clone, Debug)]
pub struct LinkOptions<'a> {
    /// Symbols that the embedder provides; they come before every other external.
    pub externals: HashMap<String, Address>,
    /// Whether the process's own symbols are looked up.
    pub process_symbols: bool,
    /// If not empty: archives among the inputs give only the members that these symbols need.
    pub roots: Vec<String>,
    /// What defines what is missing, asked in this order: archives and graphs, of which the link takes what it needs, images that were
    /// linked before, and shared libraries.
    pub libraries: Vec<Input<'a>>,
    /// Whether sections that nothing needs are left out. What is needed begins with the roots, or without any with all that the inputs
    /// define and others can see.
    pub gc: bool,
    /// Names for which references go to `__wrap_NAME`, and those to `__real_NAME` to the name itself.
    pub wrap: Vec<String>,
    /// Symbols that are defined as `OTHER`, `OTHER+8`, `OTHER-8` or a number, whatever the inputs say. Each may use those before it.
    pub defsym: Vec<(String, String)>,
    /// Functions that can be replaced later on.
    pub replaceable: Replaceable,
    /// Whether files are read that inputs name.
    pub files: Files,
    /// Whether the image keeps its objects for debuggers: see [`Linked::take_objects`](crate::Linked::take_objects).
    pub keep_objects: bool,
}

impl Default for LinkOptions<'_> {
    fn default() -> Self {
        Self {
            externals: HashMap::new(),
            process_symbols: true,
            roots: Vec::new(),
            libraries: Vec::new(),
            gc: false,
            wrap: Vec::new(),
            defsym: Vec::new(),
            replaceable: Replaceable::None,
            files: Files::default(),
            keep_objects: false,
        }
    }
}
