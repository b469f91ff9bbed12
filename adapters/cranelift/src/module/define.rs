//! Cranelift's interface: declaring, and defining, which places.

use super::CodeModule;
use super::object::Pending;
use crate::error::Error;
use crate::relocation;
use codeslab::{Layout, Protection, Slot};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, Signature};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CompiledCode, Context, FinalizedRelocTarget};
use cranelift_control::ControlPlane;
use cranelift_module::{
    DataDescription, DataId, FuncId, FuncOrDataId, Init, Linkage, Module, ModuleDeclarations,
    ModuleError, ModuleReloc, ModuleResult,
};

/// Bytes to be aligned to, where nothing else is said: as much as a word, for data that code writes.
const DATA_ALIGN: u64 = 8;

impl Module for CodeModule {
    fn isa(&self) -> &dyn TargetIsa {
        &*self.isa
    }

    fn declarations(&self) -> &ModuleDeclarations {
        &self.declarations
    }

    fn declare_function(
        &mut self,
        name: &str,
        linkage: Linkage,
        signature: &Signature,
    ) -> ModuleResult<FuncId> {
        let declared = self.declarations.declare_function(name, linkage, signature);
        let (id, _) = declared?;
        self.objects.declare(FuncOrDataId::Func(id));
        Ok(id)
    }

    fn declare_anonymous_function(&mut self, signature: &Signature) -> ModuleResult<FuncId> {
        let id = self.declarations.declare_anonymous_function(signature)?;
        self.objects.declare(FuncOrDataId::Func(id));
        Ok(id)
    }

    fn declare_data(
        &mut self,
        name: &str,
        linkage: Linkage,
        writable: bool,
        tls: bool,
    ) -> ModuleResult<DataId> {
        refuse_thread_local(name, tls)?;
        let declared = self.declarations.declare_data(name, linkage, writable, tls);
        let (id, _) = declared?;
        self.objects.declare(FuncOrDataId::Data(id));
        Ok(id)
    }

    fn declare_anonymous_data(&mut self, writable: bool, tls: bool) -> ModuleResult<DataId> {
        refuse_thread_local("an anonymous data object", tls)?;
        let id = self.declarations.declare_anonymous_data(writable, tls)?;
        self.objects.declare(FuncOrDataId::Data(id));
        Ok(id)
    }

    fn define_function_with_control_plane(
        &mut self,
        id: FuncId,
        context: &mut Context,
        control: &mut ControlPlane,
    ) -> ModuleResult<()> {
        self.check_definable(FuncOrDataId::Func(id))?;
        context.compile(&*self.isa, control)?;
        let compiled = context.compiled_code().expect("it was compiled just now");
        self.check_references(id, compiled)?;
        let relocations = compiled.buffer.relocs().iter();
        let relocations =
            relocations.map(|one| ModuleReloc::from_mach_reloc(one, &context.func, id));
        let align = u64::from(compiled.buffer.alignment);
        self.define_code(id, align, compiled.code_buffer(), relocations.collect())
    }

    fn define_function_bytes(
        &mut self,
        id: FuncId,
        alignment: u64,
        bytes: &[u8],
        relocations: &[ModuleReloc],
    ) -> ModuleResult<()> {
        self.check_definable(FuncOrDataId::Func(id))?;
        self.define_code(id, alignment, bytes, relocations.to_vec())
    }

    fn define_data(&mut self, id: DataId, data: &DataDescription) -> ModuleResult<()> {
        let id = FuncOrDataId::Data(id);
        self.check_definable(id)?;
        let align = match self.protection(id) {
            Protection::ReadWrite => DATA_ALIGN,
            _ => 1,
        };
        let align = data.align.unwrap_or(align);
        let relocations = data.all_relocs(Reloc::Abs8).collect();
        let contents = match &data.init {
            Init::Uninitialized => {
                let name = self.name(id);
                return Err(Error::Uninitialized { name }.into_module());
            }
            Init::Zeros { size } => Contents::Zeros(*size as u64),
            Init::Bytes { contents } => Contents::Bytes(contents),
        };
        self.place(id, contents, align, relocations)
            .map_err(Error::into_module)
    }
}

/// What a function or a data object begins as.
#[derive(Clone, Copy, Debug)]
enum Contents<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}

