//! What comes from outside of the process and in the middle of anything: limits, signals, forks, settings of the system.
//!
//! Each test tries one condition with every writer, each in a process of its own, and prints what came of it. `npm run test:matrix` runs
//! them under settings of the system that only root can make, and puts the outcomes into docs/limits.md.

mod forks;
#[cfg(not(rehearsal))]
mod limits;
mod settings;
mod signals;

use codeslab_testing::{assert_passed, is_child, run_child};

use codeslab::{Writer, capabilities};

const WRITER: &str = "CODESLAB_TEST_WRITER";

/// Tries a condition with every writer that works here, in a child each. `act` says what came of it, and panics where that is no
/// answer that a user could live with.
fn with_each_writer(test: &str, condition: &str, act: impl Fn(Writer) -> String) {
    if is_child(test) {
        let name = std::env::var(WRITER).expect("the parent says which");
        println!(
            "outcome: {}",
            act(Writer::from_name(&name).expect("one of ours"))
        );
        return;
    }
    for status in capabilities().expect("a supported platform").writers {
        let name = status.writer.name();
        let outcome = if let Some(reason) = status.unavailable {
            format!("impossible here: {reason}")
        } else {
            let output = run_child(test, "exec \"$@\"", &[(WRITER, name)]);
            assert_passed(&output);
            let text = String::from_utf8_lossy(&output.stdout);
            let outcome = text.lines().find_map(|line| line.split_once("outcome: "));
            outcome.expect("it says what came of it").1.to_owned()
        };
        println!("cell | {condition} | {name} | {outcome}");
    }
}
