//! Gathering: what inputs name besides what they hold. Paths are opened, scripts and thin archives are replaced by the files in them.
//!
//! It comes before everything else, so that a budget can be made from all bytes of a link, and what is read lives as long as the link.
//! Relative names in a script or a thin archive count from the folder that it lies in. Every file is read once, however many inputs name
//! it. An embedder that does not trust its inputs forbids it ([`Files::None`]): a few bytes could name any file of the machine.

use crate::error::{Error, Result};
use crate::format;
use crate::format::script::{self, Named};
use crate::format::thin;
use crate::input::{Files, Input};
use codeslab_runtime::SharedLibrary;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How deep scripts may name scripts.
const DEPTH: u32 = 8;

/// Inputs that hold all that they name.
#[derive(Debug, Default)]
pub(crate) struct Gathered<'a> {
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
enum Entry<'a> {
    Given(Input<'a>),
    Read { name: String, bytes: Vec<u8> },
    Opened(Arc<SharedLibrary>),
}

/// Whether an input names files, so that it has to be gathered.
pub(crate) fn is_needed(inputs: &[Input<'_>]) -> bool {
    inputs.iter().any(|input| match input {
        Input::File { bytes, .. } => thin::is_thin(bytes) || script::is_script(bytes),
        Input::Path(_) => true,
        Input::Graph(_) | Input::Parsed(_) | Input::Loaded(_) => false,
    })
}

/// Opens and reads all that `inputs` name.
///
/// # Errors
/// [`Error::Unreadable`], [`Error::Malformed`], and `LibraryUnavailable` of the memory manager.
pub(crate) fn gather<'a>(inputs: &[Input<'a>], files: Files) -> Result<Gathered<'a>> {
    let mut gatherer = Gatherer {
        files,
        gathered: Gathered::default(),
        seen: HashSet::new(),
    };
    for &input in inputs {
        match input {
            Input::Path(path) => gatherer.path(path, None, DEPTH)?,
            Input::File { name, bytes } if thin::is_thin(bytes) => gatherer.thin(name, bytes)?,
            Input::File { name, bytes } if script::is_script(bytes) => {
                gatherer.script(name, bytes, DEPTH)?;
            }
            other => gatherer.gathered.entries.push(Entry::Given(other)),
        }
    }
    Ok(gatherer.gathered)
}

impl Gathered<'_> {
    /// What is to be linked.
    pub(crate) fn inputs(&self) -> Vec<Input<'_>> {
        let entries = self.entries.iter().map(|entry| match entry {
            Entry::Given(input) => *input,
            Entry::Read { name, bytes } => Input::File { name, bytes },
            Entry::Opened(library) => Input::Loaded(library),
        });
        entries.collect()
    }
}

/// What has been gathered so far.
struct Gatherer<'a> {
    files: Files,
    gathered: Gathered<'a>,
    /// The files that were read: see [`identify`].
    seen: HashSet<PathBuf>,
}

