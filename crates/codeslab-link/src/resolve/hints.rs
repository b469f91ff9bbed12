//! What may help where a symbol is not defined: the library that usually has it, or a name that is almost the same.
//!
//! An error of a link is read by a person who forgot a library or mistyped a name. Libraries are told by how their symbols begin; names
//! are compared with all that the link has defined, as far as its budget goes.

use super::provided::is_of_file;
use super::resolution::Resolution;
use super::target::TargetId;
use crate::error::Resource;
use crate::similar::{Similar, distance};

/// How symbols begin, and the library that has them.
#[rustfmt::skip] // A line for each library.
const LIBRARIES: [(&[&str], &str); 25] = [
    (&["_ZNSt", "_ZNKSt", "_ZSt", "_ZTVSt", "_ZTISt", "_ZTVN10__cxxabiv", "__cxa_", "__gxx_", "_Znwm", "_Znam", "_ZdlPv", "_ZdaPv"], "libstdc++.so.6"),
    (&["_Unwind_", "__mulodi", "__udivti", "__divti", "__umodti", "__modti"], "libgcc_s.so.1"),
    (&["__atomic_"], "libatomic.so.1"),
    (&["GOMP_", "omp_"], "libgomp.so.1"),
    (&["_gfortran_"], "libgfortran.so.5"),
    (&["__gmp"], "libgmp.a"),
    (&["SSL_", "TLS_", "DTLS_"], "libssl.a"),
    (&["EVP_", "BN_", "CRYPTO_", "ERR_", "RSA_", "SHA1_", "SHA256_", "OPENSSL_"], "openssl (-lcrypto)"),
    (&["inflate", "deflate", "gzopen", "gzread", "adler32"], "libz.a"),
    (&["ZSTD_", "HUF_", "FSE_"], "libzstd.a"),
    (&["sqlite3_"], "libsqlite3.a"),
    (&["Py_", "PyObject_", "PyErr_", "PyList_"], "libpython3.so"),
    (&["BZ2_"], "libbz2.a"),
    (&["lzma_"], "liblzma.a"),
    (&["LZ4_", "LZ4F_"], "liblz4.a"),
    (&["Brotli"], "libbrotlicommon.a and its like"),
    (&["lua_", "luaL_"], "liblua5.4.a"),
    (&["uv_"], "libuv.a"),
    (&["png_"], "libpng.a"),
    (&["jpeg_"], "libjpeg.a"),
    (&["XML_"], "libexpat.a"),
    (&["xmlNew", "xmlFree", "xmlParse", "xmlRead"], "libxml2.a"),
    (&["pcre2_"], "libpcre2-8.a"),
    (&["FT_"], "libfreetype.a"),
    (&["cblas_", "dgemm_", "sgemm_"], "libopenblas.a"),
];

/// Functions of the mathematical library.
const MATHEMATICS: [&str; 16] = [
    "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "exp", "exp2", "log", "log2", "log10",
    "pow", "cbrt", "fmod", "hypot",
];

/// What may help where `name` is not defined.
pub(super) fn hint(resolution: &Resolution<'_>, id: TargetId, name: &str) -> Option<String> {
    if is_of_file(name) {
        return Some("an image in memory has no file header for it".to_owned());
    }
    if resolution.is_foreign() {
        let reason = "the objects have another calling convention than this process, whose functions they cannot call";
        return Some(format!(
            "{reason}: an input or `externals` has to define it"
        ));
    }
    if !resolution.target(id).may_be_outside() {
        return Some("it is hidden, so an input or `externals` has to define it".to_owned());
    }
    if let Some(advice) = mangled(resolution, name) {
        return Some(advice);
    }
    if let Some(other) = nearest(resolution, name) {
        return Some(format!("did you mean {other}?"));
    }
    let library = likely_library(name)?;
    Some(format!(
        "{library} usually has it: pass it among `libraries`"
    ))
}

/// The library that usually has symbols which begin like this one.
pub(super) fn likely_library(name: &str) -> Option<&'static str> {
    let base = name.trim_end_matches(['f', 'l']);
    if MATHEMATICS.contains(&name) || MATHEMATICS.contains(&base) {
        return Some("libm.so.6");
    }
    let mut libraries = LIBRARIES.iter();
    let has = |start: &&str| name.starts_with(start);
    let found = libraries.find(|(starts, _)| starts.iter().any(&has));
    found.map(|(_, library)| *library)
}

/// What to do about a C name that is defined as a C++ function.
fn mangled(resolution: &Resolution<'_>, name: &str) -> Option<String> {
    let defined = resolution
        .globals()
        .filter(|(other, id)| other.starts_with("_Z") && resolution.target(*id).is_defined());
    let mut names = Vec::new();
    for (other, _) in defined {
        let steps = other.len() as u64;
        let spent = resolution.budget.spend(Resource::Steps, steps, other);
        spent.ok()?;
        names.push(other);
    }
    let similar = Similar::among(name, names.into_iter());
    let advice = similar.is_mangled.then(|| similar.advice()).flatten()?;
    Some(format!("it is defined as C++: {advice}"))
}

/// What may help where a root is defined by nothing that was given.
pub(super) fn root_hint<'n>(
    resolution: &'n Resolution<'_>,
    root: &str,
    offered: impl Iterator<Item = &'n str>,
) -> Option<String> {
    let defined = resolution
        .globals()
        .filter(|(_, id)| resolution.target(*id).is_defined());
    let mut names = Vec::new();
    for name in defined.map(|(name, _)| name).chain(offered) {
        let steps = (root.len() * name.len().min(root.len() + 4)) as u64;
        let spent = resolution.budget.spend(Resource::Steps, steps, name);
        if spent.is_err() {
            break;
        }
        names.push(name);
    }
    Similar::among(root, names.into_iter()).advice()
}

/// The defined name that differs least, if that is little: two letters at most, and one in four.
fn nearest(resolution: &Resolution<'_>, name: &str) -> Option<String> {
    /// Longer names are made by machines.
    const LONGEST: usize = 64;
    let letters = name.as_bytes();
    let most = (letters.len() / 4).min(2);
    if most == 0 || letters.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for (other, id) in resolution.globals() {
        let is_alike = other.len().abs_diff(letters.len()) <= most;
        if !is_alike || !resolution.target(id).is_defined() {
            continue;
        }
        let steps = (letters.len() * other.len()) as u64;
        if resolution
            .budget
            .spend(Resource::Steps, steps, other)
            .is_err()
        {
            break;
        }
        let found = (distance(letters, other.as_bytes()), other);
        if found.0 <= most && best.is_none_or(|best| found < best) {
            best = Some(found);
        }
    }
    best.map(|(_, other)| other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_how_their_symbols_begin() {
        assert_eq!(likely_library("__cxa_throw"), Some("libstdc++.so.6"));
        assert_eq!(likely_library("cosf"), Some("libm.so.6"));
        assert_eq!(likely_library("EVP_DigestInit"), Some("openssl (-lcrypto)"));
        assert_eq!(likely_library("my_own_function"), None);
    }
}
