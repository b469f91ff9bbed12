//! Archives of Debian's for 64-bit Arm, linked whole and called.

use crate::checks::{SQLITE, ZLIB};
use crate::support::{Workshop, debian_archive, file, function, link, memory};
use codeslab_link::{Input, LinkOptions};

/// Debian's own archive, and a program that uses it, as one image.
fn with_archive(
    test: &str,
    archive: &str,
    package: &str,
    program: &str,
    check: impl Fn(&codeslab_link::Image),
) {
    let Some(library) = debian_archive(test, archive, package) else {
        return;
    };
    let object = Workshop::new().compile("program", program, &["-O2"]);
    let memory = memory();
    let inputs = [
        file("program.o", &object),
        Input::File {
            name: archive,
            bytes: &library,
        },
    ];
    let options = LinkOptions {
        libraries: vec![Input::Path("libm.so.6")],
        ..LinkOptions::default()
    };
    let image = link(&memory, &inputs, &options).unwrap_or_else(|error| panic!("{error}"));
    check(&image);
}

#[test]
fn debians_zlib_compresses_and_gives_back() {
    const NAME: &str = "aarch64::debian::debians_zlib_compresses_and_gives_back";
    with_archive(NAME, "libz.a", "zlib1g-dev", ZLIB, |image| {
        assert_eq!(function!(image, "check", extern "C" fn() -> i32)(), 0);
    });
}

#[test]
fn debians_sqlite_answers_queries() {
    const NAME: &str = "aarch64::debian::debians_sqlite_answers_queries";
    with_archive(NAME, "libsqlite3.a", "libsqlite3-dev", SQLITE, |image| {
        assert_eq!(function!(image, "check", extern "C" fn() -> i64)(), 166_833);
    });
}
