//! Why a signature was refused.
//!
//! Nothing that happens during a call is in here: a call cannot fail once its words are placed, and what a word may be is
//! for [`crate::Kind`] to say. Bindings turn these into errors of their own, with the fields as facts.

/// The result of compiling a signature.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a signature was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A type that does not exist, or `void` as an argument.
    #[error(
        "{} is of unknown type {name:?}{}; the types are those of node:ffi, such as int32, uint64, double, pointer",
        position(*argument),
        meant.map_or_else(String::new, |meant| format!(": write {meant:?}"))
    )]
    UnknownType {
        /// What the signature calls it.
        name: String,
        /// The index of the argument; `None` for the result.
        argument: Option<usize>,
        /// What may have been meant.
        meant: Option<&'static str>,
    },
    /// More arguments than a call passes.
    #[error(
        "argument {} does not fit: beyond the registers a call passes at most {limit} words on the stack",
        argument + 1
    )]
    TooManyArguments {
        /// The index of the first argument that does not fit.
        argument: usize,
        /// The most words on the stack.
        limit: u8,
    },
    /// An argument that varies, of a type that C promotes to a wider one.
    #[error(
        "argument {} varies, so it cannot be {name:?}: C passes such values as int32, uint32 or double",
        argument + 1
    )]
    NotVariadic {
        /// What the signature calls it.
        name: String,
        /// Its index.
        argument: usize,
    },
    /// This crate does not know how functions are called here.
    #[error(
        "the calling convention of {operating_system} on {architecture} is not supported: code can be placed and linked, but not called"
    )]
    UnsupportedConvention {
        /// The architecture, as Rust calls it.
        architecture: &'static str,
        /// The operating system, as Rust calls it.
        operating_system: &'static str,
    },
}

fn position(argument: Option<usize>) -> String {
    argument.map_or_else(
        || "the result".to_owned(),
        |index| format!("argument {}", index + 1),
    )
}
