//! What `cranelift-object` writes, linked by `codeslab-link`: position-independent code, tables, and unwind information.

use crate::support::{call_with, declare, define, signature};
use codeslab_cranelift::codeslab::{CodeMemory, Options};
use codeslab_link::{Image, Input, LinkOptions, link};
use cranelift_codegen::ir::{InstBuilder, types};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_module::{DataDescription, Linkage, Module, default_libcall_names};
use cranelift_object::{ObjectBuilder, ObjectModule};

fn object_module() -> ObjectModule {
    let mut flags = settings::builder();
    flags.set("is_pic", "true").unwrap();
    flags.set("preserve_frame_pointers", "true").unwrap();
    let isa = cranelift_native::builder().unwrap();
    let isa = isa.finish(settings::Flags::new(flags)).unwrap();
    let builder = ObjectBuilder::new(isa, "generated", default_libcall_names());
    let mut builder = builder.unwrap();
    builder.per_function_section(true).unwind_info(true);
    ObjectModule::new(builder)
}

fn linked(memory: &CodeMemory, module: ObjectModule, externals: &[(&str, usize)]) -> Image {
    let bytes = module.finish().emit().unwrap();
    let externals = externals.iter();
    let externals = externals.map(|(name, at)| ((*name).to_owned(), (*at as u64).into()));
    let options = LinkOptions {
        externals: externals.collect(),
        ..LinkOptions::default()
    };
    let file = Input::File {
        name: "generated.o",
        bytes: &bytes,
    };
    let linked = link(memory, &[file], &options).unwrap();
    linked.into_image().expect("it has no constructors")
}

fn entry(image: &Image, name: &str) -> *const u8 {
    let address = image.address(name).expect("it is exported");
    std::ptr::with_exposed_provenance(address.value() as usize)
}

#[test]
fn an_object_with_tables_and_data_is_linked_called_and_freed() {
    let memory = CodeMemory::new(Options::default()).unwrap();
    for round in 0..20_i64 {
        let mut module = object_module();
        let table = module.declare_data("table", Linkage::Export, false, false);
        let table = table.unwrap();
        let mut description = DataDescription::new();
        description.define(round.to_le_bytes().into());
        module.define_data(table, &description).unwrap();
        let one = signature(&module, 1);
        let labs = module.declare_function("labs", Linkage::Import, &one);
        let labs = labs.unwrap();
        let f = module.declare_function("f", Linkage::Export, &one).unwrap();
        define(&mut module, f, |builder, module, parameters| {
            let labs = module.declare_func_in_func(labs, builder.func);
            let call = builder.ins().call(labs, parameters);
            let positive = builder.inst_results(call)[0];
            let global = module.declare_data_in_func(table, builder.func);
            let pointer = module.target_config().pointer_type();
            let address = builder.ins().symbol_value(pointer, global);
            let flags = cranelift_codegen::ir::MemFlagsData::trusted();
            let more = builder.ins().load(types::I64, flags, address, 0);
            builder.ins().iadd(positive, more)
        })
        .unwrap();
        let image = linked(&memory, module, &[]);
        assert_eq!(call_with(entry(&image, "f"), -40), 40 + round);
        image.free();
        assert_eq!(memory.stats().used_bytes, 0);
    }
}

/// Panics with its argument.
extern "C-unwind" fn throw(number: i64) -> i64 {
    std::panic::panic_any(number)
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_panic_passes_through_functions_of_an_object() {
    let memory = CodeMemory::new(Options::default()).unwrap();
    let mut module = object_module();
    let one = signature(&module, 1);
    let import = module.declare_function("throw", Linkage::Import, &one);
    let import = import.unwrap();
    let inner = declare(&mut module, "inner", 1);
    let outer = module.declare_function("outer", Linkage::Export, &one);
    let outer = outer.unwrap();
    for (id, callee) in [(inner, import), (outer, inner)] {
        define(&mut module, id, |builder, module, parameters| {
            let callee = module.declare_func_in_func(callee, builder.func);
            let call = builder.ins().call(callee, parameters);
            let result = builder.inst_results(call)[0];
            builder.ins().iadd_imm_s(result, 1)
        })
        .unwrap();
    }
    let throw: extern "C-unwind" fn(i64) -> i64 = throw;
    let image = linked(&memory, module, &[("throw", throw as usize)]);
    // SAFETY: a function of this type was compiled there, with unwind information.
    let outer: extern "C-unwind" fn(i64) -> i64 =
        unsafe { std::mem::transmute(entry(&image, "outer")) };
    let thrown = std::panic::catch_unwind(|| outer(123)).unwrap_err();
    assert_eq!(thrown.downcast_ref::<i64>(), Some(&123));
    image.free();
}