impl Contents<'_> {
    const fn size(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(size) => size,
        }
    }
}

impl CodeModule {
    fn check_definable(&self, id: FuncOrDataId) -> ModuleResult<()> {
        let name = || self.name(id);
        let Some(object) = self.objects.get(id) else {
            return Err(ModuleError::Undeclared(name()));
        };
        let linkage = match id {
            FuncOrDataId::Func(id) => self.declarations.get_function_decl(id).linkage,
            FuncOrDataId::Data(id) => self.declarations.get_data_decl(id).linkage,
        };
        if !linkage.is_definable() {
            return Err(ModuleError::InvalidImportDefinition(name()));
        }
        if object.is_taken() {
            return Err(ModuleError::DuplicateDefinition(name()));
        }
        Ok(())
    }

    /// Names that only Cranelift's own tests have would make it panic when they are converted.
    fn check_references(&self, id: FuncId, compiled: &CompiledCode) -> ModuleResult<()> {
        let mut relocations = compiled.buffer.relocs().iter();
        let strange = relocations.find(|relocation| {
            let target = &relocation.target;
            matches!(
                target,
                FinalizedRelocTarget::ExternalName(ExternalName::TestCase(_))
            )
        });
        let Some(strange) = strange else {
            return Ok(());
        };
        let by = self.name(FuncOrDataId::Func(id));
        let name = format!("{:?}", strange.target);
        Err(Error::Undefined { name, by }.into_module())
    }

    fn define_code(
        &mut self,
        id: FuncId,
        align: u64,
        bytes: &[u8],
        relocations: Vec<ModuleReloc>,
    ) -> ModuleResult<()> {
        let least = u64::from(self.isa.function_alignment().minimum);
        let align = align.max(least).max(self.isa.symbol_alignment());
        let contents = Contents::Bytes(bytes);
        self.place(FuncOrDataId::Func(id), contents, align, relocations)
            .map_err(Error::into_module)
    }

    /// Places and writes what is defined; what it refers to is filled in when it is finalized.
    fn place(
        &mut self,
        id: FuncOrDataId,
        contents: Contents<'_>,
        align: u64,
        relocations: Vec<ModuleReloc>,
    ) -> Result<(), Error> {
        let size = contents.size();
        self.check_relocations(id, size, &relocations)?;
        let protection = self.protection(id);
        let mut layout = Layout::new();
        // Something without bytes has an address, too, which nothing else has.
        let section = layout.add(protection, size.max(1), align)?;
        let mut in_flight = self.domain.allocate(&layout)?;
        match contents {
            Contents::Bytes(bytes) => in_flight.write(section, 0, bytes)?,
            // Data is zero already.
            Contents::Zeros(_) if protection == Protection::ReadWrite => (),
            Contents::Zeros(_) => in_flight.bytes_mut(section).fill(0),
        }
        let pending = Pending {
            in_flight,
            section,
            size,
            relocations,
        };
        let (memory, windows) = (self.domain.memory().clone(), self.domain.windows());
        let object = self.objects.get_mut(id).expect("it was declared");
        if object.is_replaceable && object.slot.is_none() {
            object.slot = Some(Slot::new(&memory, pending.address(), &windows)?);
        }
        object.pending = Some(pending);
        self.pending.push(id);
        Ok(())
    }

    /// Every relocation is of a kind that is known, and lies inside the bytes.
    fn check_relocations(
        &self,
        id: FuncOrDataId,
        size: u64,
        relocations: &[ModuleReloc],
    ) -> Result<(), Error> {
        for relocation in relocations {
            let offset = u64::from(relocation.offset);
            let Some(width) = relocation::width(relocation.kind) else {
                return Err(Error::UnsupportedRelocation {
                    kind: format!("{:?}", relocation.kind),
                    by: self.name(id),
                    offset,
                });
            };
            if offset + width > size {
                let by = self.name(id);
                return Err(Error::RelocationOutOfBounds { by, offset, size });
            }
        }
        Ok(())
    }
}

fn refuse_thread_local(name: &str, is_thread_local: bool) -> ModuleResult<()> {
    if is_thread_local {
        let name = name.to_owned();
        return Err(Error::ThreadLocal { name }.into_module());
    }
    Ok(())
}
