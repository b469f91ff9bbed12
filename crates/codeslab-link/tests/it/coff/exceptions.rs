//! C++ exceptions of GCC's: thrown and caught in linked code, with the run-time library linked in as well. That takes the system's unwinder, so they
//! run on Windows only; elsewhere their objects are made.

use super::{GPP, compiled, made};

const THROWING: &str = r#"
    struct Guard { int *count; ~Guard() { ++*count; } };
    struct Problem { int code; virtual ~Problem() {} };
    struct Worse : Problem { Worse(int n) { code = n; } };
    __attribute__((noinline)) static void deep(int n, int *count) {
        Guard guard = {count};
        if (n == 0) throw Worse(42);
        deep(n - 1, count);
    }
    extern "C" int run(int depth) {
        int count = 0;
        try { deep(depth, &count); }
        catch (const char *) { return -1; }
        catch (Problem &problem) { return problem.code * 1000 + count; }
        return -2;
    }
    extern "C" int rethrow(void) {
        try {
            try { throw 5; }
            catch (int n) { throw n + 1.5; }
        } catch (double d) { return (int)(d * 10); }
        return -1;
    }
"#;

const FLAGS: [&[&str]; 2] = [&["-O0"], &["-O2"]];

/// The archives that GCC links C++ programs with.
const LIBRARIES: [&str; 4] = ["libstdc++.a", "libgcc_eh.a", "libgcc.a", "libmingwex.a"];

fn library(test: &str, name: &'static str) -> Option<Vec<u8>> {
    made(test, GPP, ("a", name, &[]), |program, name| {
        let question = format!("-print-file-name={name}");
        let answer = std::process::Command::new(program).arg(question).output();
        let path = String::from_utf8(answer.expect("it runs").stdout).expect("a path");
        crate::support::read(std::path::Path::new(path.trim()))
    })
}

/// The tests run where there are no compilers.
#[test]
fn what_throws_on_windows_compiles() {
    let test = "what_throws_on_windows_compiles";
    for flags in FLAGS {
        let object = compiled(test, GPP, "cpp", THROWING, flags);
        assert!(object.is_none_or(|object| object.len() > 100));
    }
    for name in LIBRARIES {
        let archive = library(test, name);
        assert!(archive.is_none_or(|bytes| bytes.starts_with(b"!<arch>\n")));
    }
}

#[cfg(windows)]
mod on_windows {
    use super::super::{GPP, compiled};
    use super::{FLAGS, LIBRARIES, THROWING, library};
    use crate::support::{externals, file, function, link, memory};

    /// Variables of threads in the run-time library tell by these when threads end, which its start files would see to.
    static IS_THREADED: i32 = 0;

    extern "C" fn never(_key: u32, _destructor: *const u8) -> i32 {
        0
    }

    #[test]
    fn exceptions_are_thrown_and_caught_in_linked_code() {
        let test = "exceptions_are_thrown_and_caught_in_linked_code";
        let libraries = LIBRARIES.map(|name| Some((name, library(test, name)?)));
        let Some(libraries) = libraries.into_iter().collect::<Option<Vec<_>>>() else {
            return;
        };
        let memory = memory();
        let before = memory.stats();
        for flags in FLAGS {
            let Some(object) = compiled(test, GPP, "cpp", THROWING, flags) else {
                return;
            };
            let libraries = libraries.iter().map(|(name, bytes)| file(name, bytes));
            let mut options = externals(&[
                ("__mingwthr_key_dtor", never as *const () as u64),
                ("_CRT_MT", &raw const IS_THREADED as u64),
            ]);
            options.libraries = libraries.collect();
            let image = link(&memory, &[file("throwing.obj", &object)], &options);
            let image = image.unwrap_or_else(|error| panic!("{error}"));
            let run = function!(image, "run", extern "C" fn(i32) -> i32);
            for depth in [0, 1, 10, 100] {
                assert_eq!(run(depth), 42_001 + depth, "{flags:?}");
            }
            let rethrow = function!(image, "rethrow", extern "C" fn() -> i32);
            assert_eq!(rethrow(), 65, "{flags:?}");
            image.free();
        }
        let after = memory.stats();
        assert_eq!((after.live, after.used_bytes), (0, before.used_bytes));
    }
}
