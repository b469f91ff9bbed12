//! What the tests share: functions that are built in a line, and modules of both kinds behind one interface.

use codeslab_cranelift::codeslab::{self, CodeMemory, Options, Writer};
use codeslab_cranelift::{CodeModule, CodeModuleBuilder, MemoryProvider};
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, Signature, UserFuncName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITMemoryProvider, JITModule};
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module, ModuleError};

/// A module whose functions can be called.
pub(crate) trait Runs: Module {
    fn finish(&mut self);
    fn entry(&self, id: FuncId) -> *const u8;
    fn object(&self, id: DataId) -> *const u8;
}

impl Runs for CodeModule {
    fn finish(&mut self) {
        self.finalize_definitions().expect("all of it is defined");
    }

    fn entry(&self, id: FuncId) -> *const u8 {
        self.function(id).expect("it is finalized")
    }

    fn object(&self, id: DataId) -> *const u8 {
        self.data(id).expect("it is finalized").0
    }
}

impl Runs for JITModule {
    fn finish(&mut self) {
        self.finalize_definitions().expect("all of it is defined");
    }

    fn entry(&self, id: FuncId) -> *const u8 {
        self.get_finalized_function(id)
    }

    fn object(&self, id: DataId) -> *const u8 {
        self.get_finalized_data(id).0
    }
}

/// A memory for each writer that works here.
pub(crate) fn memories() -> Vec<CodeMemory> {
    let capabilities = codeslab::capabilities().expect("a supported platform");
    let writers = capabilities.writers.into_iter();
    let working = writers.filter(|status| status.unavailable.is_none());
    working.map(|status| memory(status.writer)).collect()
}

pub(crate) fn memory(writer: Writer) -> CodeMemory {
    let writer = Some(writer);
    CodeMemory::new(Options {
        writer,
        ..Options::default()
    })
    .expect("it works here")
}

pub(crate) fn module() -> CodeModule {
    CodeModule::new(CodeModuleBuilder::new().expect("a compiler")).expect("a module")
}

pub(crate) fn module_in(memory: CodeMemory) -> CodeModule {
    let mut builder = CodeModuleBuilder::new().expect("a compiler");
    builder.memory(memory);
    CodeModule::new(builder).expect("a module")
}

/// Cranelift's module with a provider; `None` for its default.
pub(crate) fn jit(provider: Option<Box<dyn JITMemoryProvider + Send>>) -> JITModule {
    let mut builder =
        JITBuilder::new(cranelift_module::default_libcall_names()).expect("a compiler");
    if let Some(provider) = provider {
        builder.memory_provider(provider);
    }
    JITModule::new(builder)
}

/// Runs a program on every kind of module.
pub(crate) fn on_each(program: impl Fn(&mut dyn Runs)) {
    for memory in memories() {
        let mut module = module_in(memory.clone());
        program(&mut module);
        drop(module);
        assert_eq!(memory.stats().used_bytes, 0, "all of it is given back");
    }
    let memory = memory(Writer::Protect);
    let provider = MemoryProvider::with_memory(memory.clone(), &[]).expect("it writes in place");
    let mut module = jit(Some(Box::new(provider)));
    program(&mut module);
    // SAFETY: the program is over.
    unsafe { module.free_memory() };
    assert_eq!(memory.stats().used_bytes, 0, "all of it is given back");
}

/// So many numbers to one.
pub(crate) fn signature(module: &(impl Module + ?Sized), parameters: usize) -> Signature {
    let mut signature = module.make_signature();
    let number = AbiParam::new(types::I64);
    signature.params = vec![number; parameters];
    signature.returns.push(number);
    signature
}

pub(crate) fn declare(
    module: &mut (impl Module + ?Sized),
    name: &str,
    parameters: usize,
) -> FuncId {
    let signature = signature(module, parameters);
    let declared = module.declare_function(name, Linkage::Local, &signature);
    declared.expect("a name that is new")
}

/// Compiles a function whose body yields one number.
pub(crate) fn define<M: Module + ?Sized>(
    module: &mut M,
    id: FuncId,
    body: impl FnOnce(&mut FunctionBuilder<'_>, &mut M, &[Value]) -> Value,
) -> Result<(), ModuleError> {
    let declaration = module.declarations().get_function_decl(id);
    let signature = declaration.signature.clone();
    let mut context = module.make_context();
    let name = UserFuncName::user(0, id.as_u32());
    context.func = Function::with_name_signature(name, signature);
    let mut frontend = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut frontend);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    let parameters = builder.block_params(block).to_vec();
    let result = body(&mut builder, module, &parameters);
    builder.ins().return_(&[result]);
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    module.define_function(id, &mut context)
}

/// A function that returns a number.
pub(crate) fn constant<M: Module + ?Sized>(module: &mut M, id: FuncId, number: i64) {
    define(module, id, |builder, _, _| {
        builder.ins().iconst(types::I64, number)
    })
    .expect("it is new");
}

/// A function that adds a number to what another one returns.
pub(crate) fn adding<M: Module + ?Sized>(module: &mut M, id: FuncId, callee: FuncId, more: i64) {
    define(module, id, |builder, module, _| {
        let callee = module.declare_func_in_func(callee, builder.func);
        let call = builder.ins().call(callee, &[]);
        let result = builder.inst_results(call)[0];
        builder.ins().iadd_imm_s(result, more)
    })
    .expect("it is new");
}

pub(crate) fn data<M: Module + ?Sized>(
    module: &mut M,
    name: &str,
    is_writable: bool,
    bytes: &[u8],
) -> DataId {
    let id = module.declare_data(name, Linkage::Local, is_writable, false);
    let id = id.expect("a name that is new");
    let mut description = DataDescription::new();
    description.define(bytes.into());
    module.define_data(id, &description).expect("it is new");
    id
}

/// Calls a function without parameters.
pub(crate) fn call(entry: *const u8) -> i64 {
    // SAFETY: tests compile functions of this type there.
    let function: extern "C" fn() -> i64 = unsafe { std::mem::transmute(entry) };
    function()
}

/// Calls a function of one number.
pub(crate) fn call_with(entry: *const u8, number: i64) -> i64 {
    // SAFETY: tests compile functions of this type there.
    let function: extern "C" fn(i64) -> i64 = unsafe { std::mem::transmute(entry) };
    function(number)
}
