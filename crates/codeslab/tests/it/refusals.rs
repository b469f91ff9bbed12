//! The real system, made to refuse: a small library that is loaded before libc fails the call that it is told to.

use crate::support::{call, layout, memories, return_constant};
use codeslab::{CodeMemory, Error, Request};
use codeslab_testing::{assert_passed, is_child, run_child};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Counts calls once it is armed, and fails one of them with ENOMEM.
const SHIM: &str = r"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/types.h>
static long left = -1, seen;
void arm(long calls) { left = calls; seen = 0; }
long disarm(void) { left = -1; return seen; }
static int fails(void) { if (left < 0) return 0; seen++; if (left-- > 0) return 0; left = 1L << 60; errno = ENOMEM; return 1; }
#define NEXT(name) __typeof__(name) *next = dlsym(RTLD_NEXT, #name)
void *mmap(void *a, size_t n, int p, int f, int d, off_t o) { NEXT(mmap); return fails() ? (void *)-1 : next(a, n, p, f, d, o); }
void *mmap64(void *a, size_t n, int p, int f, int d, off_t o) { NEXT(mmap64); return fails() ? (void *)-1 : next(a, n, p, f, d, o); }
int munmap(void *a, size_t n) { NEXT(munmap); return fails() ? -1 : next(a, n); }
int mprotect(void *a, size_t n, int p) { NEXT(mprotect); return fails() ? -1 : next(a, n, p); }
int madvise(void *a, size_t n, int m) { NEXT(madvise); return fails() ? -1 : next(a, n, m); }
int memfd_create(const char *s, unsigned f) { NEXT(memfd_create); return fails() ? -1 : next(s, f); }
int ftruncate(int d, off_t n) { NEXT(ftruncate); return fails() ? -1 : next(d, n); }
int ftruncate64(int d, off_t n) { NEXT(ftruncate64); return fails() ? -1 : next(d, n); }
ssize_t pwrite64(int d, const void *b, size_t n, off_t o) { NEXT(pwrite64); return fails() ? -1 : next(d, b, n, o); }
int fallocate(int d, int m, off_t o, off_t n) { NEXT(fallocate); return fails() ? -1 : next(d, m, o, n); }
";

/// Compiles the library into a folder of its own.
fn build_shim(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("refuse.c"), folder.join("refuse.so"));
    std::fs::write(&source, SHIM).expect("a writable folder");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    let output = compiler.output().expect("a C compiler, cc");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

/// Makes the call with this index fail, from now on.
fn arm(index: i64) {
    let at = codeslab::process_symbol("arm").expect("the library is loaded");
    let arm: extern "C" fn(i64) = unsafe { std::mem::transmute(at.value() as *const ()) };
    arm(index);
}

/// Makes no call fail any more. How many calls were there?
fn disarm() -> i64 {
    let at = codeslab::process_symbol("disarm").expect("the library is loaded");
    let disarm: extern "C" fn() -> i64 = unsafe { std::mem::transmute(at.value() as *const ()) };
    disarm()
}

/// The life of a few allocations: a usual one, one that needs a block of its own, and many that fill and empty blocks.
fn round(memory: &CodeMemory) -> Result<(), Error> {
    let (small, [code, ..]) = layout([3_000, 2_000, 1_000]);
    let mut first = memory.allocate(&Request::new(&small))?;
    first.write(code, 0, &return_constant(1))?;
    let at = first.address(code);
    let first = first.finalize()?;
    assert_eq!(call(at), 1);
    let (large, _) = layout([300_000, 100, 200_000]);
    let second = memory.allocate(&Request::new(&large))?;
    let many = (0..8)
        .map(|_| memory.allocate(&Request::new(&small))?.finalize())
        .collect::<Result<Vec<_>, _>>()?;
    second.finalize()?.free();
    drop(many);
    first.free();
    Ok(())
}

#[test]
fn whichever_call_the_system_refuses_nothing_is_left_behind_and_the_memory_goes_on_working() {
    const NAME: &str = "refusals::whichever_call_the_system_refuses_nothing_is_left_behind_and_the_memory_goes_on_working";
    if !is_child(NAME) {
        let folder = std::env::temp_dir().join(format!("codeslab-refusals-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a writable folder for temporary files");
        let library = build_shim(&folder);
        let shell = format!("LD_PRELOAD='{}' exec \"$@\"", library.display());
        let output = run_child(NAME, &shell, &[("CODESLAB_BLOCK_SIZE", "17")]);
        std::fs::remove_dir_all(&folder).expect("our own folder");
        return assert_passed(&output);
    }
    for (writer, memory) in memories() {
        let mut refused = 0;
        for index in 0.. {
            arm(index);
            let result = round(&memory);
            let calls = disarm();
            match &result {
                Ok(()) => {}
                Err(Error::Refused(_)) => refused += 1,
                Err(error) => panic!("{writer}, call {index}: {error}"),
            }
            let stats = memory.stats();
            assert_eq!(
                (stats.live, stats.in_flight),
                (0, 0),
                "{writer}, call {index}: {result:?}"
            );
            round(&memory).unwrap_or_else(|error| panic!("{writer}, after call {index}: {error}"));
            memory.trim();
            if calls <= index {
                break;
            }
        }
        assert!(refused >= 4, "{writer}: only {refused} refusals showed");
    }
}
