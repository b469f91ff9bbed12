//! Why something was refused: by the memory manager, the linker, the caller of code, or this module.
//!
//! Each crate below has an error of its own; here they become one, with a code for programs, a message for people and facts
//! by field. `throw` makes JavaScript errors of them. What this module itself refuses is about handles and tokens, which
//! only it knows.

use codeslab::{Fact, Limit};
use codeslab_runtime::Exception;

/// The result of everything that can fail here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The numbers and names of an error, by field.
pub(crate) type Facts = Vec<(&'static str, Fact)>;

/// The code of numbers that JavaScript has and an argument does not: TypeScript makes a `RangeError` of it.
const OUT_OF_RANGE: &str = "OUT_OF_RANGE";

/// What becomes a `CodeslabError` in JavaScript.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The memory manager refused.
    #[error(transparent)]
    Memory(#[from] codeslab::Error),
    /// The linker refused.
    #[error(transparent)]
    Link(#[from] codeslab_link::Error),
    /// The signature of a function cannot be called.
    #[error(transparent)]
    Call(#[from] codeslab_call::Error),
    /// A handle to a memory that was disposed of.
    #[error(
        "this handle to the code memory is closed: open another with new CodeMemory(), or dispose of it later"
    )]
    Closed,
    /// An allocation or image that was freed.
    #[error("the {0} has been freed")]
    Freed(&'static str),
    /// An in-flight allocation that was published.
    #[error(
        "the allocation is finalized, so it can be neither written nor abandoned: write before finalize(). What shall change later belongs into an 'rw' section, whose write() goes on working; code is replaced by placing other code, and a slot (memory.slot) leads callers there"
    )]
    Finalized,
    /// An in-flight allocation that was given up.
    #[error("the allocation was abandoned: its memory is gone, so allocate again")]
    Abandoned,
    /// A token that stands for nothing, at least not any more and not in this process.
    #[error(
        "token {token:?} stands for no {noun} in this process: tokens come from share() in any of its threads, and last as long as a thread has what they stand for"
    )]
    UnknownToken { token: String, noun: &'static str },
    /// Code that was called threw an exception that it did not catch.
    #[error("{function} threw {exception}")]
    Exception {
        function: String,
        exception: Exception,
    },
    /// A name that an image does not define.
    #[error("the image has no symbol {symbol}: {advice}")]
    UnknownSymbol {
        symbol: String,
        advice: String,
        candidates: Vec<String>,
    },
    /// A function that every call reaches directly.
    #[error(
        "{symbol} cannot be replaced: link it with `replaceable: ['{symbol}']`, or with `replaceable: true`, and see that it is a function"
    )]
    NotReplaceable { symbol: String },
    /// Something to call that is no code.
    #[error(
        "{symbol} is not code: it lies in {protection} memory. Variables are read and written with image.data({symbol:?}, type)"
    )]
    NotExecutable {
        symbol: String,
        protection: &'static str,
    },
    /// JavaScript cannot be called here.
    #[error(
        "native code cannot call JavaScript here: there are no closures for this processor, or no code memory for them"
    )]
    NoCallbacks,
    /// A callback that was disposed of.
    #[error(
        "the callback has been disposed of: dispose of it once, and make another with memory.callback()"
    )]
    Disposed,
    /// Another thread called JavaScript that could not run.
    #[error(
        "another thread called a callback while this thread was in native code all the time, which may wait for that thread: the callback returned zero and did not run; make such a call with `async`"
    )]
    CallbackBlocked,
    /// A number that stands for no protection.
    #[error("there is no protection {number}")]
    UnknownProtection { number: u64 },
    /// A window whose end lies before its start: a number that JavaScript's type has and this place does not.
    #[error("within[{index}].last must be at least first; received {last:#x}")]
    EmptyWindow { index: usize, last: u64 },
    /// A number that stands for no section.
    #[error("there is no section {number}")]
    UnknownSection { number: u32 },
    /// A section to call that is no code.
    #[error(
        "section {section} is not code: it lies in {protection} memory. Place code in 'rx' memory"
    )]
    SectionNotExecutable {
        section: String,
        protection: &'static str,
    },
    /// A file for debuggers or profilers that cannot be written.
    #[error("{message}")]
    Tool { path: String, message: String },
    /// Something to read or write that is no data.
    #[error(
        "{name} is not data: it lies in {} memory. Read and write sections and symbols of 'rw' memory, and read those of 'ro' memory", protection.unwrap_or("no")
    )]
    NotData {
        name: String,
        protection: Option<&'static str>,
    },
    /// Something to write that is constant.
    #[error(
        "{name} is constant since it was published: it lies in {protection} memory. Place what shall change in 'rw' memory"
    )]
    NotWritable {
        name: String,
        protection: &'static str,
    },
    /// Bytes that are not all in some data.
    #[error("{length} bytes at offset {offset} are outside of {name}, which has {size} bytes")]
    OutsideData {
        name: String,
        offset: i128,
        length: u64,
        size: u64,
    },
    /// A system on which memory cannot be read without risk.
    #[error("memory at any address cannot be read here: there is no /proc")]
    NoReading,
    /// A runtime that gives JavaScript no native memory.
    #[error(
        "this runtime allows no buffers of native memory, as Electron does not: use read() and write(), which copy"
    )]
    NoViews,
    /// An offset that is not in its section.
    #[error("offset {offset} is outside of a section of {size} bytes: pass 0 to {}", size.saturating_sub(1))]
    OutsideSection { offset: i128, size: u64 },
}

