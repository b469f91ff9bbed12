//! Calls with results, as tests need them.
#![allow(unsafe_code, reason = "the interface is that of C")]

use codeslab_capi::*;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

/// What a function writes into its last argument; its status if it fails.
pub(crate) fn result<T>(
    call: impl FnOnce(Option<&mut MaybeUninit<T>>) -> codeslab_status,
) -> Result<T, codeslab_status> {
    let mut place = MaybeUninit::uninit();
    match call(Some(&mut place)) {
        // SAFETY: the function was successful, so it wrote its result.
        CODESLAB_OK => Ok(unsafe { place.assume_init() }),
        status => Err(status),
    }
}

/// A memory with defaults.
pub(crate) fn open() -> codeslab_memory {
    // SAFETY: null stands for defaults.
    result(|place| unsafe { codeslab_open(ptr::null(), place) }).expect("a memory")
}

/// A memory with options.
pub(crate) fn open_with(options: &codeslab_options) -> Result<codeslab_memory, codeslab_status> {
    // SAFETY: the options are there.
    result(|place| unsafe { codeslab_open(options, place) })
}

pub(crate) fn options() -> codeslab_options {
    codeslab_options {
        struct_size: size_of::<codeslab_options>(),
        block_size: 0,
        max_committed: 0,
        max_mappings: 0,
        code_model: 0,
        writer: 0,
        quarantine: 0,
        flags: 0,
    }
}

pub(crate) fn section(protection: u32, size: u64, align: u64) -> codeslab_section {
    codeslab_section {
        size,
        align,
        protection,
        lifetime: CODESLAB_LIFETIME_STANDARD,
        address: 0,
        bytes: ptr::null_mut(),
    }
}

/// A section that goes after finalization.
pub(crate) fn temporary(protection: u32, size: u64, align: u64) -> codeslab_section {
    codeslab_section {
        lifetime: CODESLAB_LIFETIME_FINALIZE,
        ..section(protection, size, align)
    }
}

pub(crate) fn allocate(
    memory: codeslab_memory,
    sections: &mut [codeslab_section],
    windows: &[codeslab_window],
) -> Result<codeslab_in_flight, codeslab_status> {
    let (start, count) = (sections.as_mut_ptr(), sections.len());
    // SAFETY: both arrays are there, as long as is said.
    result(|place| unsafe {
        codeslab_allocate(memory, start, count, windows.as_ptr(), windows.len(), place)
    })
}

pub(crate) fn finalize(
    in_flight: codeslab_in_flight,
) -> Result<codeslab_allocation, codeslab_status> {
    result(|place| codeslab_finalize(in_flight, place))
}

/// A section with these bytes in flight.
pub(crate) fn write(section: &codeslab_section, bytes: &[u8]) {
    assert!(bytes.len() as u64 <= section.size && !section.bytes.is_null());
    // SAFETY: the section is in flight and has as many bytes.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), section.bytes.cast(), bytes.len()) };
}

pub(crate) fn stats(memory: codeslab_memory) -> codeslab_statistics {
    result(|place| codeslab_stats(memory, place)).expect("statistics")
}

/// The name of what went wrong last, and its facts as text.
pub(crate) fn last_error() -> (String, Vec<(String, String)>) {
    let error = result(|place| codeslab_last_error(place)).expect("an error");
    let text = |start| {
        // SAFETY: texts of the last error have an end and stay until the next.
        let text = unsafe { CStr::from_ptr(start) };
        text.to_string_lossy().into_owned()
    };
    let facts = (0..error.facts).map(|index| {
        let fact = result(|place| codeslab_last_error_fact(index, place)).expect("a fact");
        let value = if fact.kind == CODESLAB_FACT_TEXT {
            text(fact.text)
        } else {
            fact.number.to_string()
        };
        (text(fact.name), value)
    });
    (text(error.code), facts.collect())
}

/// A function that returns a number, and what code has to be written for it.
pub(crate) fn returning(number: u32) -> Vec<u8> {
    if cfg!(target_arch = "x86_64") {
        // mov eax, number; ret
        [&[0xb8][..], &number.to_le_bytes(), &[0xc3]].concat()
    } else {
        // movz w0, number; ret
        let load = 0x5280_0000 | (number & 0xffff) << 5;
        [load.to_le_bytes(), 0xd65f_03c0_u32.to_le_bytes()].concat()
    }
}

/// Calls the function at an address.
pub(crate) fn call(address: u64) -> u32 {
    // SAFETY: tests put functions of this type there.
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(address as usize) };
    function()
}
