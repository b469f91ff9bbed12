//! A C compiler with its flags, and the archiver that belongs to it.

use crate::error::Error;
use std::path::Path;
use std::process::{Command, Output};

/// A C compiler and the flags that it is called with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compiler {
    program: String,
    flags: Vec<String>,
}

impl Compiler {
    /// This machine's own, with the flags of an ordinary static library: optimized, and fit for executables that may be loaded
    /// anywhere, which not every compiler makes unasked.
    #[must_use]
    pub fn host() -> Self {
        Self::new("cc", &["-O2", "-fPIE"])
    }

    /// Any other: one for another target, say `aarch64-linux-gnu-gcc`, or the same with other flags.
    #[must_use]
    pub fn new(program: &str, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self {
            program: program.to_owned(),
            flags,
        }
    }

    /// What it says of its version, target and configuration: with another one, archives are made anew.
    pub(crate) fn identity(&self) -> Result<String, Error> {
        let output = run(Command::new(&self.program).arg("-v"))?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Compiles C, or assembler input for the preprocessor, to an object.
    pub(crate) fn compile(
        &self,
        source: &Path,
        object: &Path,
        settings: &[&str],
    ) -> Result<(), Error> {
        let mut command = Command::new(&self.program);
        command.args(&self.flags).args(settings).arg("-c");
        run(command.arg(source).arg("-o").arg(object)).map(drop)
    }

    /// Puts objects of a folder into an archive with an index.
    pub(crate) fn archive(
        &self,
        folder: &Path,
        objects: &[String],
        archive: &Path,
    ) -> Result<(), Error> {
        let mut command = Command::new(self.archiver()?);
        command.current_dir(folder).arg("rcs").arg(archive);
        run(command.args(objects)).map(drop)
    }

    /// The `ar` of the compiler's own target: an archive's index is made by reading the objects.
    fn archiver(&self) -> Result<String, Error> {
        let path = self.ask("-print-prog-name=ar")?;
        Ok(if path.is_empty() {
            "ar".to_owned()
        } else {
            path
        })
    }

    /// What it prints when it is asked for something.
    pub(crate) fn ask(&self, question: &str) -> Result<String, Error> {
        let output = run(Command::new(&self.program).arg(question))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Runs a program to its end; a failure carries what it complained about.
pub(crate) fn run(command: &mut Command) -> Result<Output, Error> {
    let output = command.output().map_err(|source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::Failed {
        command: format!("{command:?}"),
        complaints: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
