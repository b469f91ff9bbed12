//! Functions that images find here and not in the process, and data that the process has under another name.
//!
//! A shared library has some functions linked in, because each has to have its own: they register by the library's handle. And some that
//! the process does have would take an image for a part of the program, which never goes. [`PROVIDED`] is the table of them, which
//! docs/linking.md shows. The linker asks for them after an image's own definitions, the embedder's, and the libraries', and before the
//! process's.
#![allow(unsafe_code)] // These are functions that C calls with pointers.

use crate::keys;
use crate::sys::{self, FUNCTIONS};
use crate::threads;
use codeslab::{Address, process_symbol};
use std::ffi::{c_int, c_void};

/// A function that images find here.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Provided {
    /// Its name.
    pub name: &'static str,
    /// What stands in for it.
    pub stand: Stand,
    /// Why the process's does not do.
    pub reason: &'static str,
}

/// What stands in for a function.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Stand {
    /// Code that the linker makes for each image: it passes its arguments on to `function`, with further ones.
    Binder {
        /// The function that it goes on to.
        function: &'static str,
        /// The argument that is null, counted from 0, if one is.
        null: Option<u8>,
        /// The argument that is the handle of the image, counted from 0, if one is.
        handle: Option<u8>,
    },
    /// A function of this crate.
    Function(fn() -> u64),
    /// Something of the process under another name, where it is.
    Found(fn() -> Option<u64>),
}

/// What the crate has for images, by name.
#[rustfmt::skip] // A table is read by columns.
pub const PROVIDED: &[Provided] = &[
    Provided { name: "atexit", stand: binder("__cxa_atexit", Some(1), 2), reason: OWN },
    Provided { name: "at_quick_exit", stand: binder("__cxa_at_quick_exit", None, 1), reason: OWN },
    Provided { name: "pthread_atfork", stand: binder("__register_atfork", None, 3), reason: OWN },
    Provided { name: "on_exit", stand: binder("codeslab_on_exit", None, 2), reason: FORGETS },
    Provided { name: "pthread_key_create", stand: binder("codeslab_key_create", None, 2), reason: KEYS },
    Provided { name: "__pthread_key_create", stand: binder("codeslab_key_create", None, 2), reason: KEYS },
    Provided { name: "tss_create", stand: binder("codeslab_tss_create", None, 2), reason: KEYS },
    Provided { name: "pthread_key_delete", stand: Stand::Found(|| of_keys(keys::delete as *const ())), reason: KEYS },
    Provided { name: "tss_delete", stand: Stand::Found(|| of_keys(keys::delete as *const ())), reason: KEYS },
    Provided { name: "codeslab_key_create", stand: Stand::Found(|| of_keys(keys::create as *const ())), reason: "`pthread_key_create` goes on to it" },
    Provided { name: "codeslab_tss_create", stand: Stand::Found(|| of_keys(keys::create_c11 as *const ())), reason: "`tss_create` goes on to it" },
    Provided { name: "__cxa_atexit", stand: Stand::Found(sys::own_cxa_atexit), reason: LISTS },
    Provided { name: "__stack_chk_fail_local", stand: Stand::Binder { function: "__stack_chk_fail", null: None, handle: None }, reason: OWN },
    Provided { name: "codeslab_on_exit", stand: Stand::Function(|| on_exit as *const () as u64), reason: "`on_exit` goes on to it" },
    Provided { name: "__cxa_thread_atexit_impl", stand: Stand::Function(|| threads::register as *const () as u64), reason: FORGETS },
    Provided { name: "_dl_x86_cpu_features", stand: Stand::Found(sys::processor_features), reason: STATIC },
    Provided { name: "__cxa_thread_atexit", stand: Stand::Function(|| threads::register as *const () as u64), reason: FORGETS },
];

const OWN: &str = "each shared library has its own linked in";
const FORGETS: &str = "the process's takes the image for a part of the program, which never goes";
const LISTS: &str = "musl's would call the function when the image is gone, and Windows has none";
const KEYS: &str = "the process's would go on calling the destructor when the image is gone";
const STATIC: &str =
    "static libraries of glibc want the C library that is linked with them to have filled it in";

/// A function for keys of threads, where there are such keys.
fn of_keys(function: *const ()) -> Option<u64> {
    sys::HAS_KEYS.then(|| function.addr() as u64)
}

