//! Functions that pass their arguments on to another, with an address of the image as one more.
//!
//! `atexit(f)` is `__cxa_atexit(f, 0, &__dso_handle)`: the arguments stay where they are, two registers are set, and a jump goes on. The
//! call's own return address stays on the stack, so nothing needs a frame.
//!
//! Source: System V psABI for AMD64, §3.2.3; Microsoft, "x64 calling convention"; Intel SDM volume 2 for the encodings.

use crate::arch::machine::{Binder, BinderCode, Field};
use codeslab_runtime::Convention;

/// How `lea distance(%rip)` and `xor` begin for a register.
type Register = (&'static [u8], &'static [u8]);

const RDI: Register = (&[0x48, 0x8d, 0x3d], &[0x31, 0xff]);
const RSI: Register = (&[0x48, 0x8d, 0x35], &[0x31, 0xf6]);
const RDX: Register = (&[0x48, 0x8d, 0x15], &[0x31, 0xd2]);
const RCX: Register = (&[0x48, 0x8d, 0x0d], &[0x31, 0xc9]);
const R8: Register = (&[0x4c, 0x8d, 0x05], &[0x45, 0x31, 0xc0]);
const R9: Register = (&[0x4c, 0x8d, 0x0d], &[0x45, 0x31, 0xc9]);

/// The registers of the first integer arguments.
const fn registers(convention: Convention) -> [Register; 4] {
    match convention {
        Convention::SystemV => [RDI, RSI, RDX, RCX],
        Convention::Windows => [RCX, RDX, R8, R9],
    }
}

/// Distances count from the end of the instruction, which is that of the field.
const FIELD: i64 = 4;

/// The code, unless it sets an argument beyond the fourth.
pub(super) fn code(binder: Binder) -> Option<BinderCode> {
    let registers = registers(binder.convention);
    let mut bytes = Vec::new();
    if let Some(argument) = binder.null {
        bytes.extend(registers.get(usize::from(argument))?.1);
    }
    let mut address = None;
    if let Some(argument) = binder.address {
        bytes.extend(registers.get(usize::from(argument))?.0);
        address = Some(field(&mut bytes, "R_X86_64_PC32"));
    }
    bytes.push(0xe9);
    let function = field(&mut bytes, "R_X86_64_PLT32");
    Some(BinderCode {
        bytes,
        address,
        function,
    })
}

fn field(bytes: &mut Vec<u8>, kind: &'static str) -> Field {
    let offset = bytes.len() as u64;
    bytes.extend([0; FIELD as usize]);
    Field {
        offset,
        kind,
        addend: -FIELD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_set_in_their_registers_and_a_jump_goes_on() {
        let code = |convention| {
            let (null, address) = (Some(1), Some(2));
            let code = code(Binder {
                convention,
                null,
                address,
            });
            code.expect("it can be made")
        };
        let system_v = code(Convention::SystemV);
        let expected = [0x31, 0xf6, 0x48, 0x8d, 0x15, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0];
        assert_eq!(system_v.bytes, expected);
        assert_eq!(system_v.address.map(|field| field.offset), Some(5));
        assert_eq!(system_v.function.offset, 10);
        let windows = code(Convention::Windows);
        let expected = [0x31, 0xd2, 0x4c, 0x8d, 0x05, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0];
        assert_eq!(windows.bytes, expected);
    }

    #[test]
    fn nothing_is_made_for_arguments_that_are_not_in_these_registers() {
        let binder = |null, address| {
            code(Binder {
                convention: Convention::SystemV,
                null,
                address,
            })
        };
        assert_eq!(binder(Some(4), None), None);
        assert_eq!(binder(None, Some(9)), None);
        assert_eq!(binder(None, None).map(|code| code.bytes.len()), Some(5));
    }
}
