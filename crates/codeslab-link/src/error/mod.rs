//! Why an input cannot be linked, named by what the caller sees, with the facts in fields.
//!
//! Everything that an object file, an embedder or the memory manager can do ends in one of these, and none of it in a panic. Messages
//! are for people; programs have a code and facts (`facts`), which the JavaScript module passes on as they are. An error names the
//! spot it is about as a [`Reference`]: object, section, offset, relocation, symbol. Every other file of the linker uses this one, and
//! it uses none of them.

mod facts;
mod missing;
mod resource;

pub use missing::Missing;
pub use resource::Resource;

use codeslab::Address;
use missing::{and_others, libraries_of, usual_libraries};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why linking failed. Whatever it was, no memory is kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The memory manager refused.
    #[error(transparent)]
    Memory(#[from] codeslab::Error),
    /// Threads cannot have thread-local variables of the image, or the code cannot come by those of the process.
    #[error(transparent)]
    ThreadLocals(codeslab_runtime::Error),
    /// Bytes that begin neither like an object nor like an archive.
    #[error("{object}: neither an object ({formats}) nor an archive, but {advice}")]
    UnknownFormat {
        /// What the caller named the input.
        object: String,
        /// The formats of objects that are known.
        formats: String,
        /// What it looks like, for programs.
        found: &'static str,
        /// What it looks like, and what to do.
        advice: &'static str,
    },
    /// A file that an input names, and that cannot be read.
    #[error("{}: {reason}", named(object, path))]
    Unreadable {
        /// The input: a path, a linker script or a thin archive.
        object: String,
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// An object or a graph for another machine.
    #[error("{object}: made for {found}, not for {expected}")]
    WrongArchitecture {
        /// The object.
        object: String,
        /// What it is made for.
        found: String,
        /// What is linked here.
        expected: String,
    },
    /// A file in the format of objects, but an executable, a shared library or a core dump.
    #[error(
        "{object}: {format} file of type {found}, not a relocatable object{}",
        where_to_pass(found)
    )]
    NotRelocatable {
        /// The file.
        object: String,
        /// Its format.
        format: &'static str,
        /// Its type.
        found: String,
    },
    /// An object or archive that contradicts itself or ends too early.
    #[error("{object}: malformed: {reason}")]
    Malformed {
        /// The object or archive.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input that asks for more work or memory than files of its size ever need.
    #[error("{object}: {resource}: more than {limit}, the most for {input} bytes of input; {}", resource.advice())]
    WorkBudget {
        /// The object or archive at which it ran out.
        object: String,
        /// What ran out.
        resource: Resource,
        /// How much of it there was.
        limit: u64,
        /// How many bytes all inputs of the link have.
        input: u64,
    },
    /// An index of a section, symbol or group that does not exist.
    #[error("{object}: there is no {what} {index}, there are {count}")]
    InvalidIndex {
        /// The object.
        object: String,
        /// What the index was meant to name.
        what: &'static str,
        /// The index.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// A symbol or relocation that lies outside of its section.
    #[error(
        "{object}: {what} needs {length:#x} bytes at offset {offset:#x}, outside of section {section} of {size:#x} bytes"
    )]
    OutOfBounds {
        /// The object.
        object: String,
        /// The section.
        section: String,
        /// What lies there: the name of a symbol or relocation.
        what: String,
        /// Where it lies, in bytes from the start of the section.
        offset: u64,
        /// How long it is, in bytes.
        length: u64,
        /// How long the section is, in bytes.
        size: u64,
    },
    /// An alignment that is no power of two or larger than a block's.
    #[error(
        "{object}: alignment {align:#x} of {name} is not a power of two from 1 to {maximum:#x}"
    )]
    InvalidAlignment {
        /// The object.
        object: String,
        /// The section or common symbol.
        name: String,
        /// The alignment asked for, in bytes.
        align: u64,
        /// The largest possible, in bytes.
        maximum: u64,
    },
    /// A relocation of a type that this linker does not know for the machine of the object.
    #[error("{reference}: relocation of an unknown type")]
    UnknownRelocation {
        /// The relocation.
        reference: Box<Reference>,
    },
    /// Something that this linker knows and cannot do yet.
    #[error("{reference}: {feature} not supported")]
    Unsupported {
        /// What.
        feature: Feature,
        /// What asks for it.
        reference: Box<Reference>,
    },
    /// A reference to a thread-local variable that cannot be one, or to something else as if it was one.
    #[error("{reference}: {problem}")]
    ThreadLocalAccess {
        /// The relocation.
        reference: Box<Reference>,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A section that is both writable and executable.
    #[error("{object}: section {section} is both writable and executable")]
    WritableCode {
        /// The object.
        object: String,
        /// The section.
        section: String,
    },
    /// A symbol that is defined nowhere.
    #[error(
        "undefined symbol {symbol}{}{}{}{}",
        at.as_ref().map_or(String::new(), |at| format!(", first referenced by {at}")),
        and_others(all),
        hint.as_ref().map_or(String::new(), |hint| format!("; {hint}")),
        usual_libraries(all)
    )]
    UndefinedSymbol {
        /// The first of them.
        symbol: String,
        /// The first relocation that refers to it; `None` if it was asked for as a root.
        at: Option<Box<Reference>>,
        /// All of them.
        all: Vec<Missing>,
        /// What may help with the first.
        hint: Option<String>,
    },
    /// Several objects that cannot be linked, or one among others that can.
    #[error("{}", refused(first, all, roots))]
    Refused {
        /// Why the first of them cannot be.
        first: Box<Error>,
        /// Why each of them cannot be.
        all: Vec<Error>,
        /// Symbols that need none of them: as roots, they avoid the refusals.
        roots: Vec<String>,
    },
    /// What a symbol is defined as, if it is no expression.
    #[error(
        "{symbol} = {expression:?}: expected a symbol, a symbol and a distance such as `start+0x10`, or a number"
    )]
    InvalidExpression {
        /// The symbol.
        symbol: String,
        /// What it is defined as.
        expression: String,
    },
    /// Two definitions of a symbol of which there may be one.
    #[error("duplicate symbol {symbol}, defined in {first} and in {second}")]
    DuplicateSymbol {
        /// The symbol.
        symbol: String,
        /// The object that defines it first.
        first: String,
        /// The object that defines it again.
        second: String,
    },
    /// A relocation that refers to a section that is not loaded: debug information, or a duplicate COMDAT group.
    #[error("{reference}: the symbol lies in a section that is not loaded")]
    DiscardedSection {
        /// The relocation.
        reference: Box<Reference>,
    },
    /// A distance that does not fit its field.
    #[error(
        "{reference}: {address} is {distance:#x} bytes away, out of reach (limit {limit:#x} bytes)"
    )]
    OutOfReach {
        /// The relocation.
        reference: Box<Reference>,
        /// Where the symbol is.
        address: Address,
        /// How far it is: what the field would have to hold.
        distance: i128,
        /// The largest value of that sign that the field holds.
        limit: i128,
    },
    /// A value that does not fit its field.
    #[error("{reference}: value {value:#x} does not fit (limit {limit:#x}); symbol at {address}")]
    Overflow {
        /// The relocation.
        reference: Box<Reference>,
        /// Where the symbol is.
        address: Address,
        /// What the field would have to hold.
        value: i128,
        /// The largest value of that sign that the field holds.
        limit: i128,
    },
    /// A value of which the field leaves out low bits that are not 0: the target of a branch that is no instruction's address, say.
    #[error("{reference}: value {value:#x} is no multiple of {align}; symbol at {address}")]
    Misaligned {
        /// The relocation.
        reference: Box<Reference>,
        /// Where the symbol is.
        address: Address,
        /// What the field would have to hold.
        value: i128,
        /// What the value has to be a multiple of, in bytes.
        align: u64,
    },
    /// Two symbols that are too far apart for code that refers to both directly.
    #[error(
        "no place reaches both {first} (from {lowest} upwards) and {second} (up to {highest}): {distance:#x} bytes are missing; compile with -fPIC, whose code reaches data everywhere"
    )]
    ConflictingSymbols {
        /// The symbol that keeps the image from lying lower.
        first: String,
        /// The lowest address from which every reference to it arrives.
        lowest: Address,
        /// The symbol that keeps the image from lying higher.
        second: String,
        /// The highest address from which every reference to it arrives.
        highest: Address,
        /// How far the one is above the other, in bytes.
        distance: u64,
    },
    /// No free address space from which the symbols arrive that the code refers to directly.
    #[error("cannot reach {} directly: {cause}", symbols.join(" and "))]
    Unplaceable {
        /// The symbols that say where the image has to lie.
        symbols: Vec<String>,
        /// What the memory manager found.
        #[source]
        cause: codeslab::Error,
    },
    /// What was linked could not be started.
    #[error(transparent)]
    Start(codeslab_runtime::Error),
}

