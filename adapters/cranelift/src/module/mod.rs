//! A module whose functions and data have memory of their own each, and so come and go one by one.
//!
//! Defining something places it: from then on its address is final. Finalizing resolves what all that is defined by then refers to,
//! writes it, and publishes it as one batch. What is finalized knows what it refers to, so that nothing is freed to which live code
//! still leads. A replaceable function is reached through a slot, whose address stays.

mod builder;
mod define;
mod finalize;
mod free;
mod object;

pub use builder::CodeModuleBuilder;
#[cfg(feature = "jit")]
pub(crate) use builder::has_landing_pads;

use crate::domain::Domain;
use crate::error::Error;
use builder::Names;
use codeslab::{CodeMemory, Protection};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_module::{DataId, FuncId, FuncOrDataId, ModuleDeclarations};
use object::{Live, Objects};
use std::fmt;

/// A [`cranelift_module::Module`] in code memory. Dropping it frees all of it.
///
/// It differs from `cranelift_jit::JITModule` in this:
///
/// - What is finalized can be freed by itself ([`CodeModule::free_function`]), and defined again afterwards.
/// - A function that was made replaceable ([`CodeModule::make_replaceable`]) can be defined again while threads run it.
/// - What is missing, out of reach or not supported is an error, of which nothing is left, and no panic.
/// - Dropping it gives its memory back, also where no `free_memory` is called.
///
/// The addresses that it gives are called by unsafe code, which has to know that what it calls is not freed yet.
pub struct CodeModule {
    isa: OwnedTargetIsa,
    names: Names,
    declarations: ModuleDeclarations,
    objects: Objects,
    // Invariant: the objects that are pending, each once, in the order in which they were defined.
    pending: Vec<FuncOrDataId>,
    // Code that was replaced, and that threads may still be in.
    replaced: Vec<(FuncOrDataId, Live)>,
    // How many objects are finalized.
    live: usize,
    domain: Domain,
}

impl CodeModule {
    /// An empty module. Nothing is reserved before the first definition.
    ///
    /// # Errors
    /// [`Error::Architecture`], [`Error::PositionIndependent`], [`Error::BranchProtection`] for a compiler whose code cannot be executed
    /// here; [`Error::Memory`] if the memory cannot be opened.
    pub fn new(mut builder: CodeModuleBuilder) -> Result<Self, Error> {
        let memory = builder.open()?;
        Ok(Self {
            isa: builder.isa,
            names: builder.names,
            declarations: ModuleDeclarations::default(),
            objects: Objects::default(),
            pending: Vec::new(),
            replaced: Vec::new(),
            live: 0,
            domain: Domain::new(memory, builder.near),
        })
    }

    /// The memory that it lies in: for statistics, grace periods and lookups.
    #[must_use]
    pub const fn memory(&self) -> &CodeMemory {
        self.domain.memory()
    }

    /// Where a finalized function is called; `None` if it is not finalized. The address of a replaceable function stays when it is
    /// defined again.
    #[must_use]
    pub fn function(&self, id: FuncId) -> Option<*const u8> {
        let object = self.objects.get(FuncOrDataId::Func(id))?;
        object.live.as_ref()?;
        let address = object.address()?.value() as usize;
        Some(std::ptr::with_exposed_provenance(address))
    }

    /// Where a finalized data object is, and how many bytes it has; `None` if it is not finalized.
    #[must_use]
    pub fn data(&self, id: DataId) -> Option<(*const u8, usize)> {
        let object = self.objects.get(FuncOrDataId::Data(id))?;
        let live = object.live.as_ref()?;
        let address = std::ptr::with_exposed_provenance(live.address.value() as usize);
        Some((address, live.size as usize))
    }

    /// Has a function that is not defined yet be reached through a slot: it can then be defined again while it is defined, and calls
    /// that begin after the next [`CodeModule::finalize_definitions`] arrive in the new code. Every call costs a branch more.
    ///
    /// # Errors
    /// [`Error::Defined`] if it is defined already, [`Error::NotDefined`] if it is a function of another module.
    pub fn make_replaceable(&mut self, id: FuncId) -> Result<(), Error> {
        let id = FuncOrDataId::Func(id);
        let name = self.name(id);
        match self.objects.get_mut(id) {
            None => Err(Error::NotDefined { name }),
            Some(object) if object.is_defined() => Err(Error::Defined { name }),
            Some(object) => {
                object.is_replaceable = true;
                Ok(())
            }
        }
    }

    /// What errors call something.
    fn name(&self, id: FuncOrDataId) -> String {
        if self.objects.get(id).is_none() {
            return format!("{id:?}, which this module did not declare");
        }
        match id {
            FuncOrDataId::Func(id) => self.declarations.get_function_decl(id).linkage_name(id),
            FuncOrDataId::Data(id) => self.declarations.get_data_decl(id).linkage_name(id),
        }
        .into_owned()
    }

    /// What the bytes of an object may be used for.
    fn protection(&self, id: FuncOrDataId) -> Protection {
        match id {
            FuncOrDataId::Func(_) => Protection::ReadExecute,
            FuncOrDataId::Data(id) if self.declarations.get_data_decl(id).writable => {
                Protection::ReadWrite
            }
            FuncOrDataId::Data(_) => Protection::ReadOnly,
        }
    }

    /// What comes next may lie anywhere, if nothing is placed.
    fn rest(&mut self) {
        if self.live == 0 && self.pending.is_empty() && self.replaced.is_empty() {
            self.domain.weigh_anchor();
        }
    }
}

impl fmt::Debug for CodeModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeModule")
            .field("isa", &self.isa.name())
            .field("live", &self.live)
            .field("pending", &self.pending.len())
            .field("replaced", &self.replaced.len())
            .field("memory", self.domain.memory())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn can_be_sent<T: Send>() {}
    can_be_sent::<CodeModule>();
};
