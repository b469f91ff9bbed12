//! What an image and the process must not both have, or must share.
//!
//! Some archives hold what starts a program: the start of glibc, which sets up the thread pointer, and runtimes of sanitizers, which replace
//! the allocator. In a process that runs already they would do so once more; the dynamic linker ends the process then, or it crashes later.
//! They are refused by name. An unwinder may be there twice, if both look up tables in one place: that of the process. And operators `new` and
//! `delete` of C++ are the process's, as they are for what the dynamic linker loads: what its C++ library allocates, templates in an image
//! free.

use super::globals;
use super::resolution::Resolution;
use super::target::{Place, Rank, TargetId};
use crate::error::{Error, Feature, Reference};
use crate::graph::Visibility;
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

/// With which D's runtime is told of an object, whose program headers it then asks the dynamic linker for. It ends the process if there are none.
const REGISTRY_OF_D: &str = "_d_dso_registry";

/// By which unwinders find the table of an address.
const FIND_TABLE: &str = "_Unwind_Find_FDE";

/// The operators `new` and `delete` that a C++ program may define in the place of its library's.
const OPERATORS: [&str; 20] = [
    "_Znwm",
    "_ZnwmRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_Znam",
    "_ZnamRKSt9nothrow_t",
    "_ZnamSt11align_val_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdlPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPv",
    "_ZdaPvm",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdaPvSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
];

/// Notes the objects that would start a program, or ask for theirs.
pub(super) fn refuse_starts(resolution: &mut Resolution<'_>) {
    const BITS: u64 = globals::bits(&STARTS) | globals::bit(REGISTRY_OF_D);
    if !resolution.globals.may_have(BITS) {
        return;
    }
    for name in STARTS {
        if let Some(id) = resolution.global(name)
            && resolution.target(id).is_defined()
        {
            refuse(resolution, id, name, Feature::ProcessRuntime);
        }
    }
    if let Some(id) = resolution.global(REGISTRY_OF_D) {
        refuse(resolution, id, REGISTRY_OF_D, Feature::DRuntime);
    }
}

/// Notes that an object which defines a symbol, or was the first to refer to it, cannot be linked.
fn refuse(resolution: &mut Resolution<'_>, id: TargetId, name: &str, feature: Feature) {
    let number = resolution.target(id).object;
    let Some(object) = resolution.objects.get(number as usize) else {
        return;
    };
    let reference = Reference {
        object: object.graph.name().to_owned(),
        symbol: name.to_owned(),
        ..Reference::default()
    };
    let error = Error::Unsupported {
        feature,
        reference: Box::new(reference),
    };
    resolution.refusals.push((number, error));
}

/// Binds to the process what its libraries and an image have to have in common, though objects define it.
pub(super) fn share(resolution: &mut Resolution<'_>, options: &LinkOptions<'_>) {
    const BITS: u64 = globals::bits(&OPERATORS) | globals::bit(FIND_TABLE);
    if options.process_symbols && !resolution.is_foreign() && resolution.globals.may_have(BITS) {
        share_tables(resolution, options);
        share_operators(resolution, options);
    }
}

/// Leaves the definitions of operators out that the process has as well: they are looked for outside, as all that no object defines.
fn share_operators(resolution: &mut Resolution<'_>, options: &LinkOptions<'_>) {
    for name in OPERATORS {
        let Some(id) = resolution.global(name) else {
            continue;
        };
        let target = resolution.target(id);
        let is_replaceable = matches!(target.rank, Rank::Definition | Rank::WeakDefinition)
            && target.visibility == Visibility::Default
            && !options.externals.contains_key(name)
            && !options.roots.iter().any(|root| root == name);
        if is_replaceable && process_symbol(name).is_some() {
            let target = &mut resolution.targets[id.0 as usize];
            (target.place, target.rank) = (Place::Nowhere, Rank::Reference);
        }
    }
}

/// Has an unwinder that is a part of the image find tables where those of images are registered: with the process's.
fn share_tables(resolution: &mut Resolution<'_>, options: &LinkOptions<'_>) {
    let Some(id) = resolution.global(FIND_TABLE) else {
        return;
    };
    let is_own = matches!(resolution.target(id).place, Place::Section { .. });
    if !is_own || options.externals.contains_key(FIND_TABLE) {
        return;
    }
    if let Some(address) = process_symbol(FIND_TABLE) {
        resolution.targets[id.0 as usize].place = address.into();
    }
}