impl Error {
    /// What it is about, in a word: a feature where there is one.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unsupported { feature, .. } => feature.name(),
            other => other.code(),
        }
    }

    /// The object that it is about.
    pub(crate) fn object(&self) -> Option<&str> {
        match self {
            Self::Unsupported { reference, .. } | Self::UnknownRelocation { reference } => {
                Some(&reference.object)
            }
            Self::WritableCode { object, .. } | Self::DuplicateSymbol { second: object, .. } => {
                Some(object)
            }
            _ => None,
        }
    }

    pub(crate) fn malformed(object: &str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            object: object.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A relocation, or another spot in an object, as errors name it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reference {
    /// The object.
    pub object: String,
    /// The section; empty where there is none.
    pub section: String,
    /// Bytes from the start of the section.
    pub offset: u64,
    /// The relocation's type by name; empty where it is no relocation.
    pub relocation: String,
    /// The symbol; empty where there is none or it has no name.
    pub symbol: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}+{:#x})", self.object, self.section, self.offset)?;
        if !self.relocation.is_empty() {
            write!(f, ": {}", self.relocation)?;
        }
        if !self.symbol.is_empty() {
            write!(f, " {}", self.symbol)?;
        }
        Ok(())
    }
}

/// What this linker refuses by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Feature {
    /// Variables of which every thread has its own.
    ThreadLocal,
    /// Functions that are chosen by calling a resolver (IFUNC).
    IndirectFunction,
    /// Code that has to run before or after everything else.
    Constructor,
    /// Sections that are stored compressed though they are loaded.
    CompressedSection,
    /// Relocations without addends or in packed form.
    RelocationFormat,
    /// A stack from which code is executed, as nested functions of GNU C and internal procedures of Fortran have it.
    ExecutableStack,
    /// A function of a library that goes by a number and has no name.
    ImportByOrdinal,
    /// An object that holds a compiler's intermediate code instead of machine code (`-flto`).
    IntermediateCode,
    /// Code in which indirect branches may arrive anywhere, in a memory that lets them arrive at landing pads only.
    NoLandingPads,
    /// Pointers and stubs that a table of indirect symbols describes.
    IndirectSymbols,
    /// Functions in the place of others that the dynamic linker would put there (`__interpose`).
    Interposing,
    /// What the run-time libraries of Objective-C and Swift have to be told of.
    ObjectiveC,
    /// Compact unwind information of which it is not known what it says.
    CompactUnwind,
    /// What has to be the first of its process and the only one: the start of a C library, the runtime of a sanitizer.
    ProcessRuntime,
    /// What D's runtime has to be told of: it asks the dynamic linker for the program headers, and an image has none there.
    DRuntime,
}

