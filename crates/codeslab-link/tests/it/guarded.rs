//! Guarded code on 64-bit Arm (BTI): objects that have landing pads are linked and run, others are refused.

use crate::support::{Workshop, address, file, function, link, link_files};
use codeslab::{CodeMemory, Options};
use codeslab_link::{Error, Feature, LinkOptions};
use codeslab_testing::skip;

fn guarded(name: &str) -> Option<CodeMemory> {
    let options = Options {
        branch_protection: true,
        ..Options::default()
    };
    let memory = CodeMemory::new(options).expect("this machine has code memory");
    if !memory.configuration().branch_protection {
        skip(name, "the processor or the system guards no branches");
        return None;
    }
    Some(memory)
}

/// Calls through pointers, of its own functions and the process's; a function that is chosen when it is linked; a variable of threads;
/// operations of the compiler's own library; and a jump into its middle.
const PROGRAM: &str = r#"
    #include <setjmp.h>
    #include <stdlib.h>
    static int less(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
    static int one(void) { return 1; }
    static int (*choose(void))(void) { return one; }
    int chosen(void) __attribute__((ifunc("choose")));
    static __thread int own = 20;
    static jmp_buf back;
    int (*volatile pointer)(void) = chosen;
    long (*volatile absolute)(long) = labs;
    static int counter;
    int f(int n) {
        int list[4] = {4, 3, 2, 1};
        qsort(list, 4, sizeof *list, less);
        if (!setjmp(back)) longjmp(back, 1);
        own += 1;
        __atomic_fetch_add(&counter, 5, __ATOMIC_SEQ_CST);
        switch (n) { case 0: n = 7; break; case 1: n = 11; break; case 2: n = 13; break; case 3: n = 17; break; case 4: n = 19; break; default: n = 1; }
        return list[0] * 100000 + pointer() * 10000 + absolute(-3) * 1000 + own * 10 + n + counter;
    }
"#;

#[test]
fn objects_with_landing_pads_run_where_branches_are_guarded() {
    let name = "guarded::objects_with_landing_pads_run_where_branches_are_guarded";
    let Some(memory) = guarded(name) else {
        return;
    };
    let workshop = Workshop::new();
    for flags in [
        &["-O2", "-mbranch-protection=standard"][..],
        &["-O0", "-mbranch-protection=bti"],
        &[
            "-O2",
            "-mbranch-protection=standard",
            "-fPIC",
            "-moutline-atomics",
        ],
        &[
            "-O2",
            "-mbranch-protection=standard",
            "-fno-pic",
            "-mcmodel=large",
        ],
    ] {
        let object = workshop.compile("program", PROGRAM, flags);
        let image = link_files(&memory, &[("program.o", &object)]);
        let f = function!(image, "f", extern "C" fn(i32) -> i32);
        assert_eq!(f(2), 113_000 + 210 + 13 + 5, "{flags:?}");
    }
}

#[test]
fn an_object_without_landing_pads_is_refused_where_branches_are_guarded_and_nowhere_else() {
    let name = "guarded::an_object_without_landing_pads_is_refused_where_branches_are_guarded_and_nowhere_else";
    let Some(memory) = guarded(name) else {
        return;
    };
    let workshop = Workshop::new();
    let source = "int f(void) { return 7; } int data = 1;";
    let unmarked = workshop.compile("unmarked", source, &["-mbranch-protection=none"]);
    let marked = workshop.compile(
        "marked",
        "int g(void) { return 8; }",
        &["-mbranch-protection=bti"],
    );
    let data = workshop.assemble("data", ".data\n.globl d\nd: .word 5\n");
    let both = [file("marked.o", &marked), file("unmarked.o", &unmarked)];
    match link(&memory, &both, &LinkOptions::default()) {
        Err(Error::Unsupported { feature, reference }) => {
            assert_eq!(feature, Feature::NoLandingPads);
            assert_eq!(reference.object, "unmarked.o");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(memory.stats().live, 0);
    // What has no code needs no mark, and a library's member that is not needed does no harm.
    let image = link_files(&memory, &[("marked.o", &marked), ("data.o", &data)]);
    assert_eq!(function!(image, "g", extern "C" fn() -> i32)(), 8);
    let plain = crate::support::memory();
    let image = link_files(&plain, &[("marked.o", &marked), ("unmarked.o", &unmarked)]);
    assert_eq!(function!(image, "f", extern "C" fn() -> i32)(), 7);
    let _ = address(&image, "data");
}
