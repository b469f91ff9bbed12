//! Where the sources are: cargo downloaded the crates, checked them against the lock file, and knows where it put them.

use crate::compiler::run;
use crate::error::{Error, at};
use crate::library::Library;
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lock file, which says which version of a crate it is.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The folder that everything which cargo builds goes to.
pub(crate) fn target_folder() -> Result<PathBuf, Error> {
    let metadata = metadata(&["--no-deps", "--offline"])?;
    let folder = metadata["target_directory"].as_str();
    folder.map(PathBuf::from).ok_or_else(|| Error::Metadata {
        what: "the target directory".to_owned(),
    })
}

/// The folder of the crate with this library's source. Cargo downloads it where that has not happened yet.
pub(crate) fn package_folder(library: Library) -> Result<PathBuf, Error> {
    let name = library.package();
    let metadata = metadata(&["--locked"])?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .find(|package| package["name"] == name)
        .and_then(|package| package["manifest_path"].as_str());
    let folder = manifest.and_then(|path| Path::new(path).parent());
    folder.map(PathBuf::from).ok_or_else(|| Error::Metadata {
        what: format!("where {name} is"),
    })
}

/// The entry of a library's crate in the lock file: name, version, and the checksum of its content.
pub(crate) fn lock_entry(library: Library) -> &'static str {
    let name = format!("name = \"{}\"\n", library.package());
    let mut entries = LOCK.split("[[package]]\n");
    entries
        .find(|entry| entry.starts_with(&name))
        .unwrap_or_default()
}

/// The files that are compiled, in a fixed order.
pub(crate) fn files(library: Library, package: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for folder in library.folders() {
        let folder = package.join(folder);
        let entries = std::fs::read_dir(&folder).map_err(at(&folder))?;
        for entry in entries {
            let path = entry.map_err(at(&folder))?.path();
            let is_source = path
                .extension()
                .is_some_and(|kind| kind == "c" || kind == "S");
            let is_ours = path
                .file_name()
                .is_none_or(|name| !library.left_out().iter().any(|left_out| name == *left_out));
            files.extend((is_source && is_ours).then_some(path));
        }
    }
    files.sort();
    Ok(files)
}

fn metadata(arguments: &[&str]) -> Result<Value, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--format-version=1"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = run(&mut command)?;
    serde_json::from_slice(&output.stdout).map_err(|error| Error::Metadata {
        what: format!("anything that can be read: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_pins_every_source_by_its_checksum() {
        for library in Library::ALL {
            assert!(lock_entry(library).contains("checksum = "), "{library:?}");
        }
    }
}