impl Feature {
    /// A name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThreadLocal => "thread-local",
            Self::IndirectFunction => "indirect-function",
            Self::Constructor => "constructor",
            Self::CompressedSection => "compressed-section",
            Self::RelocationFormat => "relocation-format",
            Self::ExecutableStack => "executable-stack",
            Self::ImportByOrdinal => "import-by-ordinal",
            Self::IntermediateCode => "intermediate-code",
            Self::NoLandingPads => "no-landing-pads",
            Self::IndirectSymbols => "indirect-symbols",
            Self::Interposing => "interposing",
            Self::ObjectiveC => "objective-c",
            Self::CompactUnwind => "compact-unwind",
            Self::ProcessRuntime => "process-runtime",
            Self::DRuntime => "d-runtime",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThreadLocal => "thread-local storage (TLS) is",
            Self::IndirectFunction => "indirect functions (IFUNC) are",
            Self::Constructor => "constructors and destructors are",
            Self::CompressedSection => "compressed sections are",
            Self::RelocationFormat => "relocations without explicit addends are",
            Self::ExecutableStack => {
                "an executable stack (avoid nested functions whose address is taken; for assembler, pass -Wa,--noexecstack) is"
            }
            Self::ImportByOrdinal => "imports by ordinal (the library exports no name) are",
            Self::IntermediateCode => "intermediate code (compile without -flto) is",
            Self::NoLandingPads => {
                "code without landing pads (compile with -mbranch-protection=bti, mark assembler input with a property note, or open the memory without branch protection) is"
            }
            Self::IndirectSymbols => "pointers and stubs of a table of indirect symbols are",
            Self::Interposing => "interposing is",
            Self::ObjectiveC => "Objective-C and Swift are",
            Self::CompactUnwind => {
                "a frame that compact unwind information describes in a way that is not known (compile with -femit-dwarf-unwind=always) is"
            }
            Self::ProcessRuntime => {
                "a second runtime of the process (a static C library and sanitizers want to start the program themselves; leave the archive out, the process's own serves) is"
            }
            Self::DRuntime => {
                "D with its runtime, which asks the dynamic linker for the file that its code is in (compile with -fno-druntime or -betterC), is"
            }
        })
    }
}

