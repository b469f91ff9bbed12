//! Archives of Debian's for 64-bit Arm, linked whole and called.

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
    let program = r#"
        #include <stddef.h>
        #include <string.h>
        int compress(unsigned char *, unsigned long *, const unsigned char *, unsigned long);
        int uncompress(unsigned char *, unsigned long *, const unsigned char *, unsigned long);
        unsigned long crc32(unsigned long, const unsigned char *, unsigned);
        int check(void) {
            static unsigned char text[100000], packed[120000], again[100000];
            for (int i = 0; i < 100000; i++) text[i] = i * i / 7 % 61;
            unsigned long size = sizeof packed, length = sizeof again;
            if (compress(packed, &size, text, sizeof text) || size > 60000) return 1;
            if (uncompress(again, &length, packed, size) || length != sizeof text) return 2;
            if (memcmp(text, again, sizeof text)) return 3;
            return crc32(0, (const unsigned char *)"123456789", 9) == 0xcbf43926 ? 0 : 4;
        }
    "#;
    with_archive(NAME, "libz.a", "zlib1g-dev", program, |image| {
        assert_eq!(function!(image, "check", extern "C" fn() -> i32)(), 0);
    });
}

#[test]
fn debians_sqlite_answers_queries() {
    const NAME: &str = "aarch64::debian::debians_sqlite_answers_queries";
    let program = r#"
        typedef struct sqlite3 sqlite3; typedef struct sqlite3_stmt sqlite3_stmt;
        int sqlite3_open(const char *, sqlite3 **); int sqlite3_close(sqlite3 *);
        int sqlite3_exec(sqlite3 *, const char *, void *, void *, char **);
        int sqlite3_prepare_v2(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
        int sqlite3_step(sqlite3_stmt *); int sqlite3_finalize(sqlite3_stmt *); long sqlite3_column_int64(sqlite3_stmt *, int);
        double sqlite3_column_double(sqlite3_stmt *, int);
        long check(void) {
            sqlite3 *db; sqlite3_stmt *query;
            if (sqlite3_open(":memory:", &db)) return -1;
            if (sqlite3_exec(db, "create table t(n integer, x real); with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000)"
                                 " insert into t select n, sqrt(n) from c", 0, 0, 0)) return -2;
            if (sqlite3_prepare_v2(db, "select sum(n), sum(x * x) from t where n % 3 = 0", -1, &query, 0)) return -3;
            if (sqlite3_step(query) != 100) return -4;
            long sum = sqlite3_column_int64(query, 0); double squares = sqlite3_column_double(query, 1);
            if (squares < sum - 1 || squares > sum + 1) return -5;
            sqlite3_finalize(query);
            return sqlite3_close(db) ? -6 : sum;
        }
    "#;
    with_archive(NAME, "libsqlite3.a", "libsqlite3-dev", program, |image| {
        assert_eq!(function!(image, "check", extern "C" fn() -> i64)(), 166_833);
    });
}
