//! What an image and the process must not both have, or must share.
//!
//! Some archives hold what starts a program: the start of glibc, which sets up the thread pointer, and runtimes of sanitizers, which replace
//! the allocator. In a process that runs already they would do so once more; the dynamic linker ends the process then, or it crashes later.
//! They are refused by name. An unwinder may be there twice, if both look up tables in one place: that of the process.

use super::globals;
use super::resolution::Resolution;
use super::target::Place;
use crate::error::{Error, Feature, Reference};
use crate::input::LinkOptions;
use codeslab::process_symbol;

/// Symbols that only those archives define.
const STARTS: [&str; 9] = [
    "__libc_setup_tls",
    "__asan_init",
    "__cfi_init",
    "__hwasan_init",
    "__lsan_init",
    "__memprof_init",
    "__msan_init",
    "__scudo_print_stats",
    "__tsan_init",
];

/// By which unwinders find the table of an address.
const FIND_TABLE: &str = "_Unwind_Find_FDE";

/// Notes the objects that would start a program.
pub(super) fn refuse_starts(resolution: &mut Resolution<'_>) {
    const BITS: u64 = globals::bits(&STARTS);
    if !resolution.globals.may_have(BITS) {
        return;
    }
    for name in STARTS {
        let Some(id) = resolution.global(name) else {
            continue;
        };
        let target = *resolution.target(id);
        let object = resolution.objects.get(target.object as usize);
        if let (true, Some(object)) = (target.is_defined(), object) {
            let reference = Reference {
                object: object.graph.name().to_owned(),
                symbol: name.to_owned(),
                ..Reference::default()
            };
            let error = Error::Unsupported {
                feature: Feature::ProcessRuntime,
                reference: Box::new(reference),
            };
            resolution.refusals.push((target.object, error));
        }
    }
}

/// Has an unwinder that is a part of the image find tables where those of images are registered: with the process's.
pub(super) fn share_tables(resolution: &mut Resolution<'_>, options: &LinkOptions<'_>) {
    let Some(id) = resolution.global(FIND_TABLE) else {
        return;
    };
    let is_own = matches!(resolution.target(id).place, Place::Section { .. });
    if !is_own || !options.process_symbols || options.externals.contains_key(FIND_TABLE) {
        return;
    }
    if let Some(address) = process_symbol(FIND_TABLE) {
        resolution.targets[id.0 as usize].place = address.into();
    }
}
