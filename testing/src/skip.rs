//! Tests that this machine lacks something for. The harness knows only tests that pass and tests that fail, and shows nothing of
//! what a passed test says; so a skip is written to a file, which `npm test` reads, names and counts.

use std::fs::OpenOptions;
use std::io::{Result, Write};
use std::path::Path;

/// The variable that names the file: a line for each skip, `test: reason`.
const FILE: &str = "CODESLAB_SKIPS";

/// Says that the rest of a test is left out, and why. Its caller returns; the test does not count as passed.
///
/// # Panics
///
/// When the file for skips cannot be written: a skip that nobody hears of would be a pass.
pub fn skip(test: &str, reason: &str) {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("{test}: {reason}\n");
    if let Some(path) = std::env::var_os(FILE) {
        let added = add(Path::new(&path), &line);
        added.unwrap_or_else(|error| panic!("{FILE}={}: {error}", path.display()));
    } else {
        // Not `eprintln`, which is captured while a test passes.
        let _ = std::io::stderr().write_all(format!("\nskipped {line}").as_bytes());
    }
}

/// The same for want of something that a package of Debian's adds.
///
/// # Panics
///
/// As [`skip`].
pub fn package_skip(test: &str, missing: &str, package: &str) {
    skip(
        test,
        &format!("{missing} is not installed (Debian: apt-get install {package})"),
    );
}

/// Adds a line in one write: tests are processes and threads that run at the same time.
fn add(path: &Path, line: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_skip_is_a_line_of_the_file() {
        let path = std::env::temp_dir().join(format!("codeslab-skips-{}", std::process::id()));
        add(&path, "a: one\n").unwrap();
        add(&path, "b: two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a: one\nb: two\n");
        std::fs::remove_file(&path).unwrap();
    }
}
