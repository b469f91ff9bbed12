//! What this process can do, and which of it a memory is opened with.

use crate::model::address::Address;
use crate::model::architecture::{Architecture, CodeModel};
use crate::model::error::{Error, Refusal, Result};
use crate::model::options::{Options, Sealing};
use crate::model::stats::{
    Capabilities, Configuration, ProcessLocation, ProcessSymbolKind, SealingStatus, WriterStatus,
};
use crate::model::writer::Writer;
use crate::space::Configured;
use crate::space::memory_file::SharedFile;
use crate::sys::{self, Platform, Seal};
use crate::write::can_be_sealed;
use std::ffi::{CStr, CString};

/// Bytes of a block where neither options nor environment say otherwise.
const DEFAULT_BLOCK_BYTES: u64 = 16 << 20;

/// What this process can do, with the reason for everything that it cannot.
///
/// # Errors
/// [`Error::UnsupportedPlatform`] where there is no port.
pub fn capabilities() -> Result<Capabilities> {
    let platform = sys::current()?;
    let facts = platform.facts();
    let why_not = |probed: Result<(), Refusal>| probed.err().map(|refusal| refusal.to_string());
    let status = |writer| WriterStatus {
        writer,
        unavailable: why_not(platform.probe(writer, DEFAULT_BLOCK_BYTES).map(drop)),
    };
    let model = |model: CodeModel| model.reach(facts.architecture).map(|reach| (model, reach));
    Ok(Capabilities {
        architecture: facts.architecture,
        operating_system: std::env::consts::OS,
        page_size: facts.page_size,
        granularity: facts.granularity,
        writers: Writer::ALL.map(status).into(),
        sealing: SealingStatus {
            writes_unavailable: why_not(platform.probe_seal(Seal::Writes)),
            mappings_unavailable: why_not(platform.probe_seal(Seal::Mappings)),
        },
        code_models: CodeModel::ALL.into_iter().filter_map(model).collect(),
    })
}

/// The instruction set that this process executes. Cheap: nothing is probed.
///
/// # Errors
/// [`Error::UnsupportedPlatform`] where there is no port.
pub fn architecture() -> Result<Architecture> {
    Ok(sys::current()?.facts().architecture)
}

/// The address of a symbol that the process itself provides: its executable and the libraries that it has loaded.
#[must_use]
pub fn process_symbol(name: &str) -> Option<Address> {
    let platform = sys::current().ok()?;
    with_c_string(name, |name| platform.process_symbol(name))
}

/// Hands text to the system, which takes none with a zero in it. Names of symbols are short, and links ask for many: those need no memory.
fn with_c_string<T>(text: &str, act: impl FnOnce(&CStr) -> Option<T>) -> Option<T> {
    const FEW: usize = 128;
    let mut bytes = [0; FEW];
    match bytes.get_mut(..text.len()).filter(|_| text.len() < FEW) {
        Some(start) => {
            start.copy_from_slice(text.as_bytes());
            act(CStr::from_bytes_with_nul(&bytes[..=text.len()]).ok()?)
        }
        None => act(&CString::new(text).ok()?),
    }
}

/// The executable or library of the process that an address lies in, and the symbol there, as far as others can see it: for addresses that
/// are in no code memory. `None` where it lies in neither.
///
/// ```
/// let at = codeslab::process_symbol("getpid");
/// let found = at.and_then(codeslab::process_location);
/// assert!(found.is_none_or(|found| found.name.is_some_and(|name| name.contains("getpid"))));
/// ```
#[must_use]
pub fn process_location(at: Address) -> Option<ProcessLocation> {
    sys::current().ok()?.process_location(at)
}

/// Has every thread of this process execute a full memory barrier, where the system can do that; this thread does in any case. Whether
/// the system can.
///
/// What this thread stored before, any other sees after its next access. An embedder that replaces code asks for it before it looks
/// which threads are running what was replaced; those that say so by a plain store, before they load it, need no barrier of their own then.
#[expect(clippy::must_use_candidate, reason = "the answer stays the same")]
pub fn process_barrier() -> bool {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    let Ok(platform) = sys::current() else {
        return false;
    };
    let is_available = platform.facts().has_process_barrier;
    if is_available {
        platform.process_barrier();
    }
    is_available
}

/// The address of one version of a symbol of the process, such as `GLIBC_2.2.5` of `memcpy`. Where the system's libraries have no
/// versions, of the symbol.
#[must_use]
pub fn process_symbol_version(name: &str, version: &str) -> Option<Address> {
    let version = CString::new(version).ok()?;
    let platform = sys::current().ok()?;
    with_c_string(name, |name| platform.process_symbol_version(name, &version))
}

/// Copies memory of this process from an address on, as far as it is mapped, and says how many bytes that were: for addresses that others
/// say. It does not fault. `None` where the system has no way to do that. Bytes that are written meanwhile may be old or new.
///
/// ```
/// let text = c"text";
/// let at = codeslab::Address::new(text.as_ptr() as u64);
/// let mut copy = [0; 4];
/// if let Some(count) = codeslab::read_process(at, &mut copy) {
///     assert_eq!((count, &copy), (4, b"text"));
///     assert_eq!(codeslab::read_process(codeslab::Address::new(16), &mut copy), Some(0));
/// }
/// ```
#[must_use]
pub fn read_process(at: Address, into: &mut [u8]) -> Option<usize> {
    sys::current().ok()?.read_process(at, into)
}

