//! Processors without a port: the systems' ports compile, and opening a code memory gives an error that names the processor.

use super::{Address, Architecture, Branch, KeyRegister, Processor};

pub(in crate::sys) struct Native;

impl Processor for Native {
    const ARCHITECTURE: Option<Architecture> = None;
    const ANSWER: &'static [u8] = &[];
    const FETCHES_ARE_COHERENT: bool = false;
    const FETCHES_AHEAD_OF_OTHERS: bool = false;
    const HAS_GUARDED_PAGES: bool = false;
    const KEY_REGISTER: Option<KeyRegister> = None;

    fn branch_through(_at: Address, _pointer: Address) -> Option<Branch> {
        None
    }

    unsafe fn synchronize_instructions(_ranges: &[(Address, u64)]) {}
}