/// A file that cannot be read, and the script or thin archive that names it.
fn named(object: &str, path: &str) -> String {
    if object == path {
        return format!("cannot read {path}");
    }
    format!("{object}: the linker script or thin archive names {path}, which cannot be read")
}

/// The first refusal, how many there are of each kind and in which objects, and how to do without them.
fn refused(first: &Error, all: &[Error], roots: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = first.to_string();
    if all.len() > 1 {
        let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for error in all {
            let object = error.object().unwrap_or_default().to_owned();
            kinds.entry(error.kind()).or_default().push(object);
        }
        // One object can have many reasons of one kind.
        kinds.values_mut().for_each(Vec::dedup);
        let count: usize = kinds.values().map(Vec::len).sum();
        let kinds = kinds.into_iter().map(|(kind, objects)| {
            let shown = objects[..objects.len().min(SHOWN)].join(", ");
            let more = if objects.len() > SHOWN { ", ..." } else { "" };
            format!("{} for {kind} ({shown}{more})", objects.len())
        });
        let kinds: Vec<String> = kinds.collect();
        let (noun, kinds) = (
            if count == 1 {
                "object is"
            } else {
                "objects are"
            },
            kinds.join(", "),
        );
        let _ = write!(text, "; {count} {noun} refused: {kinds}");
    }
    if let Some(root) = roots.first() {
        let others = match roots.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let _ = write!(text, "; `roots` that need none of them: {root}{others}");
    }
    text
}

/// What to do with a file that is no object.
fn where_to_pass(found: &str) -> &'static str {
    match found {
        "shared object" => "; pass its path among `libraries`",
        "executable" => "; link the objects that it was made of",
        _ => "",
    }
}
