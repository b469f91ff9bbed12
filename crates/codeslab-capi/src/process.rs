//! The process: its symbols, and what it can do.
#![allow(unsafe_code, reason = "C passes texts")]

use crate::argument::{out, text};
use crate::failure::{Failure, run};
use crate::memory::writer;
use crate::status::{CODESLAB_WRITER_UNAVAILABLE, codeslab_status};
use codeslab::Fact;
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// The address of a symbol that the process itself provides: its executable and the libraries that it has loaded.
/// CODESLAB_UNDEFINED_SYMBOL if it has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_process_symbol(
    name: *const c_char,
    address: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        let place = out(address, "address")?;
        // SAFETY: that it points to a text with an end is the header's condition.
        let name = unsafe { text(name, "name") }?;
        let found =
            codeslab::process_symbol(name).ok_or_else(|| Failure::undefined("process", name))?;
        place.write(found.value());
        Ok(())
    })
}

/// The address of one version of a symbol of the process, such as `GLIBC_2.2.5` of `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn codeslab_process_symbol_version(
    name: *const c_char,
    version: *const c_char,
    address: Option<&mut MaybeUninit<u64>>,
) -> codeslab_status {
    run(|| {
        let place = out(address, "address")?;
        // SAFETY: that it points to a text with an end is the header's condition.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as for the name.
        let version = unsafe { text(version, "version") }?;
        let found = codeslab::process_symbol_version(name, version);
        let found =
            found.ok_or_else(|| Failure::undefined("process", &format!("{name}@{version}")))?;
        place.write(found.value());
        Ok(())
    })
}

/// Whether a writer works here: CODESLAB_OK, or CODESLAB_WRITER_UNAVAILABLE with the fact `reason`.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_probe_writer(number: u32) -> codeslab_status {
    run(|| {
        let writer = writer(number)?;
        let capabilities = codeslab::capabilities()?;
        let mut writers = capabilities.writers.into_iter();
        let status = writers.find(|status| status.writer == writer);
        match status.and_then(|status| status.unavailable) {
            None => Ok(()),
            Some(reason) => {
                let message = format!("writer {writer} is not available: {reason}");
                let status = CODESLAB_WRITER_UNAVAILABLE;
                Err(Failure::new(status, "WRITER_UNAVAILABLE", &message)
                    .with("writer", &Fact::Text(writer.name().to_owned()))
                    .with("reason", &Fact::Text(reason)))
            }
        }
    })
}

/// Has every thread of the process execute a full memory barrier, where the system can do that; this thread does in any case. Whether the
/// system can.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_process_barrier() -> c_int {
    let mut can = false;
    let status = run(|| {
        can = codeslab::process_barrier();
        Ok(())
    });
    c_int::from(can && status == 0)
}

/// The version of the library that is there, such as `0.1.0`; that of the header is `CODESLAB_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn codeslab_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
