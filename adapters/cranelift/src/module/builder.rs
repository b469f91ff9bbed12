//! What a code module is made of: a compiler, a memory, and names that it finds elsewhere.

use crate::error::Error;
use codeslab::{Address, CodeMemory, Options, Window};
use cranelift_codegen::ir::LibCall;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use std::collections::HashMap;
use std::fmt;

type Lookup = Box<dyn Fn(&str) -> Option<*const u8> + Send>;
type LibCallNames = Box<dyn Fn(LibCall) -> String + Send + Sync>;

/// What a [`CodeModule`](crate::CodeModule) is made of.
///
/// ```
/// use codeslab_cranelift::{CodeModule, CodeModuleBuilder, codeslab};
/// extern "C" fn one() -> i32 { 1 }
/// let mut builder = CodeModuleBuilder::with_flags(&[("opt_level", "speed")])?;
/// builder.symbol("one", one as *const u8);
/// // Several modules in one memory share its blocks.
/// let memory = codeslab::CodeMemory::new(codeslab::Options::default())?;
/// builder.memory(memory.clone());
/// let module = CodeModule::new(builder)?;
/// # Ok::<(), codeslab_cranelift::Error>(())
/// ```
pub struct CodeModuleBuilder {
    pub(super) isa: OwnedTargetIsa,
    pub(super) names: Names,
    pub(super) near: Vec<Window>,
    memory: Option<CodeMemory>,
}

impl CodeModuleBuilder {
    /// For this machine, with Cranelift's defaults.
    ///
    /// # Errors
    /// [`Error::Compiler`] if Cranelift does not compile for this machine.
    pub fn new() -> Result<Self, Error> {
        Self::with_flags(&[])
    }

    /// For this machine, with settings of Cranelift's by name.
    ///
    /// # Errors
    /// [`Error::Compiler`] for a name or a value that Cranelift does not know, or if it does not compile for this machine.
    pub fn with_flags(flags: &[(&str, &str)]) -> Result<Self, Error> {
        let mut settings = settings::builder();
        // References to what is not in the module have 64 bits then, and need no table.
        let defaults = [("use_colocated_libcalls", "false"), ("is_pic", "false")];
        for (name, value) in defaults.iter().chain(flags) {
            let set = settings.set(name, value);
            set.map_err(|error| Error::Compiler(format!("{name}={value}: {error}")))?;
        }
        let native = cranelift_native::builder();
        let native = native.map_err(|reason| Error::Compiler(reason.to_owned()))?;
        let isa = native.finish(settings::Flags::new(settings));
        let isa = isa.map_err(|error| Error::Compiler(error.to_string()))?;
        Ok(Self::with_isa(isa))
    }

    /// With a compiler that is set up already.
    #[must_use]
    pub fn with_isa(isa: OwnedTargetIsa) -> Self {
        Self {
            isa,
            names: Names::default(),
            near: Vec::new(),
            memory: None,
        }
    }

    /// Where functions and data go. Without this, a memory is opened with default options and, if the compiler makes landing pads, with
    /// [`Options::branch_protection`].
    pub fn memory(&mut self, memory: CodeMemory) -> &mut Self {
        self.memory = Some(memory);
        self
    }

    /// Has all of the module lie in a window, in addition to those said before: near what it is to reach by short references.
    pub fn within(&mut self, window: Window) -> &mut Self {
        self.near.push(window);
        self
    }

    /// Defines a name that the module imports. What was said last counts.
    pub fn symbol(&mut self, name: impl Into<String>, address: *const u8) -> &mut Self {
        let address = Address::new(address.expose_provenance() as u64);
        self.names.symbols.insert(name.into(), address);
        self
    }

    /// Has names looked up that are not defined by [`CodeModuleBuilder::symbol`], before those of the process are; what was added last is
    /// asked first.
    pub fn symbol_lookup_fn(&mut self, lookup: Lookup) -> &mut Self {
        self.names.lookups.push(lookup);
        self
    }

    /// Says what the functions are called that Cranelift calls of itself: without this, what they are called in C.
    pub fn libcall_names(&mut self, names: LibCallNames) -> &mut Self {
        self.names.libcalls = names;
        self
    }

    /// The memory that was said, or one for this compiler.
    pub(super) fn open(&mut self) -> Result<CodeMemory, Error> {
        let target = self.isa.triple().architecture.to_string();
        let host = codeslab::architecture()?.name().to_owned();
        if target != host {
            return Err(Error::Architecture { target, host });
        }
        if self.isa.flags().is_pic() {
            return Err(Error::PositionIndependent);
        }
        let is_compiled = has_landing_pads(&*self.isa);
        let options = Options {
            branch_protection: is_compiled,
            ..Options::default()
        };
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None => CodeMemory::new(options)?,
        };
        // Landing pads do no harm where nothing asks for them; code without them faults where it is guarded.
        if memory.configuration().branch_protection && !is_compiled {
            return Err(Error::BranchProtection { is_compiled });
        }
        Ok(memory)
    }
}

/// Whether the compiler makes landing pads for indirect branches.
pub(crate) fn has_landing_pads(isa: &dyn TargetIsa) -> bool {
    let flags = isa.isa_flags();
    let found = flags.iter().find(|flag| flag.name == "use_bti");
    found.is_some_and(|flag| flag.as_bool() == Some(true))
}

impl fmt::Debug for CodeModuleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeModuleBuilder")
            .field("isa", &self.isa.name())
            .field("names", &self.names)
            .field("near", &self.near)
            .field("memory", &self.memory)
            .finish()
    }
}

/// Names that are defined outside of the module.
pub(super) struct Names {
    symbols: HashMap<String, Address>,
    lookups: Vec<Lookup>,
    libcalls: LibCallNames,
}

impl Names {
    /// Where a name is: among those of the builder, or of the process.
    pub(super) fn find(&self, name: &str) -> Option<Address> {
        let looked_up = || {
            let found = self.lookups.iter().rev().find_map(|lookup| lookup(name));
            found.map(|found| Address::new(found.expose_provenance() as u64))
        };
        let known = self.symbols.get(name).copied();
        known
            .or_else(looked_up)
            .or_else(|| codeslab::process_symbol(name))
    }

    /// What a function is called that Cranelift calls of itself.
    pub(super) fn of_libcall(&self, libcall: LibCall) -> String {
        (self.libcalls)(libcall)
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            symbols: HashMap::new(),
            lookups: Vec::new(),
            libcalls: cranelift_module::default_libcall_names(),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("symbols", &self.symbols)
            .field("lookups", &self.lookups.len())
            .finish_non_exhaustive()
    }
}
