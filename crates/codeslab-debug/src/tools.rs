//! What a program publishes code to, and takes it back from.
#![allow(unsafe_code, reason = "published code is read")]

use crate::arch::{elf_machine, frame_rules};
use crate::code::{Code, Function};
use crate::error::Result;
use crate::gdb::Registered;
use crate::jitdump::JitDump;
use crate::located::{self, Allowance, Lines};
use crate::perf_map::PerfMap;
use crate::settings::Settings;
use crate::symbol_file::{of_frames, of_functions};
use crate::sys;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, ptr, slice};

/// Tools that are told of code. Cheap where none is: nothing is opened then, and publishing does nothing.
#[derive(Debug, Default)]
pub struct Tools {
    perf_map: Option<Arc<PerfMap>>,
    jitdump: Option<Arc<JitDump>>,
    gdb: bool,
    machine: u16,
}

/// What debuggers have been told. Drop it before the memory is freed.
#[derive(Debug, Default)]
pub struct Registration {
    /// Kept for what its drop does.
    _registered: Option<Registered>,
}

impl Tools {
    /// Opens what `settings` ask for, and for what they leave open looks who is there to be told.
    ///
    /// # Errors
    /// [`Error`](crate::Error) if a file cannot be made. One that was not asked for is left out instead.
    pub fn open(settings: Settings) -> Result<Self> {
        let machine = codeslab::architecture().map_or(0, elf_machine);
        let jitdump = settings.jitdump == Some(true);
        let perf_map = match settings.perf {
            Some(is_asked) => is_asked.then(PerfMap::open).transpose()?,
            // A jitdump file serves perf better, and any writer will do for it.
            None if !jitdump && sys::is_recorded_by_perf() => PerfMap::open().ok(),
            None => None,
        };
        Ok(Self {
            perf_map,
            jitdump: jitdump.then(|| self::jitdump(machine)).transpose()?,
            gdb: settings.gdb.unwrap_or_else(sys::is_debugged),
            machine,
        })
    }

    /// Whether perf maps are written.
    #[must_use]
    pub const fn writes_perf_map(&self) -> bool {
        self.perf_map.is_some()
    }

    /// Whether code should lie in private memory for them: see [`writer_for_tools`](crate::writer_for_tools).
    #[must_use]
    pub const fn prefer_private_memory(&self) -> bool {
        self.perf_map.is_some() || self.gdb
    }

    /// Whether a jitdump file is written.
    #[must_use]
    pub const fn writes_jitdump(&self) -> bool {
        self.jitdump.is_some()
    }

    /// Whether debuggers are told.
    #[must_use]
    pub const fn tells_debuggers(&self) -> bool {
        self.gdb
    }

    /// Whether anything is told to anyone.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.writes_perf_map() || self.writes_jitdump() || self.gdb
    }

    /// Tells of code that was published. A file that cannot be written (a full disk) is an error after which debuggers know it all the same.
    ///
    /// # Errors
    /// Those of writing.
    ///
    /// # Safety
    /// Each function lies in memory that stays readable until this returns.
    pub unsafe fn publish(&self, code: Code) -> (Registration, io::Result<()>) {
        // SAFETY: by this function's own obligation.
        let written = unsafe { self.write(&code) };
        let file = self.gdb.then(|| self.symbols(code)).flatten();
        let registered = file.map(Registered::new);
        let registration = Registration {
            _registered: registered,
        };
        (registration, written)
    }

    /// The file that debuggers get; `None` if there is nothing to tell them.
    fn symbols(&self, code: Code) -> Option<Vec<u8>> {
        match code {
            Code::Functions(functions) => Some(of_functions(self.machine, &functions)),
            Code::Object(bytes) => Some(bytes),
            Code::Frames(regions) => {
                let architecture = codeslab::architecture().ok()?;
                Some(of_frames(
                    self.machine,
                    frame_rules(architecture)?,
                    &regions,
                ))
            }
        }
    }

    /// # Safety
    /// As for [`Tools::publish`].
    unsafe fn write(&self, code: &Code) -> io::Result<()> {
        if self.perf_map.is_none() && self.jitdump.is_none() {
            return Ok(());
        }
        let read;
        let (functions, object) = match code {
            Code::Functions(functions) => (functions, None),
            Code::Object(bytes) => {
                read = located::functions(bytes);
                (&read, Some(bytes))
            }
            Code::Frames(_) => return Ok(()),
        };
        if let Some(perf_map) = &self.perf_map {
            perf_map.add(functions)?;
        }
        let Some(jitdump) = &self.jitdump else {
            return Ok(());
        };
        let lines = object.map(|bytes| Lines::of(bytes)).unwrap_or_default();
        let mut allowance = object.map(|bytes| Allowance::of(bytes.len()));
        for function in functions {
            let mut allow = |size| match &mut allowance {
                Some(allowance) => allowance.take(size).is_some(),
                // What a program placed by hand are whole sections of one allocation.
                None => true,
            };
            // Functions may overlap. Those that would make the file too long are left out, and lines before that.
            if !allow(JitDump::size_of(function)) {
                continue;
            }
            let lines = lines.within(function);
            let lines = if allow(JitDump::size_of_lines(lines)) {
                lines
            } else {
                &[]
            };
            // SAFETY: the function lies in readable memory, by the caller's word.
            let code = unsafe { bytes_of(function) };
            jitdump.add(function, lines, code)?;
        }
        Ok(())
    }
}

/// The one file of this process: memories share it, since perf finds it by the process's number, and it stays for later ones.
fn jitdump(machine: u16) -> Result<Arc<JitDump>> {
    static FILE: Mutex<Option<Arc<JitDump>>> = Mutex::new(None);
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(open) = &*file {
        return Ok(Arc::clone(open));
    }
    let made = Arc::new(JitDump::create(machine)?);
    *file = Some(Arc::clone(&made));
    Ok(made)
}

/// # Safety
/// The function lies in memory that stays readable while the slice is used.
unsafe fn bytes_of(function: &Function) -> &[u8] {
    let start = ptr::with_exposed_provenance::<u8>(function.address.value() as usize);
    // SAFETY: the bytes are readable, by this function's obligation. Code that is published does not change before it is freed.
    unsafe { slice::from_raw_parts(start, function.size as usize) }
}