impl Gatherer<'_> {
    /// Takes the file at `path`, or the shared library that goes by this name. `by` is what names it, if that is not the caller.
    fn path(&mut self, path: &str, by: Option<&str>, depth: u32) -> Result<()> {
        if !self.seen.insert(identify(path)) {
            return Ok(());
        }
        let by_or_path = by.unwrap_or(path);
        if !is_file_name(path) && !Path::new(path).exists() {
            self.check_allowed(by_or_path, path)?;
            return self.open(path);
        }
        let mut file = self.open_file(by_or_path, path)?;
        let mut bytes = Vec::new();
        let unreadable = |error: std::io::Error| unreadable(by_or_path, path, &error.to_string());
        // The header says whether the rest is for the dynamic linker to read.
        let mut start = file.by_ref().take(format::HEADER_BYTES);
        start.read_to_end(&mut bytes).map_err(unreadable)?;
        if format::is_shared_library(&bytes) {
            let with_folder = format!("./{path}");
            return self.open(if is_file_name(path) {
                path
            } else {
                &with_folder
            });
        }
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        if thin::is_thin(&bytes) {
            return self.thin(path, &bytes);
        }
        if script::is_script(&bytes) {
            return self.script(path, &bytes, depth);
        }
        let name = path.to_owned();
        self.gathered.entries.push(Entry::Read { name, bytes });
        Ok(())
    }

    fn open(&mut self, path: &str) -> Result<()> {
        let library = Arc::new(SharedLibrary::open(path)?);
        self.gathered.entries.push(Entry::Opened(library));
        Ok(())
    }

    fn script(&mut self, name: &str, bytes: &[u8], depth: u32) -> Result<()> {
        let named = script::read(name, bytes)?;
        let Some(depth) = depth.checked_sub(1) else {
            let reason = "linker scripts name each other";
            return Err(Error::malformed(name, reason));
        };
        for one in named {
            self.named(name, one, depth)?;
        }
        Ok(())
    }

    /// Takes something that a script names. What is only taken as needed may be missing: it is another form of what is there.
    fn named(&mut self, script: &str, named: Named<'_>, depth: u32) -> Result<()> {
        let taken = match named.file.strip_prefix("-l") {
            Some(library) => self.library(script, library, depth),
            None => self.path(&beside(script, named.file), Some(script), depth),
        };
        match taken {
            Err(Error::Unreadable { .. } | Error::Memory(_)) if named.is_as_needed => Ok(()),
            taken => taken,
        }
    }

    /// Takes the library that `-l` stands for: beside the script, or where the dynamic linker looks.
    fn library(&mut self, script: &str, library: &str, depth: u32) -> Result<()> {
        let names = ["so", "a"].map(|ending| format!("lib{library}.{ending}"));
        let beside = names.each_ref().map(|name| beside(script, name));
        if let Some(path) = beside.iter().find(|path| Path::new(path).is_file()) {
            return self.path(path, Some(script), depth);
        }
        self.check_allowed(script, &names[0])?;
        self.open(&names[0])
    }

    /// Reads the files of a thin archive.
    fn thin(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let identify = |member: &str| identify(&beside(name, member));
        let filled = thin::fill(name, bytes, identify, |member| {
            let path = beside(name, member);
            let mut content = Vec::new();
            let read = self.open_file(name, &path)?.read_to_end(&mut content);
            read.map_err(|error| unreadable(name, &path, &error.to_string()))?;
            Ok(content)
        })?;
        self.gathered.entries.push(Entry::Read {
            name: name.to_owned(),
            bytes: filled,
        });
        Ok(())
    }

    /// Opens a file of the usual kind: a device or pipe could go on for ever.
    fn open_file(&self, by: &str, path: &str) -> Result<File> {
        self.check_allowed(by, path)?;
        let refuse = |error: std::io::Error| unreadable(by, path, &error.to_string());
        // Opening a pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(refuse)?.is_file() {
            return Err(unreadable(by, path, "it is no regular file"));
        }
        File::open(path).map_err(refuse)
    }

    fn check_allowed(&self, by: &str, path: &str) -> Result<()> {
        match self.files {
            Files::Read => Ok(()),
            Files::None => Err(unreadable(by, path, "this link may read no files")),
        }
    }
}

/// Whether a name says where its file is. The dynamic linker looks for others.
fn is_file_name(path: &str) -> bool {
    path.contains('/')
}

/// The one path of a file, however it is named: `a.o` and `./a.o` are one. What is no file, such as the name of a library, is itself.
fn identify(path: &str) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

/// The path of a file that is named in another.
fn beside(naming: &str, path: &str) -> String {
    let folder = Path::new(naming).parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) => folder.join(path).to_string_lossy().into_owned(),
        None if Path::new(path).is_absolute() => path.to_owned(),
        None => format!("./{path}"),
    }
}

fn unreadable(by: &str, path: &str, reason: &str) -> Error {
    Error::Unreadable {
        object: by.to_owned(),
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
