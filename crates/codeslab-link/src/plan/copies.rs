//! Copies of constants of the process, for data that has no room for their addresses.
//!
//! A table of handlers that C++ makes without position independence names the types that are caught by 32 bits each, and those of
//! `std::exception` lie in a library far above. Code that takes such an address has a detour, and data has none. `ld` gives an executable a
//! copy of what it names so, and has libraries use it. Libraries that run already do not, so only what nobody can write any more is copied
//! here: then it is no matter which of the two is read. The copy stands for the constant wherever the image asks for its address, so that two
//! ways of asking agree; types of C++ are compared by what their names are, and not by where they lie.
//!
//! Source: psABI for AMD64 §4.4.1, `R_X86_64_COPY`; Itanium C++ ABI §2.9.1.

use crate::error::{Resource, Result};
use crate::resolve::{Resolution, TargetId};
use codeslab::{Address, read_process};

/// The largest constant that is copied, in bytes: a type of C++ has a few words, and a table some hundreds.
const MOST: u64 = 1 << 16;

/// A constant that lies in the image, too.
#[derive(Debug)]
pub(crate) struct CopiedConstant {
    pub(crate) symbol: TargetId,
    pub(crate) bytes: Vec<u8>,
    pub(super) align: u64,
}

impl CopiedConstant {
    /// A copy of what lies at an address; `None` if that is too large or gone.
    pub(super) fn of(
        resolution: &Resolution<'_>,
        symbol: TargetId,
        (at, size): (u64, u64),
    ) -> Result<Option<Self>> {
        if size == 0 || size > MOST {
            return Ok(None);
        }
        let target = resolution.target(symbol);
        let object = &resolution.objects[target.object as usize];
        let name = object.graph.name();
        resolution.budget.spend(Resource::Bytes, size, name)?;
        let mut bytes = vec![0; size as usize];
        let is_there = read_process(Address::new(at), &mut bytes) == Some(bytes.len());
        Ok(is_there.then_some(Self {
            symbol,
            bytes,
            align: 1 << at.trailing_zeros().min(6),
        }))
    }
}
