//! What is refused by name, and damaged objects: a typed error, never a panic, and nothing is left behind.

use super::{CLANG, assembled, compiled};
use crate::support::{externals, fact, file, link_error, memory};
use codeslab_link::{LinkOptions, link};
use proptest::prelude::*;
use std::sync::LazyLock;

#[test]
fn thread_local_variables_are_refused_by_name() {
    let test = "thread_local_variables_are_refused_by_name";
    let source = "__declspec(thread) int counter = 5; int next(void) { return ++counter; }";
    let Some(object) = compiled(test, CLANG, "c", source, &["-O1"]) else {
        return;
    };
    let error = link_error(&[file("tls.obj", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "UNSUPPORTED", "{error}");
    assert_eq!(fact(&error, "feature"), "thread-local");
    let Some(user) = assembled(test, ".text\nmovl _tls_index(%rip), %eax\nret\n") else {
        return;
    };
    let error = link_error(&[file("user.obj", &user)], &LinkOptions::default());
    assert_eq!(fact(&error, "feature"), "thread-local");
    assert_eq!(fact(&error, "symbol"), "_tls_index");
}

#[test]
fn writable_code_intermediate_code_and_other_machines_are_refused_by_name() {
    let test = "writable_code_intermediate_code_and_other_machines_are_refused_by_name";
    let source = ".section both,\"xw\"\nret\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let error = link_error(&[file("both.obj", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "WRITABLE_CODE", "{error}");
    for (number, name) in [(0x14c_u16, "x86"), (0xaa64, "AArch64")] {
        let mut other = object.clone();
        other[..2].copy_from_slice(&number.to_le_bytes());
        let error = link_error(&[file("other.obj", &other)], &LinkOptions::default());
        assert_eq!(error.code(), "WRONG_ARCHITECTURE", "{error}");
        assert!(
            error.to_string().contains(&format!("made for {name}")),
            "{error}"
        );
    }
    let executable = link_error(
        &[file("a.dll", b"MZ and more of it.....")],
        &LinkOptions::default(),
    );
    assert_eq!(executable.code(), "NOT_RELOCATABLE", "{executable}");
    // The header of an object with Microsoft's intermediate code.
    let mut anonymous = vec![0; 64];
    anonymous[..8].copy_from_slice(&[0, 0, 0xff, 0xff, 1, 0, 0x64, 0x86]);
    let error = link_error(&[file("gl.obj", &anonymous)], &LinkOptions::default());
    assert_eq!(fact(&error, "feature"), "intermediate-code");
}

/// Functions of one kind of object cannot call those of the other.
#[cfg(unix)]
#[test]
fn objects_of_both_formats_are_not_linked_together() {
    let test = "objects_of_both_formats_are_not_linked_together";
    let Some(windows) = assembled(test, ".text\n.globl f\nf: ret\n") else {
        return;
    };
    let elf = crate::support::Workshop::new().assemble("g", ".text\n.globl g\ng: ret\n");
    let error = link_error(
        &[file("g.o", &elf), file("f.obj", &windows)],
        &LinkOptions::default(),
    );
    assert_eq!(error.code(), "WRONG_ARCHITECTURE", "{error}");
    assert_eq!(
        error.to_string(),
        "f.obj: made for the calling convention of Windows (PE), not for the calling convention of System V (ELF), as the objects before it"
    );
}

/// Nothing of this process can be called in the way of another system.
#[cfg(unix)]
#[test]
fn functions_of_a_process_with_another_convention_are_not_bound_to() {
    let test = "functions_of_a_process_with_another_convention_are_not_bound_to";
    let source = ".text\n.globl f\nf: jmp strlen\n";
    let Some(object) = assembled(test, source) else {
        return;
    };
    let error = link_error(&[file("f.obj", &object)], &LinkOptions::default());
    assert_eq!(error.code(), "UNDEFINED_SYMBOL");
    assert!(error.to_string().contains("calling convention"), "{error}");
}

const SOURCE: &str = "
    .section .text,\"xr\",discard,shared
    .globl shared
    shared: .seh_proc shared
    subq $40, %rsp
    .seh_stackalloc 40
    .seh_endprologue
    call f
    addq $40, %rsp
    ret
    .seh_endproc
    .text
    .globl f
    f:  movb $1, it(%rip)
        call *__imp_shared(%rip)
        jmp shared
    .data
    .globl it
    it: .quad f
    .long it@IMGREL
    .secrel32 it
    .secidx it
    .comm pool, 64, 5
    .weak nobody
    .quad nobody
    .section .CRT$XCU,\"dr\"
    .quad 0
    .section .drectve,\"yn\"
    .ascii \" /alternatename:x=y -aligncomm:pool,5 /include:f\"
";

/// An object with most kinds of sections, symbols and relocations, and a member of an import library.
static SEEDS: LazyLock<Option<[Vec<u8>; 2]>> = LazyLock::new(|| {
    let object = assembled("damaged COFF objects", SOURCE)?;
    let mut import = vec![
        0, 0, 0xff, 0xff, 0, 0, 0x64, 0x86, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 4, 0,
    ];
    import.extend(b"it\0a.dll\0\0");
    Some([object, import])
});

fn survive(bytes: &[u8]) {
    let memory = memory();
    let inputs = [file("damaged", bytes)];
    let options = externals(&[("it", 0)]);
    for options in [&LinkOptions::default(), &options] {
        // Nothing of it is started: it may have any functions among its constructors.
        match link(&memory, &inputs, options) {
            Ok(linked) => drop(linked),
            Err(error) => assert!(!error.to_string().is_empty() && error.facts().len() < 16),
        }
        let stats = memory.stats();
        assert_eq!((stats.live, stats.in_flight, stats.used_bytes), (0, 0, 0));
    }
}

#[test]
fn the_seeds_are_sound() {
    let Some(seeds) = &*SEEDS else { return };
    for seed in seeds {
        let options = externals(&[("it", 0)]);
        link(&memory(), &[file("seed", seed)], &options).expect("it links");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_may_be_anything(
        which in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let Some(seeds) = &*SEEDS else { return Ok(()) };
        let mut bytes = seeds[which].clone();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        survive(&bytes);
    }

    #[test]
    fn fields_may_be_extreme(
        which in 0..2_usize,
        at in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![0, 1, 0x7fff_ffff, 0x8000_0000, u64::MAX, u64::MAX - 7, 1 << 47]),
        size in prop::sample::select(vec![2_usize, 4, 8]),
    ) {
        let Some(seeds) = &*SEEDS else { return Ok(()) };
        let mut bytes = seeds[which].clone();
        let at = at.index(bytes.len() / size) * size;
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        survive(&bytes);
    }

    #[test]
    fn files_may_end_anywhere(which in 0..2_usize, end in any::<prop::sample::Index>()) {
        let Some(seeds) = &*SEEDS else { return Ok(()) };
        let bytes = &seeds[which];
        survive(&bytes[..end.index(bytes.len())]);
    }

    #[test]
    fn files_may_be_noise(which in 0..2_usize, noise in prop::collection::vec(any::<u8>(), 0..512)) {
        let magic: &[u8] = [&[0x64, 0x86][..], &[0, 0, 0xff, 0xff]][which];
        survive(&[magic, &noise].concat());
    }
}
