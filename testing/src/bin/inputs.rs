//! Prints where the archives are that it is asked for, one path a line, and builds them before where that has to be. Without
//! names, all of them. `--compiler=PROGRAM FLAG…` has them for another machine than this.

use codeslab_testing::{Compiler, Library, archive};
use std::process::ExitCode;

fn main() -> ExitCode {
    match print(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::FAILURE
        }
    }
}

fn print(names: impl Iterator<Item = String>) -> Result<(), String> {
    let mut compiler = Compiler::host();
    let mut libraries = Vec::new();
    for name in names {
        if let Some(command) = name.strip_prefix("--compiler=") {
            let mut words = command.split_whitespace();
            let program = words.next().unwrap_or_default();
            compiler = Compiler::new(program, &words.collect::<Vec<_>>());
            continue;
        }
        let named = Library::by_file_name(&name);
        libraries.push(named.ok_or_else(|| format!("{name} is none of {}", known()))?);
    }
    if libraries.is_empty() {
        libraries.extend(Library::ALL);
    }
    for library in libraries {
        let path = archive(library, &compiler).map_err(|error| error.to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}

fn known() -> String {
    Library::ALL.map(Library::file_name).join(", ")
}
