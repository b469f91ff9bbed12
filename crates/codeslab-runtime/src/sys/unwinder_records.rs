//! The records of an unwind table, for unwinders that are told of functions one after the other: LLVM's.
#![allow(unsafe_code)] // It follows a table in memory.

/// A function of an unwinder that takes a description of a function.
pub(crate) type Tell = unsafe extern "C" fn(*const u8);

/// Tells the unwinder of each description in a table: a record with a number after its length that is not 0.
///
/// # Safety
/// The table is well-formed and has an end, and `how` may be called with every description in it.
pub(crate) unsafe fn tell_of_each(table: *const u8, how: Tell) {
    let mut record = table;
    loop {
        // SAFETY: it is a record or the end of a table, each of which begins with a length.
        let length = unsafe { record.cast::<u32>().read_unaligned() };
        if length == 0 {
            return;
        }
        // SAFETY: a record that has a length has a number after it.
        let number = unsafe { record.add(4) };
        // SAFETY: it is a word of the table.
        let number = unsafe { number.cast::<u32>().read_unaligned() };
        if number != 0 {
            // SAFETY: the record is a description in the table.
            unsafe { how(record) };
        }
        // SAFETY: the length leads to the next record of the table.
        record = unsafe { record.add(4 + length as usize) };
    }
}
