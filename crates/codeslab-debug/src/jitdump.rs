//! The jitdump file: functions with their code and lines, and when each was published.
//!
//! `perf inject --jit` makes an ELF file of each function, puts it among the samples by its time, and so can annotate it, tell what an
//! address was at the time of a sample, and name code in pages of every kind. Format: `tools/perf/Documentation/jitdump-specification.txt`
//! of Linux, version 1; numbers are in the machine's byte order.

use crate::code::Function;
use crate::error::{Error, Result};
use crate::located::Line;
use crate::sys;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER: u32 = 40;
const CODE_LOAD: u32 = 0;
const CODE_DEBUG_INFO: u32 = 2;
/// Record number, its size, its time.
const PREFIX: usize = 16;
/// Bytes that the system maps at least: perf looks for a mapping of the file, not at its size.
const MARKER: usize = 4096;

/// The variable that names the folder.
const DIRECTORY_VARIABLE: &str = "JITDUMPDIR";

/// The file of this process.
#[derive(Debug)]
pub(crate) struct JitDump {
    file: File,
    /// perf tells functions at one address apart by it.
    next_index: AtomicU64,
}

impl JitDump {
    /// Makes the file, and the mapping by which perf finds it.
    pub(crate) fn create(machine: u16) -> Result<Self> {
        let folder = std::env::var_os(DIRECTORY_VARIABLE).map_or_else(|| ".".into(), PathBuf::from);
        let path = folder.join(format!("jit-{}.dump", std::process::id()));
        let file = create(&folder, &path, machine).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        sys::map_marker(&file, MARKER).map_err(|source| Error::Marker { path, source })?;
        Ok(Self {
            file,
            next_index: AtomicU64::new(0),
        })
    }

    /// The bytes that a function takes without its lines, roughly.
    pub(crate) fn size_of(function: &Function) -> u64 {
        (function.name.len() as u64).saturating_add(function.size)
    }

    /// The bytes that lines take, roughly.
    pub(crate) fn size_of_lines(lines: &[Line]) -> u64 {
        lines.iter().map(|line| line.file.len() as u64 + 17).sum()
    }

    /// Adds a function, with its code and the lines that it came from. One call writes all of it, so what two threads add does not mix.
    pub(crate) fn add(&self, function: &Function, lines: &[Line], code: &[u8]) -> io::Result<()> {
        let now = sys::monotonic_nanoseconds();
        let index = self.next_index.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::new();
        if !lines.is_empty() {
            record(
                &mut bytes,
                CODE_DEBUG_INFO,
                now,
                &debug_info(function, lines),
            );
        }
        record(
            &mut bytes,
            CODE_LOAD,
            now,
            &code_load(function, index, code),
        );
        (&self.file).write_all(&bytes)
    }
}

fn create(folder: &Path, path: &Path, machine: u16) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let mut file = sys::create(path)?;
    file.write_all(&header(machine))?;
    Ok(file)
}

fn header(machine: u16) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER as usize);
    let words = [
        MAGIC,
        VERSION,
        HEADER,
        machine.into(),
        0,
        std::process::id(),
    ];
    for word in words {
        header.extend(word.to_ne_bytes());
    }
    header.extend(sys::monotonic_nanoseconds().to_ne_bytes());
    header.extend(0_u64.to_ne_bytes());
    header
}

fn record(bytes: &mut Vec<u8>, kind: u32, now: u64, content: &[u8]) {
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(((PREFIX + content.len()) as u32).to_ne_bytes());
    bytes.extend(now.to_ne_bytes());
    bytes.extend(content);
}

fn debug_info(function: &Function, lines: &[Line]) -> Vec<u8> {
    let mut content = Vec::new();
    content.extend(function.address.value().to_ne_bytes());
    content.extend((lines.len() as u64).to_ne_bytes());
    for line in lines {
        content.extend(line.address.to_ne_bytes());
        content.extend(line.number.to_ne_bytes());
        content.extend(0_u32.to_ne_bytes());
        put_text(&mut content, &line.file);
    }
    content
}

fn code_load(function: &Function, index: u64, code: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    content.extend(std::process::id().to_ne_bytes());
    content.extend(sys::thread_id().to_ne_bytes());
    let address = function.address.value();
    for word in [address, address, code.len() as u64, index] {
        content.extend(word.to_ne_bytes());
    }
    put_text(&mut content, &function.name);
    content.extend(code);
    content
}

fn put_text(content: &mut Vec<u8>, text: &str) {
    content.extend(text.bytes().filter(|byte| *byte != 0));
    content.push(0);
}
