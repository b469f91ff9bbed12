//! What is refused, by which name.

use super::assembled;
use crate::support::{fact, file, link_error};
use codeslab_link::LinkOptions;
use codeslab_testing::apple_object;

#[test]
fn what_the_dynamic_linker_sets_up_is_refused_by_name() {
    let test = "what_the_dynamic_linker_sets_up_is_refused_by_name";
    let sources = [
        (
            ".section __DATA,__thread_init,thread_local_init_function_pointers\n.quad _f\n",
            "thread-local",
        ),
        (
            ".section __DATA,__nl_symbol_ptr,non_lazy_symbol_pointers\n.indirect_symbol _f\n.quad 0\n",
            "indirect-symbols",
        ),
        (
            ".section __DATA,__interpose,interposing\n.quad _a, _b\n",
            "interposing",
        ),
        (
            ".section __DATA,__objc_classlist,regular,no_dead_strip\n.quad _c\n",
            "objective-c",
        ),
    ];
    for (source, feature) in sources {
        let Some(object) = assembled(test, source) else {
            return;
        };
        let error = link_error(&[file("it.o", &object)], &LinkOptions::default());
        assert_eq!(
            (error.code(), &*fact(&error, "feature")),
            ("UNSUPPORTED", feature),
            "{error}"
        );
    }
}

#[test]
fn writable_code_is_refused() {
    let source = ".section __DATA,__code,regular,pure_instructions\nret\n";
    let Some(object) = assembled("writable_code_is_refused", source) else {
        return;
    };
    let error = link_error(&[file("it.o", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "WRITABLE_CODE");
}

/// Another machine, another word size, and files that are linked already.
#[test]
fn files_for_others_are_refused_with_what_they_are() {
    let test = "files_for_others_are_refused_with_what_they_are";
    for (machine, found) in [
        ("arm64", "aarch64"),
        ("arm64e", "arm64e"),
        ("i386", "a machine of 32 bits"),
    ] {
        let Some(object) = apple_object(test, machine, "s", ".data\n.long 1\n", &[]) else {
            return;
        };
        let error = link_error(&[file("it.o", &object)], &LinkOptions::default());
        assert_eq!(
            (error.code(), &*fact(&error, "found")),
            ("WRONG_ARCHITECTURE", found)
        );
    }
    let Some(mut object) = assembled(test, ".data\n.long 1\n") else {
        return;
    };
    for (kind, found) in [
        (2, "executable"),
        (6, "shared library"),
        (11, "file of type 11"),
    ] {
        object[12] = kind;
        let error = link_error(&[file("it", &object)], &LinkOptions::default());
        assert_eq!(
            (error.code(), &*fact(&error, "found")),
            ("NOT_RELOCATABLE", found)
        );
    }
}
