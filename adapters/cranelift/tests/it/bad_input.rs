//! What is refused, and that nothing of it is left.

use crate::support::{constant, declare, module, signature};
use codeslab_cranelift::codeslab::{CodeMemory, Error as MemoryError, Options};
use codeslab_cranelift::{CodeModule, CodeModuleBuilder, Error};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::LibCall;
use cranelift_module::{
    DataDescription, DataId, FuncId, Linkage, Module, ModuleError, ModuleReloc, ModuleRelocTarget,
    ModuleResult,
};

fn own_error(result: &ModuleResult<impl Sized>) -> Option<Error> {
    match result {
        Err(ModuleError::Backend(error)) => error.downcast_ref::<Error>().cloned(),
        _ => None,
    }
}

fn memory_error(result: ModuleResult<()>) -> Option<MemoryError> {
    match result {
        Err(ModuleError::Allocation { err }) => err.get_ref()?.downcast_ref().cloned(),
        _ => None,
    }
}

fn relocation(kind: Reloc, offset: u32, name: ModuleRelocTarget, addend: i64) -> ModuleReloc {
    ModuleReloc {
        offset,
        kind,
        name,
        addend,
    }
}

#[test]
fn compilers_whose_code_does_not_run_here_are_refused() {
    let pic = CodeModuleBuilder::with_flags(&[("is_pic", "true")]).unwrap();
    assert_eq!(
        CodeModule::new(pic).unwrap_err(),
        Error::PositionIndependent
    );
    for (name, value) in [("no_such_setting", "true"), ("is_pic", "perhaps")] {
        let refused = CodeModuleBuilder::with_flags(&[(name, value)]).unwrap_err();
        assert!(
            matches!(&refused, Error::Compiler(reason) if reason.contains(name)),
            "{refused}"
        );
    }
}

#[test]
fn imports_and_what_others_declared_cannot_be_defined() {
    let mut module = module();
    let signature = signature(&module, 0);
    let import = module.declare_function("labs", Linkage::Import, &signature);
    let import = import.unwrap();
    let refused = module.define_function_bytes(import, 16, &[0xc3], &[]);
    assert!(matches!(
        refused,
        Err(ModuleError::InvalidImportDefinition(_))
    ));
    let strange = FuncId::from_u32(1000);
    let refused = module.define_function_bytes(strange, 16, &[0xc3], &[]);
    assert!(matches!(refused, Err(ModuleError::Undeclared(_))));
    let refused = module.define_data(DataId::from_u32(1000), &DataDescription::new());
    assert!(matches!(refused, Err(ModuleError::Undeclared(_))));
    assert!(matches!(
        module.free_function(strange),
        Err(Error::NotDefined { .. })
    ));
    assert!(matches!(
        module.make_replaceable(strange),
        Err(Error::NotDefined { .. })
    ));
    assert_eq!(module.function(strange), None);
    assert_eq!(module.data(DataId::from_u32(1000)), None);
    assert_eq!(module.memory().stats().used_bytes, 0);
}

#[test]
fn relocations_outside_of_their_function_and_of_other_kinds_are_refused() {
    let mut module = module();
    let id = declare(&mut module, "f", 0);
    let itself = ModuleRelocTarget::from(id);
    for offset in [5, 8, u32::MAX] {
        let one = relocation(Reloc::Abs4, offset, itself.clone(), 0);
        let refused = module.define_function_bytes(id, 16, &[0x90; 8], &[one]);
        let expected = Error::RelocationOutOfBounds {
            by: "f".to_owned(),
            offset: offset.into(),
            size: 8,
        };
        assert_eq!(own_error(&refused), Some(expected));
    }
    for kind in [Reloc::X86GOTPCRel4, Reloc::ElfX86_64TlsGd] {
        let one = relocation(kind, 0, itself.clone(), 0);
        let refused = module.define_function_bytes(id, 16, &[0x90; 8], &[one]);
        let error = own_error(&refused);
        assert!(
            matches!(error, Some(Error::UnsupportedRelocation { .. })),
            "{error:?}"
        );
    }
    assert_eq!(module.memory().stats().in_flight, 0);
    module
        .define_function_bytes(id, 16, &[0x90; 8], &[])
        .unwrap();
}

#[test]
fn references_that_lead_nowhere_or_too_far_are_refused_when_they_are_resolved() {
    let name = |index| ModuleRelocTarget::user(0, index);
    let rows = [
        (relocation(Reloc::Abs4, 0, name(0), 0), "reach"),
        (relocation(Reloc::X86PCRel4, 0, name(0), 1 << 40), "reach"),
        (relocation(Reloc::Arm64Call, 0, name(0), 1 << 30), "reach"),
        (relocation(Reloc::Abs8, 0, name(7), 0), "defined nowhere"),
        (
            relocation(Reloc::Abs8, 0, ModuleRelocTarget::user(2, 0), 0),
            "defined nowhere",
        ),
        (
            relocation(
                Reloc::Abs8,
                0,
                ModuleRelocTarget::KnownSymbol(
                    cranelift_codegen::ir::KnownSymbol::ElfGlobalOffsetTable,
                ),
                0,
            ),
            "defined nowhere",
        ),
        (
            relocation(
                Reloc::Abs8,
                0,
                ModuleRelocTarget::LibCall(LibCall::Memset),
                0,
            ),
            "defined nowhere",
        ),
    ];
    for (one, reason) in rows {
        let mut builder = CodeModuleBuilder::new().unwrap();
        builder.libcall_names(Box::new(|_| "codeslab_is_nowhere".to_owned()));
        let mut module = CodeModule::new(builder).unwrap();
        let id = declare(&mut module, "f", 0);
        module
            .define_function_bytes(id, 16, &[0x90; 8], &[one])
            .unwrap();
        let refused = module.finalize_definitions().unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
        // It stays pending, and can be given up.
        assert_eq!(module.memory().stats().in_flight, 1);
        module.free_function(id).unwrap();
        assert_eq!(module.memory().stats().used_bytes, 0);
        constant(&mut module, id, 1);
        module.finalize_definitions().unwrap();
    }
}

