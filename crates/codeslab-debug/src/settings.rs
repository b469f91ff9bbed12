//! What is told to which tool: what a program asks for, what the environment says, who is watching.

use codeslab::{Capabilities, Writer};

/// `1` or `0`: whether perf maps are written.
pub const PERF_VARIABLE: &str = "CODESLAB_PERF";
/// `1` or `0`: whether debuggers are told.
pub const GDB_VARIABLE: &str = "CODESLAB_GDB";
/// `1` or `0`: whether a jitdump file is written.
pub const JITDUMP_VARIABLE: &str = "CODESLAB_JITDUMP";

/// What is told to which tool. What is `None` is told if somebody is there to be told: perf, if it started this process; debuggers, if one is
/// attached when the [`Tools`](crate::Tools) are opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Functions go into the perf map of the process.
    pub perf: Option<bool>,
    /// Functions, lines and code go into a jitdump file.
    pub jitdump: Option<bool>,
    /// Debuggers that know GDB's JIT interface get symbol files.
    pub gdb: Option<bool>,
}

impl Settings {
    /// These settings with what they leave open taken from `variable`, which looks up environment variables: `0` or nothing is no, all
    /// else yes.
    #[must_use]
    pub fn or_environment(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name| variable(name).map(|value| !matches!(value.as_str(), "" | "0"));
        Self {
            perf: self.perf.or_else(|| said(PERF_VARIABLE)),
            jitdump: self.jitdump.or_else(|| said(JITDUMP_VARIABLE)),
            gdb: self.gdb.or_else(|| said(GDB_VARIABLE)),
        }
    }
}

/// The writer whose code tools can work with best: it lies in private memory. perf names only what looks like memory of no file, and a debugger
/// cannot put breakpoints into a memory file that is closed to writing. `None` if no such writer works here.
#[must_use]
pub fn writer_for_tools(capabilities: &Capabilities) -> Option<Writer> {
    let private = [Writer::SelfMem, Writer::Protect];
    let works = |writer: &Writer| {
        let mut all = capabilities.writers.iter();
        all.any(|status| status.writer == *writer && status.unavailable.is_none())
    };
    private.into_iter().find(works)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_asks_for_comes_before_the_environment() {
        let environment = |name: &str| match name {
            PERF_VARIABLE => Some("1".to_owned()),
            JITDUMP_VARIABLE => Some("0".to_owned()),
            _ => Some("yes".to_owned()),
        };
        let asked = Settings {
            perf: Some(false),
            ..Settings::default()
        };
        let expected = Settings {
            perf: Some(false),
            jitdump: Some(false),
            gdb: Some(true),
        };
        assert_eq!(asked.or_environment(environment), expected);
    }

    #[test]
    fn tools_get_a_writer_whose_code_lies_in_no_file() {
        let capabilities = codeslab::capabilities().unwrap();
        let writer = writer_for_tools(&capabilities);
        assert!(matches!(
            writer,
            None | Some(Writer::SelfMem | Writer::Protect)
        ));
    }
}
