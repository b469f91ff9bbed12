//! Writes every hostile object and archive into a directory, small, as seeds for the fuzz targets of the linker.

use codeslab_testing::hostile::{archives, objects};
use std::path::Path;
use std::process::ExitCode;

/// How large they are made.
const SIZES: [usize; 2] = [2, 12];

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: hostile DIRECTORY");
        return ExitCode::FAILURE;
    };
    match write(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for kind in objects().iter().chain(archives()) {
        for size in SIZES {
            let name = format!("{}-{size}", kind.name.replace(' ', "-"));
            std::fs::write(directory.join(name), (kind.make)(size))?;
        }
    }
    Ok(())
}