/// What each of these symbols of the process is, by name and address as [`process_symbol`] gives it.
///
/// A linker asks before it lets a stub or a copy stand for a symbol: a stub's bytes in place of data would be read without complaint, and
/// a copy of a variable keeps its first value. Every doubt is answered with [`ProcessSymbolKind::Unknown`], as are constants where the
/// system does not tell them from variables. The answer may take a few milliseconds, because files are read for it.
#[must_use]
pub fn process_symbol_kinds(symbols: &[(&str, Address)]) -> Vec<ProcessSymbolKind> {
    match sys::current() {
        Ok(platform) => platform.process_symbol_kinds(symbols),
        Err(_) => vec![ProcessSymbolKind::Unknown; symbols.len()],
    }
}

pub(crate) fn configure(platform: &dyn Platform, options: &Options) -> Result<Configured> {
    let facts = platform.facts();
    let model = options.code_model;
    let unsupported = Error::UnsupportedCodeModel {
        architecture: facts.architecture,
        model,
    };
    let reach = model.reach(facts.architecture);
    let branch_reach = model.branch_reach(facts.architecture);
    let (reach, branch_reach) = reach.zip(branch_reach).ok_or(unsupported)?;
    let (minimum, maximum) = (4 * facts.granularity, reach.largest_block());
    let size = options
        .block_size
        .unwrap_or(DEFAULT_BLOCK_BYTES.clamp(minimum, maximum));
    if !size.is_power_of_two() || size < minimum || size > maximum {
        return Err(Error::InvalidBlockSize {
            size,
            minimum,
            maximum,
        });
    }
    let (writer, sealing, file) = choose_writer(platform, options, size)?;
    let configuration = Configuration {
        block_size: size,
        code_model: model,
        reach,
        branch_reach,
        writer,
        constants: options.constants,
        quarantine: options.quarantine,
        max_committed: options.max_committed,
        max_mappings: options.max_mappings,
        sealing,
        hardened: options.hardened || writer != Writer::DualMapping,
        guard_pages: options.guard_pages,
        branch_protection: facts.guards_branches,
    };
    Ok((configuration, file))
}

/// The writer, what is sealed with it, and the file that it was probed with, if reservations may have parts of that.
fn choose_writer(
    platform: &dyn Platform,
    options: &Options,
    block_size: u64,
) -> Result<(Writer, Option<Sealing>, Option<SharedFile>)> {
    let large = platform.facts().file_bytes;
    let is_shared = large > block_size && !options.sealed;
    let probe = |writer| {
        let file = is_shared.then(|| platform.probe(writer, large).ok());
        let file = match file.flatten() {
            Some(file) => file.map(|file| SharedFile::new(file, large, 0)),
            // Smaller ones may be allowed.
            None => platform.probe(writer, block_size).map(|_| None)?,
        };
        let sealing = options.sealed.then(|| probe_sealing(platform, writer));
        Ok((writer, sealing.transpose()?, file))
    };
    if let Some(writer) = options.writer {
        if let Some(reason) = unsuitable(options, writer) {
            return Err(Error::WriterUnavailable {
                writer,
                reason: reason.to_owned(),
            });
        }
        return probe(writer).map_err(|refusal| unavailable(writer, vec![refusal]));
    }
    let mut refusals = Vec::new();
    let suits = |writer: &Writer| unsuitable(options, *writer).is_none();
    for writer in Writer::ALL.into_iter().filter(suits) {
        match probe(writer) {
            Ok(chosen) => return Ok(chosen),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(unavailable(Writer::ALL[0], refusals))
}

/// Why a writer cannot do what the options ask for, on any system.
fn unsuitable(options: &Options, writer: Writer) -> Option<&'static str> {
    if !options.constants.can_be_read(writer) {
        return Some("not every thread could read constants between its code; keep them separate");
    }
    (options.sealed && !can_be_sealed(writer))
        .then_some("it writes to private memory, and only memory files can be sealed")
}

/// What can be sealed with a writer that can be sealed. Mappings need not be: that is told.
fn probe_sealing(platform: &dyn Platform, writer: Writer) -> Result<Sealing, Refusal> {
    let writes = writer == Writer::DualMapping;
    platform.probe_seal(if writes { Seal::Writes } else { Seal::Size })?;
    let mappings = platform.probe_seal(Seal::Mappings).is_ok();
    Ok(Sealing { writes, mappings })
}

/// A writer that is unavailable, or the resource that its probe lacked: that is not the writer's fault.
fn unavailable(writer: Writer, refusals: Vec<Refusal>) -> Error {
    let reason = refusals
        .iter()
        .map(Refusal::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    match refusals.into_iter().find(Refusal::is_lack_of_resources) {
        Some(refusal) => Error::Refused(refusal),
        None => Error::WriterUnavailable { writer, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_probe_is_kept_where_reservations_may_have_parts_of_it() {
        let Ok(platform) = sys::current() else { return };
        for (writer, sealed) in Writer::ALL
            .into_iter()
            .flat_map(|one| [(one, false), (one, true)])
        {
            let options = Options {
                writer: Some(writer),
                sealed,
                ..Options::default()
            };
            // A writer may be unavailable here.
            if let Ok((configuration, file)) = configure(&*platform, &options) {
                let is_file = matches!(writer, Writer::DualMapping | Writer::FileWrite);
                let is_shared = platform.facts().file_bytes > configuration.block_size && !sealed;
                assert_eq!(file.is_some(), is_file && is_shared, "{writer}, {sealed}");
            }
        }
    }

    #[test]
    fn text_of_any_length_is_handed_over_whole_and_none_with_a_zero_in_it() {
        for length in [0, 1, 126, 127, 128, 129, 1000] {
            let text = "a".repeat(length);
            let given = with_c_string(&text, |text| Some(text.to_owned()));
            assert_eq!(given.as_deref(), CString::new(text).ok().as_deref());
            let zero = format!("{}\0{}", "a".repeat(length / 2), "b".repeat(length / 2));
            assert_eq!(with_c_string(&zero, |_| Some(())), None);
        }
    }
}
