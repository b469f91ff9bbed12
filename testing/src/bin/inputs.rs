//! Prints where the archives are that it is asked for, one path a line, and builds them before where that has to be. Without
//! arguments, all of them.

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
    let named = names.map(|name| {
        Library::by_file_name(&name).ok_or_else(|| format!("{name} is none of {}", known()))
    });
    let mut libraries = named.collect::<Result<Vec<_>, _>>()?;
    if libraries.is_empty() {
        libraries.extend(Library::ALL);
    }
    for library in libraries {
        let path = archive(library, &Compiler::host()).map_err(|error| error.to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}

fn known() -> String {
    Library::ALL.map(Library::file_name).join(", ")
}