#[test]
fn data_that_cannot_be_is_refused() {
    let mut module = module();
    let error = own_error(&module.declare_data("tls", Linkage::Local, true, true));
    assert!(matches!(error, Some(Error::ThreadLocal { name }) if name == "tls"));
    let error = own_error(&module.declare_anonymous_data(true, true));
    assert!(matches!(error, Some(Error::ThreadLocal { .. })));
    let id = module
        .declare_data("d", Linkage::Local, true, false)
        .unwrap();
    let mut description = DataDescription::new();
    let name = "d".to_owned();
    let refused = module.define_data(id, &description);
    assert_eq!(own_error(&refused), Some(Error::Uninitialized { name }));
    description.define_zeroinit(8);
    for align in [0, 3, 1 << 40] {
        description.set_align_unchecked(align);
        let error = memory_error(module.define_data(id, &description));
        assert!(
            matches!(error, Some(MemoryError::InvalidAlignment { .. })),
            "{error:?}"
        );
    }
    description.clear();
    description.define_zeroinit(1 << 50);
    let error = memory_error(module.define_data(id, &description));
    assert!(
        matches!(error, Some(MemoryError::TooLarge { .. })),
        "{error:?}"
    );
    assert_eq!(module.memory().stats().used_bytes, 0);
}

/// An alignment as it is.
trait AnyAlign {
    fn set_align_unchecked(&mut self, align: u64);
}

impl AnyAlign for DataDescription {
    fn set_align_unchecked(&mut self, align: u64) {
        self.align = Some(align);
    }
}

#[test]
fn a_memory_that_is_full_refuses_a_definition_and_goes_on() {
    let memory = CodeMemory::new(Options {
        max_committed: Some(256 << 10),
        ..Options::default()
    });
    let mut builder = CodeModuleBuilder::new().unwrap();
    builder.memory(memory.unwrap());
    let mut module = CodeModule::new(builder).unwrap();
    let small = declare(&mut module, "small", 0);
    constant(&mut module, small, 1);
    let large = module.declare_data("large", Linkage::Local, true, false);
    let large = large.unwrap();
    let mut description = DataDescription::new();
    description.define_zeroinit(1 << 20);
    let error = memory_error(module.define_data(large, &description));
    assert!(matches!(error, Some(MemoryError::Refused(_))), "{error:?}");
    module.finalize_definitions().unwrap();
    assert_eq!(crate::support::call(module.function(small).unwrap()), 1);
    assert_eq!(module.data(large), None);
}

/// How large files of this process may become, in bytes.
#[cfg(target_os = "linux")]
fn limit_file_size(bytes: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the place for the limit is there.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    assert_eq!(failed, 0);
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: the limit is there.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    assert_eq!(failed, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_system_refuses_to_publish_is_undefined_and_the_rest_stays() {
    const NAME: &str =
        "bad_input::what_the_system_refuses_to_publish_is_undefined_and_the_rest_stays";
    if !codeslab_testing::is_child(NAME) {
        return codeslab_testing::assert_passed(&codeslab_testing::run_alone(NAME, &[]));
    }
    let writer = codeslab_cranelift::codeslab::Writer::FileWrite;
    let memory = crate::support::memory(writer);
    let mut module = crate::support::module_in(memory.clone());
    let (old, new) = (
        declare(&mut module, "old", 0),
        declare(&mut module, "new", 0),
    );
    module.make_replaceable(old).unwrap();
    module.make_replaceable(new).unwrap();
    constant(&mut module, old, 1);
    module.finalize_definitions().unwrap();
    let live = memory.stats().live;
    constant(&mut module, old, 2);
    constant(&mut module, new, 3);
    limit_file_size(0);
    let refused = module.finalize_definitions().unwrap_err();
    assert!(
        matches!(refused, Error::Memory(MemoryError::Refused(_))),
        "{refused}"
    );
    limit_file_size(u64::MAX);
    // The old definition of the one is what is called; the other has none, nor a slot.
    assert_eq!(crate::support::call(module.function(old).unwrap()), 1);
    assert_eq!(module.function(new), None);
    let stats = memory.stats();
    assert_eq!((stats.live, stats.in_flight), (live, 0));
    constant(&mut module, old, 2);
    constant(&mut module, new, 3);
    module.finalize_definitions().unwrap();
    assert_eq!(crate::support::call(module.function(old).unwrap()), 2);
    assert_eq!(crate::support::call(module.function(new).unwrap()), 3);
}
