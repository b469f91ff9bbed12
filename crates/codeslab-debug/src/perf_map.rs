//! The perf map: a text file with a line for each function, which perf reads when it reports.
//!
//! There is one for each process, whose name is fixed (`tools/perf/Documentation/jit-interface.txt` of Linux), so all that write to it
//! append. Functions are never taken back: perf has no way to say it. Lines are written at once, since a process that is killed is
//! profiled as well.

use crate::code::Function;
use crate::error::{Error, Result};
use crate::sys;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The file of this process.
#[derive(Debug)]
pub(crate) struct PerfMap {
    file: File,
}

impl PerfMap {
    /// Opens the file of this process, or makes it.
    pub(crate) fn open() -> Result<Self> {
        Self::at(PathBuf::from(format!(
            "/tmp/perf-{}.map",
            std::process::id()
        )))
    }

    fn at(path: PathBuf) -> Result<Self> {
        sys::append_to(&path)
            .map(|file| Self { file })
            .map_err(|source| Error::File { path, source })
    }

    /// Adds functions. One call writes all of them, so what two threads add does not mix.
    pub(crate) fn add(&self, functions: &[Function]) -> io::Result<()> {
        (&self.file).write_all(lines(functions).as_bytes())
    }
}

fn lines(functions: &[Function]) -> String {
    // Two numbers of at most 16 digits, and what stands between.
    let lengths = functions.iter().map(|function| function.name.len() + 36);
    let mut text = String::with_capacity(lengths.sum());
    for function in functions {
        let (start, size) = (function.address.value(), function.size);
        write!(text, "{start:x} {size:x} ").expect("a string takes everything");
        let is_end = |letter: char| matches!(letter, '\n' | '\r');
        text.extend(
            function
                .name
                .chars()
                .map(|letter| if is_end(letter) { ' ' } else { letter }),
        );
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use codeslab::Address;

    #[test]
    fn a_function_is_a_line_whatever_its_name_holds() {
        let function = Function {
            name: "two\nlines".to_owned(),
            address: Address::new(0x7f00_1234),
            size: 0x40,
        };
        assert_eq!(lines(&[function]), "7f001234 40 two lines\n");
    }
}
