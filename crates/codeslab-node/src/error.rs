//! Why something was refused: by the memory manager, the linker, the caller of code, or this module.
//!
//! Each crate below has an error of its own; here they become one, with a code for programs, a message for people and facts
//! by field. `throw` makes JavaScript errors of them. What this module itself refuses is about handles and tokens, which
//! only it knows.

use codeslab::Fact;

/// The result of everything that can fail here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The numbers and names of an error, by field.
pub(crate) type Facts = Vec<(&'static str, Fact)>;

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
    #[error("this handle to the code memory is closed")]
    Closed,
    /// An allocation or image that was freed.
    #[error("the {0} has been freed")]
    Freed(&'static str),
    /// An in-flight allocation that was published.
    #[error("the allocation is finalized: it can no longer be written or abandoned")]
    Finalized,
    /// An in-flight allocation that was given up.
    #[error("the allocation was abandoned")]
    Abandoned,
    /// A token that stands for nothing, at least not any more and not in this process.
    #[error("token {token:?} stands for no {noun} in this process")]
    UnknownToken { token: String, noun: &'static str },
    /// A name that an image does not define.
    #[error("the image has no symbol {symbol}")]
    UnknownSymbol { symbol: String },
    /// Something to call that is no code.
    #[error("{symbol} is not code: it lies in {protection} memory")]
    NotExecutable {
        symbol: String,
        protection: &'static str,
    },
    /// A number that stands for no protection.
    #[error("there is no protection {number}")]
    UnknownProtection { number: u64 },
    /// A window whose end lies before its start.
    #[error("a window ends at {last:#x}, before it begins at {first:#x}")]
    EmptyWindow { first: u64, last: u64 },
    /// A code model that no architecture has.
    #[error("there is no code model {name:?}; choose tiny, small, medium or large")]
    UnknownCodeModel { name: String },
    /// A writer that does not exist.
    #[error(
        "there is no writer {name:?}; choose auto, dual-mapping, file-write, protect, self-mem or pkeys"
    )]
    UnknownWriter { name: String },
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
            Self::UnknownSymbol { .. } => "UNKNOWN_SYMBOL",
            Self::NotExecutable { .. } => "NOT_EXECUTABLE",
            Self::Call(codeslab_call::Error::UnsupportedConvention { .. }) => {
                "UNSUPPORTED_PLATFORM"
            }
            Self::Call(_) => "INVALID_SIGNATURE",
            Self::UnknownProtection { .. } => "INVALID_INDEX",
            Self::EmptyWindow { .. } => "CONFLICTING_WINDOWS",
            Self::UnknownCodeModel { .. } => "UNSUPPORTED_CODE_MODEL",
            Self::UnknownWriter { .. } => "WRITER_UNAVAILABLE",
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

    /// The error's numbers and names, by field.
    pub(crate) fn facts(&self) -> Facts {
        match self {
            Self::Memory(error) => error.facts(),
            Self::Link(error) => error.facts(),
            Self::Closed | Self::Freed(_) | Self::Finalized | Self::Abandoned => Vec::new(),
            Self::UnknownToken { token, .. } => vec![text("token", token)],
            Self::UnknownSymbol { symbol } => vec![text("symbol", symbol)],
            Self::NotExecutable { symbol, protection } => {
                vec![text("symbol", symbol), text("protection", protection)]
            }
            Self::Call(error) => call_facts(error),
            Self::UnknownProtection { number: value } => vec![number("protection", *value)],
            Self::EmptyWindow { first, last } => {
                vec![number("first", *first), number("last", *last)]
            }
            Self::UnknownCodeModel { name } => vec![text("codeModel", name)],
            Self::UnknownWriter { name } => vec![text("writer", name)],
        }
    }
}

fn call_facts(error: &codeslab_call::Error) -> Facts {
    use codeslab_call::Error::{TooManyArguments, UnknownType, UnsupportedConvention};
    match error {
        UnknownType { name, argument } => {
            let mut facts = vec![text("type", name)];
            facts.extend(argument.map(|index| number("argument", index as u64)));
            facts
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