/// How garbage can be given back before something is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Remedy {
    /// Have V8 collect.
    Collect,
    /// Let go of what V8 has collected. Where the system has nothing left, V8 must not collect: that takes memory, and V8 ends
    /// the process if it gets none.
    Sweep,
}

impl Error {
    /// A name for programs, such as `OUT_OF_REACH`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Memory(error) => error.code(),
            Self::Link(error) => error.code(),
            Self::Closed => "CLOSED",
            Self::Freed(_) => "FREED",
            Self::Finalized => "FINALIZED",
            Self::Abandoned => "ABANDONED",
            Self::UnknownToken { .. } => "UNKNOWN_TOKEN",
            Self::Exception { .. } => "EXCEPTION",
            Self::UnknownSymbol { .. } => "UNKNOWN_SYMBOL",
            Self::NotReplaceable { .. } => "NOT_REPLACEABLE",
            Self::NotExecutable { .. } | Self::SectionNotExecutable { .. } => "NOT_EXECUTABLE",
            Self::Call(codeslab_call::Error::UnsupportedConvention { .. }) => {
                "UNSUPPORTED_PLATFORM"
            }
            Self::Call(_) => "INVALID_SIGNATURE",
            Self::NoCallbacks => "NO_CALLBACKS",
            Self::Disposed => "DISPOSED",
            Self::CallbackBlocked => "CALLBACK_BLOCKED",
            Self::UnknownProtection { .. } | Self::UnknownSection { .. } => "INVALID_INDEX",
            Self::EmptyWindow { .. } => OUT_OF_RANGE,
            Self::Tool { .. } => "TOOL_FILE",
            Self::OutsideSection { .. } | Self::OutsideData { .. } => "OUT_OF_BOUNDS",
            Self::NotData { .. } => "NOT_DATA",
            Self::NotWritable { .. } => "NOT_WRITABLE",
            Self::NoViews => "NO_VIEWS",
            Self::NoReading => "SYSTEM",
        }
    }

    /// The error that this one comes from, where that says more than this one.
    pub(crate) fn cause(&self) -> Option<Self> {
        match self {
            Self::Link(codeslab_link::Error::Unplaceable { cause, .. }) => {
                Some(Self::Memory(cause.clone()))
            }
            _ => None,
        }
    }

    /// What may keep it from coming again, if garbage has what was wanted.
    pub(crate) fn remedy(&self) -> Option<Remedy> {
        let (Self::Memory(error)
        | Self::Link(
            codeslab_link::Error::Memory(error)
            | codeslab_link::Error::Unplaceable { cause: error, .. },
        )) = self
        else {
            return None;
        };
        match error {
            codeslab::Error::OutOfReach { .. } => Some(Remedy::Collect),
            codeslab::Error::Refused(refusal) => match refusal.limit {
                Limit::MaxMappings | Limit::MaxCommitted => Some(Remedy::Collect),
                _ => refusal.is_lack_of_resources().then_some(Remedy::Sweep),
            },
            _ => None,
        }
    }

    /// The error's numbers and names, by field.
    pub(crate) fn facts(&self) -> Facts {
        match self {
            Self::Memory(error) => error.facts(),
            Self::Link(error) => error.facts(),
            Self::Closed
            | Self::Freed(_)
            | Self::Finalized
            | Self::Abandoned
            | Self::NoCallbacks
            | Self::Disposed
            | Self::CallbackBlocked
            | Self::NoViews
            | Self::NoReading
            | Self::EmptyWindow { .. } => Vec::new(),
            Self::UnknownToken { token, .. } => vec![text("token", token)],
            Self::Exception {
                function,
                exception,
            } => {
                let mut facts = vec![text("symbol", function)];
                facts.extend(exception.facts());
                facts
            }
            Self::UnknownSymbol {
                symbol, candidates, ..
            } => vec![
                text("symbol", symbol),
                ("candidates", Fact::Names(candidates.clone())),
            ],
            Self::NotReplaceable { symbol } => vec![text("symbol", symbol)],
            Self::NotExecutable { symbol, protection } => {
                vec![text("symbol", symbol), text("protection", protection)]
            }
            Self::Call(error) => call_facts(error),
            Self::UnknownProtection { number: value } => vec![number("protection", *value)],
            Self::UnknownSection { number: value } => vec![number("section", (*value).into())],
            Self::SectionNotExecutable {
                section,
                protection,
            } => vec![text("section", section), text("protection", protection)],
            Self::Tool { path, .. } => vec![text("path", path)],
            Self::OutsideSection { offset, size } => {
                vec![("offset", Fact::Signed(*offset)), number("size", *size)]
            }
            Self::NotData { name, protection } => {
                let protection = protection.map(|protection| text("protection", protection));
                [text("data", name)].into_iter().chain(protection).collect()
            }
            Self::NotWritable { name, protection } => {
                vec![text("data", name), text("protection", protection)]
            }
            Self::OutsideData {
                name,
                offset,
                length,
                size,
            } => vec![
                text("data", name),
                ("offset", Fact::Signed(*offset)),
                number("length", *length),
                number("size", *size),
            ],
        }
    }
}

