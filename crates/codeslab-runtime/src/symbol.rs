//! What a process says of its symbols and addresses.

use codeslab::Address;

/// What an address of the process lies in that is in no code memory: see [`crate::process_location`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProcessLocation {
    /// The last symbol at or before the address that others can see; `None` if there is none.
    pub name: Option<String>,
    /// The executable or library.
    pub object: String,
    /// Where the symbol begins, or else the object.
    pub address: Address,
}

/// What the process says of one of its symbols: see [`crate::process_symbol_kinds`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProcessSymbolKind {
    /// Code that is called.
    Function,
    /// Data that nobody can write any more.
    Constant {
        /// Bytes.
        size: u64,
    },
    /// Something else, or not known.
    Unknown,
}

impl ProcessSymbolKind {
    /// Where a system tells code from all else.
    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "symbol tables tell constants, too")
    )]
    pub(crate) const fn of_function(is_function: bool) -> Self {
        if is_function {
            Self::Function
        } else {
            Self::Unknown
        }
    }
}
