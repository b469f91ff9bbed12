//! A test in a process of its own: for what a whole process has one of, descriptors, mappings, memory, an end. Where there is
//! no nextest, the tests of a binary are threads of one process, and what one measures is what all of them do.

use std::process::{Command, Output};

const CHILD: &str = "CODESLAB_TEST_CHILD";

/// Whether this process is the child that [`run_alone`] or [`run_child`] started for `test`.
#[must_use]
pub fn is_child(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|name| name == test)
}

/// Runs one test of this binary in a process of its own, where [`is_child`] holds.
///
/// # Panics
///
/// If no process can be started.
#[must_use]
pub fn run_alone(test: &str, variables: &[(&str, &str)]) -> Output {
    run_by(
        Command::new(std::env::current_exe().expect("this binary")),
        test,
        variables,
    )
}

/// The same through `shell` code that ends in `exec "$@"`.
///
/// # Panics
///
/// If no process can be started.
#[must_use]
pub fn run_child(test: &str, shell: &str, variables: &[(&str, &str)]) -> Output {
    let binary = std::env::current_exe().expect("this binary");
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).arg(binary);
    run_by(command, test, variables)
}

fn run_by(mut command: Command, test: &str, variables: &[(&str, &str)]) -> Output {
    command.args(["--exact", "--nocapture", "--test-threads=1", test]);
    command.env(CHILD, test).envs(variables.iter().copied());
    command.output().expect("a child process")
}

/// The child ran its test, and it passed.
///
/// # Panics
///
/// If it did not.
pub fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