const fn binder(function: &'static str, null: Option<u8>, handle: u8) -> Stand {
    Stand::Binder {
        function,
        null,
        handle: Some(handle),
    }
}

/// The bit of names with this length and these letters at their ends.
const fn bit(name: &str) -> u128 {
    match name.as_bytes() {
        [first, .., last] => {
            let number = name.len() as u64 * 29 + *last as u64 * 7 + *first as u64;
            1 << (number % 128)
        }
        _ => 1,
    }
}

/// The bits of all names in the tables: links ask for many that are in none.
const BITS: u128 = {
    let (mut all, mut index) = (0, 0);
    while index < PROVIDED.len() {
        all |= bit(PROVIDED[index].name);
        index += 1;
    }
    index = 0;
    while index < FUNCTIONS.len() {
        all |= bit(FUNCTIONS[index].0);
        index += 1;
    }
    all
};

/// The function of this crate that images find under a name.
#[must_use]
pub fn provided(name: &str) -> Option<Address> {
    if BITS & bit(name) == 0 {
        return None;
    }
    let in_table = PROVIDED.iter().find(|provided| provided.name == name);
    match in_table.map(|provided| provided.stand) {
        Some(Stand::Function(address)) => return Some(Address::new(address())),
        Some(Stand::Found(address)) => return address().map(Address::new),
        Some(Stand::Binder { .. }) | None => {}
    }
    // Names of older C libraries, in those that do not have them.
    let (_, address) = FUNCTIONS.iter().find(|(old, _)| *old == name)?;
    let is_missing = process_symbol(name).is_none();
    is_missing.then(|| Address::new(address()))
}

/// A call that waits for the exit.
struct OnExit {
    function: unsafe extern "C-unwind" fn(c_int, *mut c_void),
    argument: *mut c_void,
}

/// `on_exit` for the image with this handle: the function is called with the status and `argument` when the process exits, or with 0 when the
/// image is freed.
///
/// # Safety
/// The function may be called with `argument` then, and is sound.
unsafe extern "C" fn on_exit(
    function: unsafe extern "C-unwind" fn(c_int, *mut c_void),
    argument: *mut c_void,
    handle: *const c_void,
) -> c_int {
    let waiting = Box::new(OnExit { function, argument });
    let data = Box::into_raw(waiting).cast();
    let handle = Address::new(handle.addr() as u64);
    // SAFETY: `call_on_exit` takes such a box, once; and what it calls may be called by the obligation.
    let refused = unsafe { sys::register_for_image(call_on_exit, data, handle) };
    if refused != 0 {
        // SAFETY: it is the box that was made above, which was not taken.
        drop(unsafe { Box::from_raw(data.cast::<OnExit>()) });
    }
    refused
}

/// # Safety
/// `data` is a box of an [`OnExit`] that nothing else owns, and what that calls is sound.
unsafe extern "C-unwind" fn call_on_exit(data: *mut c_void, status: c_int) {
    // SAFETY: that is what it is, by the obligation.
    let waiting = unsafe { Box::from_raw(data.cast::<OnExit>()) };
    // SAFETY: it is sound by the obligation.
    unsafe { (waiting.function)(status, waiting.argument) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab_testing::document;
    use std::collections::BTreeSet;

    #[test]
    fn the_guide_has_every_function_that_is_provided_and_no_other() {
        let text = document("docs/linking.md");
        let table = text.split("<!-- provided -->").nth(1).expect("a table");
        let table = table.split("<!-- /provided -->").next().expect("its end");
        let first = table.lines().filter_map(|line| line.split('|').nth(1));
        let documented: BTreeSet<&str> = first
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let own = PROVIDED.iter().map(|provided| provided.name);
        // What `on_exit` goes on to is not for images to call.
        let own = own.filter(|name| !name.starts_with("codeslab_"));
        let old = FUNCTIONS.iter().map(|(name, _)| *name);
        // The guide says of those with 64 that they are there, too.
        let old = old.filter(|name| !name.ends_with("64"));
        assert_eq!(documented, own.chain(old).collect());
    }

    #[test]
    fn functions_that_the_process_has_are_left_to_it() {
        assert_eq!(provided("malloc"), None);
        assert!(provided("__cxa_thread_atexit_impl").is_some());
        // Made for each image by the linker.
        assert_eq!(provided("atexit"), None);
    }
}
