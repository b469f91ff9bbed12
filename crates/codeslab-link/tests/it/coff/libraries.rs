//! Whole libraries in C, compiled from source by two compilers, linked and called. They use the C library of the process, so they run on
//! Windows only; elsewhere they are made.

use super::{CLANG, GCC, Tool, compiled, made};
use crate::checks::{SQLITE, ZLIB};
use codeslab_testing::{Compiler, Library, archive};
use std::path::{Path, PathBuf};

/// What the libraries ask of Microsoft's C library, whose headers come with its compiler: declarations, under the names of standard headers.
const DECLARATIONS: &str = include_str!("libraries.h");
const HEADERS: [&str; 14] = [
    "assert.h",
    "ctype.h",
    "errno.h",
    "fcntl.h",
    "io.h",
    "malloc.h",
    "math.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "time.h",
    "unistd.h",
    "sys/stat.h",
    "sys/types.h",
];

/// The part of `SQLite` that knows the system, for the objects that were compiled to do without one: enough for a database in memory.
const NO_SYSTEM: &str = r#"
    typedef struct {
        int version, file_size, path_size; void *next; const char *name; void *data, *files[8];
        int (*fill)(void *, int, char *); int (*wait)(void *, int); int (*tell_time)(void *, double *); int (*tell_error)(void *, int, char *);
    } System;
    int sqlite3_vfs_register(System *, int);
    static int fill(void *self, int count, char *at) { for (int i = 0; i < count; i++) at[i] = (char)(i * 37 + 11); return count; }
    static int wait(void *self, int microseconds) { return microseconds; }
    static int tell_time(void *self, double *day) { *day = 2460000.5; return 0; }
    static int tell_error(void *self, int size, char *at) { return 0; }
    static System none = {1, 8, 64, 0, "none", 0, {0}, fill, wait, tell_time, tell_error};
    int sqlite3_os_init(void) { return sqlite3_vfs_register(&none, 1); }
    int sqlite3_os_end(void) { return 0; }
"#;

/// A library, compiled one way, and a program that says what `check()` has to return.
struct Case {
    tool: Tool,
    library: Library,
    flags: &'static str,
    program: &'static str,
    #[cfg_attr(unix, expect(dead_code, reason = "nothing is called here"))]
    answer: i64,
}

// The first two are those of the JavaScript tests' libraries, which are built once for both.
const ZLIB_FLAGS: &str = "-O2 -D__USE_MINGW_ANSI_STDIO=0 -DNO_snprintf -DNO_vsnprintf -Dopen=_open -Dread=_read -Dwrite=_write -Dclose=_close";
const SQLITE_FLAGS: &str = "-O2";
const WITHOUT_SYSTEM: &str = "-O1 -w -DSQLITE_OS_OTHER=1 -DSQLITE_OMIT_SEH -DSQLITE_DISABLE_INTRINSIC -DSQLITE_OMIT_LOCALTIME";

#[rustfmt::skip] // A table is read by columns.
const CASES: [Case; 4] = [
    Case { tool: GCC,   library: Library::Zlib,   flags: ZLIB_FLAGS,     program: ZLIB,   answer: 0 },
    Case { tool: CLANG, library: Library::Zlib,   flags: ZLIB_FLAGS,     program: ZLIB,   answer: 0 },
    Case { tool: GCC,   library: Library::Sqlite, flags: SQLITE_FLAGS,   program: SQLITE, answer: 166_833 },
    Case { tool: CLANG, library: Library::Sqlite, flags: WITHOUT_SYSTEM, program: SQLITE, answer: 166_833 },
];

impl Case {
    /// The library as an archive, and the program's objects. `None` where the compiler is missing.
    fn inputs(&self, test: &str) -> Option<Vec<(&'static str, Vec<u8>)>> {
        let key = ("a", self.library.file_name(), &[self.flags][..]);
        let library = made(test, self.tool, key, |program, _| {
            let headers = headers();
            let headers = headers.to_string_lossy();
            let mut flags: Vec<&str> = self.flags.split(' ').collect();
            if let Some(target) = self.tool.flags.first() {
                flags.extend([target, "-nostdlibinc", "-isystem", &headers]);
            }
            let path = archive(self.library, &Compiler::new(program, &flags));
            crate::support::read(&path.unwrap_or_else(|error| panic!("{error}")))
        })?;
        let mut inputs = vec![(self.library.file_name(), library)];
        for (name, source) in [("check.obj", self.program), ("system.obj", NO_SYSTEM)] {
            if name == "check.obj" || self.flags == WITHOUT_SYSTEM {
                inputs.push((
                    name,
                    compiled(test, self.tool, "c", source, &["-O1", "-w"])?,
                ));
            }
        }
        Some(inputs)
    }
}

/// A folder with the headers, for its content: archives are made anew where it is another.
fn headers() -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (DECLARATIONS, HEADERS).hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kept = folder.join(format!("headers-{:016x}", hasher.finish()));
    if !kept.exists() {
        let own = folder.join(format!("headers-{}", std::process::id()));
        std::fs::create_dir_all(own.join("sys")).expect("the target folder is writable");
        for name in HEADERS {
            std::fs::write(own.join(name), DECLARATIONS).expect("the target folder is writable");
        }
        // Another test may have been faster.
        if std::fs::rename(&own, &kept).is_err() {
            let _ = std::fs::remove_dir_all(&own);
        }
    }
    kept
}

/// The tests run where there are no compilers. `SQLite` takes one a minute, so it is made for such a run only.
#[test]
fn libraries_for_windows_compile() {
    let test = "libraries_for_windows_compile";
    let is_wanted = |case: &Case| case.library != Library::Sqlite || super::folder().is_some();
    for case in CASES.into_iter().filter(is_wanted) {
        let inputs = case.inputs(test);
        assert!(inputs.is_none_or(|inputs| inputs[0].1.starts_with(b"!<arch>\n")));
    }
}

#[cfg(windows)]
#[test]
fn zlib_and_sqlite_compute_what_they_should() {
    use crate::support::{file, function, link, memory};
    use codeslab_link::LinkOptions;
    let test = "zlib_and_sqlite_compute_what_they_should";
    let memory = memory();
    for case in CASES {
        let Some(inputs) = case.inputs(test) else {
            continue;
        };
        let what = (case.tool.programs[0], case.library);
        let inputs: Vec<_> = inputs
            .iter()
            .map(|(name, bytes)| file(name, bytes))
            .collect();
        let image = link(&memory, &inputs, &LinkOptions::default());
        let image = image.unwrap_or_else(|error| panic!("{what:?}: {error}"));
        let answer = match case.library {
            Library::Sqlite => function!(image, "check", extern "C" fn() -> i64)(),
            _ => function!(image, "check", extern "C" fn() -> i32)().into(),
        };
        assert_eq!(answer, case.answer, "{what:?}");
        image.free();
        assert_eq!(memory.stats().used_bytes, 0, "{what:?}");
    }
}
