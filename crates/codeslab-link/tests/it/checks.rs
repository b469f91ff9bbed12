//! Programs that use real libraries, and say whether these do what they should.

/// Compresses a text with zlib and gets it back: `check()` returns 0.
pub(crate) const ZLIB: &str = r#"
    typedef __SIZE_TYPE__ size_t;
    int memcmp(const void *, const void *, size_t);
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

/// Has `SQLite` sum up the numbers to 1,000 that three divides: `check()` returns 166,833.
pub(crate) const SQLITE: &str = r#"
    typedef struct sqlite3 sqlite3; typedef struct sqlite3_stmt sqlite3_stmt;
    int sqlite3_open(const char *, sqlite3 **); int sqlite3_close(sqlite3 *);
    int sqlite3_exec(sqlite3 *, const char *, void *, void *, char **);
    int sqlite3_prepare_v2(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
    int sqlite3_step(sqlite3_stmt *); int sqlite3_finalize(sqlite3_stmt *); long long sqlite3_column_int64(sqlite3_stmt *, int);
    double sqlite3_column_double(sqlite3_stmt *, int);
    long long check(void) {
        sqlite3 *db; sqlite3_stmt *query;
        if (sqlite3_open(":memory:", &db)) return -1;
        if (sqlite3_exec(db, "create table t(n integer, x real); with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000)"
                             " insert into t select n, n * 0.5 from c", 0, 0, 0)) return -2;
        if (sqlite3_prepare_v2(db, "select sum(n), sum(2 * x) from t where n % 3 = 0", -1, &query, 0)) return -3;
        if (sqlite3_step(query) != 100) return -4;
        long long sum = sqlite3_column_int64(query, 0); double twice = sqlite3_column_double(query, 1);
        if (twice != sum) return -5;
        sqlite3_finalize(query);
        return sqlite3_close(db) ? -6 : sum;
    }
"#;
