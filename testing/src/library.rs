//! The libraries that can be built: which crate ships the source, which of its files take part, and with which settings.
//!
//! A further library is a variant here, a row in each function, and the crate in `Cargo.toml`.

/// A library whose C source ships inside a crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Library {
    /// Fifteen small objects with few relocations each.
    Zlib,
    /// Large objects, jump tables, and on x86-64 one written in assembler.
    Zstd,
    /// One very large object, which calls back what its users give it.
    Sqlite,
}

impl Library {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Zlib, Self::Zstd, Self::Sqlite];

    /// What its archive is called, here and on systems that have it.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Zlib => "libz.a",
            Self::Zstd => "libzstd.a",
            Self::Sqlite => "libsqlite3.a",
        }
    }

    /// The library with an archive of this name.
    #[must_use]
    pub fn by_file_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|library| library.file_name() == name)
    }

    /// The crate that ships the source.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Zlib => "libz-sys",
            Self::Zstd => "zstd-sys",
            Self::Sqlite => "libsqlite3-sys",
        }
    }

    /// The folders of the crate whose source files, without those below, make the library.
    pub(crate) const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Zlib => &["src/zlib"],
            Self::Zstd => &[
                "zstd/lib/common",
                "zstd/lib/compress",
                "zstd/lib/decompress",
                "zstd/lib/dictBuilder",
            ],
            Self::Sqlite => &["sqlite3"],
        }
    }

    /// Files in these folders that are for other systems.
    pub(crate) const fn left_out(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &["wasm32-wasi-vfs.c"],
            Self::Zlib | Self::Zstd => &[],
        }
    }

    /// What its own build passes to the compiler.
    pub(crate) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Zlib => &[
                "-DHAVE_UNISTD_H",
                "-DHAVE_STDARG_H",
                "-D_LARGEFILE64_SOURCE=1",
            ],
            Self::Zstd => &["-DZSTD_LEGACY_SUPPORT=0", "-DZSTD_MULTITHREAD"],
            Self::Sqlite => &["-DSQLITE_THREADSAFE=1", "-DSQLITE_OMIT_LOAD_EXTENSION"],
        }
    }
}
