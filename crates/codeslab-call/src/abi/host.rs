//! The host's convention where none is known: signatures are refused by name, so there is nothing to call.
//!
//! A value of [`Host`] would be the placement of some arguments, and there is none: that no call happens is a matter of
//! types. Windows on 64-bit Arm passes variadic floats in integer registers, for example; that becomes a file beside this one.
#![allow(unsafe_code)] // The methods are as unsafe as where there is a convention.

use super::{Convention, SHORT};
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::structure::{Passed, Place, Results, Returned, Shape, Structure};

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum Host {}

impl Convention for Host {
    type Words = [u64; 0];

    const ZEROS: Self::Words = [];

    const STACK_WORDS: u8 = 0;

    fn begin() -> Result<Self> {
        Err(Error::UnsupportedConvention {
            architecture: std::env::consts::ARCH,
            operating_system: std::env::consts::OS,
        })
    }

    fn place(&mut self, _kind: Kind) -> Option<Place> {
        match *self {}
    }

    type Large = [u64; 0];

    const LARGE_ZEROS: Self::Large = [];

    const LARGE_STACK_WORDS: u8 = 0;

    const HAS_STRUCTURES: bool = false;

    fn begin_large() -> Result<Self> {
        Self::begin()
    }

    fn place_structure(&mut self, _structure: &Structure) -> Option<Passed> {
        match *self {}
    }

    fn place_result(&mut self, _structure: &Structure) -> Option<Returned> {
        match *self {}
    }

    unsafe fn call_large(
        &self,
        _target: *const (),
        _words: &Self::Large,
        _shape: Shape,
    ) -> Results {
        match *self {}
    }

    unsafe fn call_integer(&self, _target: *const (), _words: &Self::Words) -> u64 {
        match *self {}
    }

    unsafe fn call_float(&self, _target: *const (), _words: &Self::Words) -> u64 {
        match *self {}
    }

    unsafe fn call_short(_target: *const (), _words: &[u64; SHORT]) -> u64 {
        unreachable!("there are no signatures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_known_convention_is_refused_by_name() {
        let refusal = Host::begin().unwrap_err();
        let Error::UnsupportedConvention { architecture, .. } = &refusal else {
            panic!("{refusal}");
        };
        assert_eq!(*architecture, std::env::consts::ARCH);
        assert!(
            refusal.to_string().contains(std::env::consts::OS),
            "{refusal}"
        );
    }
}
