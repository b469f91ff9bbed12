//! What detours of all kinds begin and end with.

use crate::arch::machine::Detour;
use crate::arch::row::Misfit;

/// Bytes of a detour, with the longest instruction.
pub(super) const SIZE: u64 = 48;

/// What an instruction begins and ends with in its detour: room below the stack, and back.
pub(super) const LEAVE_RED_ZONE: [u8; 5] = [0x48, 0x8d, 0x64, 0x24, 0x80];
pub(super) const ENTER_RED_ZONE: [u8; 8] = [0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0];

/// What comes before an instruction that uses the scratch register: the symbol's address is in there then.
pub(super) fn begun(places: &Detour) -> Result<Vec<u8>, Misfit> {
    let mut code = Vec::with_capacity(SIZE as usize);
    code.extend(LEAVE_RED_ZONE);
    code.push(0x50 | places.scratch);
    load(&mut code, places, places.scratch)?;
    Ok(code)
}

/// What comes behind it.
pub(super) fn ended(code: &mut Vec<u8>, places: &Detour, length: usize) -> Result<(), Misfit> {
    code.push(0x58 | places.scratch);
    code.extend(ENTER_RED_ZONE);
    back(code, places, length)
}

/// Loads the symbol's address into a register.
pub(super) fn load(code: &mut Vec<u8>, places: &Detour, register: u8) -> Result<(), Misfit> {
    code.extend([0x48 | register >> 3 << 2, 0x8b, 0x05 | (register & 7) << 3]);
    let end = places.start + code.len() as u64 + 4;
    code.extend(displacement(i128::from(places.entry) - i128::from(end))?);
    Ok(())
}

/// Goes on behind the instruction, which has so many bytes.
pub(super) fn back(code: &mut Vec<u8>, places: &Detour, length: usize) -> Result<(), Misfit> {
    code.push(0xe9);
    let end = places.start + code.len() as u64 + 4;
    let back = places.instruction + length as u64;
    code.extend(displacement(i128::from(back) - i128::from(end))?);
    Ok(())
}

pub(super) fn displacement(value: i128) -> Result<[u8; 4], Misfit> {
    let limit = if value < 0 { i32::MIN } else { i32::MAX };
    let limit = i128::from(limit);
    let fits = i32::try_from(value).map_err(|_| Misfit::Range { value, limit })?;
    Ok(fits.to_le_bytes())
}
