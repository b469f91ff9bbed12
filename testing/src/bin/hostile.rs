//! Writes every hostile object and archive into a directory: small, as seeds for the fuzz targets of the linker, or in a size that is
//! asked for, to see what a link of it takes.

use codeslab_testing::hostile::{archives, objects};
use std::path::Path;
use std::process::ExitCode;

/// How large seeds are made.
const SIZES: [usize; 2] = [2, 12];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next();
    let sizes: Result<Vec<usize>, _> = arguments.map(|size| size.parse()).collect();
    let (Some(directory), Ok(mut sizes)) = (directory, sizes) else {
        eprintln!("usage: hostile DIRECTORY [SIZE...]");
        return ExitCode::FAILURE;
    };
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    match write(Path::new(&directory), &sizes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path, sizes: &[usize]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for kind in objects().iter().chain(archives()) {
        for &size in sizes {
            let name = format!("{}-{size}", kind.name.replace(' ', "-"));
            std::fs::write(directory.join(name), (kind.make)(size))?;
        }
    }
    Ok(())
}
