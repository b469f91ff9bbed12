//! Why something was refused, whoever refused it: the memory manager, the linker, or this module.

use codeslab::Fact;

/// The result of everything that can fail here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What becomes a `CodeslabError` in JavaScript.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The memory manager refused.
    #[error(transparent)]
    Memory(#[from] codeslab::Error),
    /// The linker refused.
    #[error(transparent)]
    Link(#[from] codeslab_link::Error),
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
    /// A type that does not exist, or `void` as an argument.
    #[error(
        "{} is of unknown type {name:?}; the types are those of node:ffi, such as int32, uint64, double, pointer",
        position(*argument)
    )]
    UnknownType {
        name: String,
        argument: Option<usize>,
    },
    /// More arguments than a call can pass.
    #[error(
        "argument {} does not fit: beyond the registers a call passes at most {limit} words on the stack",
        argument + 1
    )]
    TooManyArguments { argument: usize, limit: u8 },
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
    /// A type that does not exist: of the result, or of the argument of that index.
    pub(crate) fn unknown_type(name: &str, argument: Option<usize>) -> Self {
        Self::UnknownType {
            name: name.to_owned(),
            argument,
        }
    }

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
            Self::UnknownType { .. } | Self::TooManyArguments { .. } => "INVALID_SIGNATURE",
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
    pub(crate) fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Self::Memory(error) => error.facts(),
            Self::Link(error) => error.facts(),
            Self::Closed | Self::Freed(_) | Self::Finalized | Self::Abandoned => Vec::new(),
            Self::UnknownToken { token, .. } => vec![text("token", token)],
            Self::UnknownSymbol { symbol } => vec![text("symbol", symbol)],
            Self::NotExecutable { symbol, protection } => {
                vec![text("symbol", symbol), text("protection", protection)]
            }
            Self::UnknownType { name, argument } => {
                let mut facts = vec![text("type", name)];
                facts.extend(argument.map(|index| number("argument", index as u64)));
                facts
            }
            Self::TooManyArguments { argument, limit } => vec![
                number("argument", *argument as u64),
                number("limit", u64::from(*limit)),
            ],
            Self::UnknownCodeModel { name } => vec![text("codeModel", name)],
            Self::UnknownWriter { name } => vec![text("writer", name)],
        }
    }
}

fn position(argument: Option<usize>) -> String {
    argument.map_or_else(
        || "the result".to_owned(),
        |index| format!("argument {}", index + 1),
    )
}

fn number(name: &'static str, value: u64) -> (&'static str, Fact) {
    (name, Fact::Number(value))
}

fn text(name: &'static str, value: &str) -> (&'static str, Fact) {
    (name, Fact::Text(value.to_owned()))
}
