//! Functions that pass their arguments on to another, with an address of the image as one more.
//!
//! `atexit(f)` is `__cxa_atexit(f, 0, &__dso_handle)`: the arguments stay where they are, two registers are set, and a branch goes on. The
//! return address stays in its register. The address is a word behind the branch, because instructions that compute one take two fields.
//!
//! Source: Procedure Call Standard for the Arm 64-bit Architecture, §6.8; Arm ARM, chapter C6, for the encodings.

use super::instructions::{BTI_C, code as bytes_of};
use crate::arch::machine::{Binder, BinderCode, Field};

/// Integer arguments in registers.
const REGISTERS: u8 = 8;
/// `mov x0, xzr`, `ldr x0, .+8` and `b .`; registers add their number.
const CLEAR: u32 = 0xaa1f_03e0;
const LOAD_BEHIND_NEXT: u32 = 0x5800_0040;
const BRANCH: u32 = 0x1400_0000;

/// The code, unless it sets an argument that no register has.
pub(super) fn code(binder: Binder) -> Option<BinderCode> {
    let register = |argument: Option<u8>| match argument {
        Some(register) if register >= REGISTERS => None,
        argument => Some(argument.map(u32::from)),
    };
    let (null, address) = (register(binder.null)?, register(binder.address)?);
    let mut instructions = vec![BTI_C];
    instructions.extend(null.map(|register| CLEAR | register));
    instructions.extend(address.map(|register| LOAD_BEHIND_NEXT | register));
    let function = instructions.len() as u64 * 4;
    instructions.push(BRANCH);
    let mut bytes = bytes_of(&instructions);
    let field = |offset, kind| Field {
        offset,
        kind,
        addend: 0,
    };
    let address = address.map(|_| {
        let offset = bytes.len() as u64;
        bytes.extend([0; 8]);
        field(offset, "R_AARCH64_ABS64")
    });
    Some(BinderCode {
        bytes,
        address,
        function: field(function, "R_AARCH64_JUMP26"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab_runtime::Convention;

    #[test]
    fn arguments_are_set_in_their_registers_and_a_branch_goes_on() {
        let code = code(Binder {
            null: Some(1),
            address: Some(2),
            convention: Convention::SystemV,
        });
        let code = code.expect("it can be made");
        // bti c; mov x1, xzr; ldr x2, .+8; b .
        let expected = [0xd503_245f, 0xaa1f_03e1, 0x5800_0042, 0x1400_0000];
        assert_eq!(code.bytes[..16], bytes_of(&expected));
        assert_eq!(code.bytes[16..], [0; 8]);
        assert_eq!(code.address.map(|field| field.offset), Some(16));
        assert_eq!(code.function.offset, 12);
    }

    #[test]
    fn nothing_is_made_for_arguments_that_are_not_in_registers() {
        let binder = |null, address| {
            code(Binder {
                null,
                address,
                convention: Convention::SystemV,
            })
        };
        assert_eq!(binder(Some(8), None), None);
        assert_eq!(binder(None, Some(9)), None);
        assert_eq!(binder(None, None).map(|code| code.bytes.len()), Some(8));
    }
}
