//! Archives: built from source once and kept in the target folder, or found where a package of the system put them.

use crate::compiler::Compiler;
use crate::error::{Error, at};
use crate::library::Library;
use crate::source::{files, lock_entry, package_folder, target_folder};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The path of a library's archive. It is built unless this compiler, with these flags, has built this source before.
///
/// # Errors
///
/// What cargo, the compiler, the archiver or the file system complains about.
pub fn archive(library: Library, compiler: &Compiler) -> Result<PathBuf, Error> {
    let folder = target_folder()?
        .join("inputs")
        .join(key(library, compiler)?);
    let archive = folder.join(library.file_name());
    if archive.exists() {
        return Ok(archive);
    }
    std::fs::create_dir_all(&folder).map_err(at(&folder))?;
    // Tests are processes that run at the same time: the first one builds, the others wait for it.
    let path = folder.join("lock");
    let lock = File::create(&path).map_err(at(&path))?;
    lock.lock().map_err(at(&path))?;
    if !archive.exists() {
        build(library, compiler, &folder)?;
    }
    Ok(archive)
}

/// An archive that a package of the system adds, found as the compiler finds it; `None` where it is not installed.
///
/// # Errors
///
/// When there is no compiler to ask.
pub fn system_archive(name: &str) -> Result<Option<PathBuf>, Error> {
    let path = Compiler::host().ask(&format!("-print-file-name={name}"))?;
    // A name that it does not find, it repeats.
    Ok((path != name).then(|| PathBuf::from(path)))
}

/// The name of a folder for exactly this archive.
fn key(library: Library, compiler: &Compiler) -> Result<String, Error> {
    let mut hasher = DefaultHasher::new();
    let recipe = (library.folders(), library.settings(), lock_entry(library));
    (recipe, compiler, compiler.identity()?).hash(&mut hasher);
    Ok(format!("{}-{:016x}", library.package(), hasher.finish()))
}

/// Compiles the library in a folder of its own, and moves the archive to its place when it is whole.
fn build(library: Library, compiler: &Compiler, folder: &Path) -> Result<(), Error> {
    let name = library.file_name();
    // A harness swallows it; who runs the program `inputs` wants to know what takes so long.
    eprintln!("Building {name} from its source…");
    let package = package_folder(library)?;
    let sources = files(library, &package)?;
    let objects: Vec<String> = sources.iter().map(|source| object_name(source)).collect();
    let work = folder.join("objects");
    std::fs::create_dir_all(&work).map_err(at(&work))?;
    on_all_processors(&sources, |source| {
        compiler.compile(source, &work.join(object_name(source)), library.settings())
    })?;
    let whole = work.join(name);
    // Left over from a build that was interrupted, it would be added to.
    let _ = std::fs::remove_file(&whole);
    compiler.archive(&work, &objects, &whole)?;
    let archive = folder.join(name);
    std::fs::rename(&whole, &archive).map_err(at(&archive))?;
    // Objects that stay cost disk space and nothing else.
    let _ = std::fs::remove_dir_all(&work);
    Ok(())
}

/// `crc32.c` becomes `crc32.o`, as in every archive of that library.
fn object_name(source: &Path) -> String {
    let stem = source.file_stem().unwrap_or_default();
    format!("{}.o", stem.to_string_lossy())
}

/// Does it with each file, on as many threads as the machine has processors.
fn on_all_processors(
    files: &[PathBuf],
    act: impl Fn(&Path) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            act(file)?;
        }
        Ok(())
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().try_for_each(join)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_built_once_and_anew_for_other_flags() {
        let compiler = Compiler::new("cc", &["-O0"]);
        let built = || archive(Library::Zlib, &compiler).unwrap();
        let first = built();
        let written = |path: &Path| path.metadata().unwrap().modified().unwrap();
        let time = written(&first);
        assert!(std::fs::read(&first).unwrap().starts_with(b"!<arch>\n"));
        assert_eq!((built(), written(&first)), (first.clone(), time));
        let other = archive(Library::Zlib, &Compiler::new("cc", &["-O0", "-g0"])).unwrap();
        assert_ne!(other, first);
    }

    #[test]
    fn tests_that_ask_at_the_same_time_get_one_whole_archive() {
        let compiler = Compiler::new("cc", &["-O0", "-w"]);
        let paths = std::thread::scope(|scope| {
            let ask = || archive(Library::Zlib, &compiler).unwrap();
            let threads = [(); 3].map(|()| scope.spawn(ask));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(paths.iter().all(|path| path == &paths[0]), "{paths:?}");
    }

    #[test]
    fn a_compiler_that_is_missing_or_fails_is_named_with_its_complaint() {
        let missing = archive(Library::Zlib, &Compiler::new("no-such-cc", &[])).unwrap_err();
        assert!(missing.to_string().starts_with("cannot start no-such-cc: "));
        let refusing = Compiler::new("cc", &["-fno-such-flag"]);
        let refused = archive(Library::Zlib, &refusing).unwrap_err();
        assert!(matches!(refused, Error::Failed { .. }), "{refused:?}");
        assert!(refused.to_string().contains("-fno-such-flag"), "{refused}");
    }

    #[test]
    fn an_archive_that_no_package_brought_is_not_found() {
        assert_eq!(system_archive("libnosuch.a").unwrap(), None);
        assert!(
            system_archive("libc.a")
                .unwrap()
                .is_some_and(|path| path.is_absolute())
        );
    }
}