fn call_facts(error: &codeslab_call::Error) -> Facts {
    use codeslab_call::Error::{
        InvalidStructure, NotVariadic, TooManyArguments, UnknownType, UnsupportedConvention,
    };
    match error {
        UnknownType { name, argument, .. } => {
            let mut facts = vec![text("type", name)];
            facts.extend(argument.map(|index| number("argument", index as u64)));
            facts
        }
        NotVariadic { name, argument } => {
            vec![text("type", name), number("argument", *argument as u64)]
        }
        InvalidStructure { argument, .. } => {
            let argument = argument.map(|index| number("argument", index as u64));
            argument.into_iter().collect()
        }
        TooManyArguments { argument, limit } => vec![
            number("argument", *argument as u64),
            number("limit", u64::from(*limit)),
        ],
        UnsupportedConvention {
            architecture,
            operating_system,
        } => vec![
            text("architecture", architecture),
            text("operatingSystem", operating_system),
        ],
        _ => Vec::new(),
    }
}

fn number(name: &'static str, value: u64) -> (&'static str, Fact) {
    (name, Fact::Number(value))
}

fn text(name: &'static str, value: &str) -> (&'static str, Fact) {
    (name, Fact::Text(value.to_owned()))
}

/// Why a function that Node-API made was left.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Codeslab refused.
    Refused(Error),
    /// Something that TypeScript does not pass.
    Argument(&'static str),
    /// There is an exception.
    Thrown,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}
