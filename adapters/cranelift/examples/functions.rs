//! What it costs to define, finalize, call and free functions one by one, and what is left of them: `cranelift-jit` on its own
//! providers and on ours, and a `CodeModule`.
//!
//! cargo run --release --example functions [COUNT]
//!
//! Each row is a process of its own. The function is compiled once, so that what is compared is where it goes. Memory is what the process
//! has more of it (Pss), in KiB, what the module keeps of declarations included.
#![allow(unsafe_code, reason = "what was compiled is called")]

use codeslab_cranelift::{CodeModule, CodeModuleBuilder, MemoryProvider};
use cranelift_codegen::Context;
use cranelift_codegen::ir::{AbiParam, InstBuilder, types};
use cranelift_control::ControlPlane;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{
    ArenaMemoryProvider, JITBuilder, JITMemoryProvider, JITModule, SystemMemoryProvider,
};
use cranelift_module::{FuncId, Module, default_libcall_names};
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ROWS: [&str; 5] = ["system", "arena", "provider", "module", "module-batch"];

/// How often the function is compiled.
const TIMES: u32 = 100;

/// Functions that are finalized together in the last row.
const BATCH: usize = 100;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if let Some(row) = first.as_deref().filter(|row| ROWS.contains(row)) {
        let count = arguments.next().ok_or("how many?")?.parse()?;
        return measure(row, count);
    }
    let count = first.unwrap_or_else(|| "10000".to_owned());
    let module = CodeModule::new(CodeModuleBuilder::new()?)?;
    let (code, compiling) = compile(&module)?;
    println!(
        "{count} functions of {} bytes, each of which was compiled in {:.1} µs",
        code.len(),
        compiling.as_secs_f64() * 1e6
    );
    println!(
        "{:<13}{:>12}{:>10}{:>10}{:>10}{:>10}",
        "", "µs each", "mappings", "KiB", "µs freed", "KiB left"
    );
    for row in ROWS {
        let program = std::env::current_exe()?;
        let status = Command::new(program).args([row, &count]).status()?;
        if !status.success() {
            println!("{row:<13} {status}");
        }
    }
    Ok(())
}

/// A module, as far as the rows differ.
trait Runs: Module {
    fn publish(&mut self) -> Outcome;
    fn entry(&self, id: FuncId) -> *const u8;
    fn free_all(self: Box<Self>, ids: &[FuncId]) -> Outcome;
}

impl Runs for JITModule {
    fn publish(&mut self) -> Outcome {
        Ok(self.finalize_definitions()?)
    }

    fn entry(&self, id: FuncId) -> *const u8 {
        self.get_finalized_function(id)
    }

    fn free_all(self: Box<Self>, _: &[FuncId]) -> Outcome {
        // SAFETY: nothing of it is executed any more.
        unsafe { self.free_memory() };
        Ok(())
    }
}

impl Runs for CodeModule {
    fn publish(&mut self) -> Outcome {
        Ok(self.finalize_definitions()?)
    }

    fn entry(&self, id: FuncId) -> *const u8 {
        self.function(id).expect("it is finalized")
    }

    fn free_all(mut self: Box<Self>, ids: &[FuncId]) -> Outcome {
        for id in ids {
            self.free_function(*id)?;
        }
        Ok(())
    }
}

fn jit(provider: Box<dyn JITMemoryProvider + Send>) -> Outcome<Box<dyn Runs>> {
    let mut builder = JITBuilder::new(default_libcall_names())?;
    builder.memory_provider(provider);
    Ok(Box::new(JITModule::new(builder)))
}

fn measure(row: &str, count: usize) -> Outcome {
    let mut module: Box<dyn Runs> = match row {
        "system" => jit(Box::new(SystemMemoryProvider::new()))?,
        "arena" => jit(Box::new(ArenaMemoryProvider::new_with_size(1 << 31)?))?,
        "provider" => jit(Box::new(MemoryProvider::new()?))?,
        _ => Box::new(CodeModule::new(CodeModuleBuilder::new()?)?),
    };
    let batch = if row == "module-batch" { BATCH } else { 1 };
    let (code, _) = compile(&*module)?;
    // What a first function brings along is not what one costs.
    let warm = define(&mut *module, &code)?;
    module.publish()?;
    assert_eq!(call(module.entry(warm), 1), 8);
    let before = Usage::now();
    let mut ids = Vec::with_capacity(count + 1);
    let start = Instant::now();
    while ids.len() < count {
        let first = ids.len();
        for _ in 0..batch {
            ids.push(define(&mut *module, &code)?);
        }
        module.publish()?;
        for id in &ids[first..] {
            assert_eq!(call(module.entry(*id), 5), 40);
        }
    }
    let making = start.elapsed();
    let made = Usage::now();
    ids.push(warm);
    let start = Instant::now();
    module.free_all(&ids)?;
    let freeing = start.elapsed();
    let left = Usage::now();
    println!(
        "{row:<13}{:>12.2}{:>10}{:>10}{:>10.2}{:>10}",
        each(making, count),
        made.mappings - before.mappings,
        made.kibibytes - before.kibibytes,
        each(freeing, count),
        left.kibibytes - before.kibibytes,
    );
    Ok(())
}

/// Microseconds for each.
fn each(time: Duration, count: usize) -> f64 {
    let count = u32::try_from(count).expect("a count that ends today");
    (time / count).as_secs_f64() * 1e6
}

fn define(module: &mut dyn Runs, code: &[u8]) -> Outcome<FuncId> {
    let mut signature = module.make_signature();
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    let id = module.declare_anonymous_function(&signature)?;
    module.define_function_bytes(id, 16, code, &[])?;
    Ok(id)
}

/// Eight times a number, and how long compiling that takes.
fn compile(module: &dyn Module) -> Outcome<(Vec<u8>, Duration)> {
    let mut context: Context = module.make_context();
    let number = AbiParam::new(types::I64);
    context.func.signature.params.push(number);
    context.func.signature.returns.push(number);
    let mut frontend = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut frontend);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    let mut number = builder.block_params(block)[0];
    for _ in 0..3 {
        number = builder.ins().iadd(number, number);
    }
    builder.ins().return_(&[number]);
    builder.seal_all_blocks();
    builder.finalize(module.target_config());
    let mut code = Vec::new();
    let start = Instant::now();
    for _ in 0..TIMES {
        let mut context = Context::for_function(context.func.clone());
        let compiled = context.compile(module.isa(), &mut ControlPlane::default());
        let compiled = compiled.map_err(|error| format!("{:?}", error.inner))?;
        code = compiled.code_buffer().to_vec();
    }
    Ok((code, start.elapsed() / TIMES))
}

fn call(entry: *const u8, number: i64) -> i64 {
    // SAFETY: a function of this type was compiled there, and is not freed yet.
    let function: extern "C" fn(i64) -> i64 = unsafe { std::mem::transmute(entry) };
    function(number)
}

/// What the process has of the system; zeros where it does not say.
struct Usage {
    mappings: i64,
    kibibytes: i64,
}

impl Usage {
    fn now() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let rollup = read("/proc/self/smaps_rollup");
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let pss = pss.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        Self {
            mappings: read("/proc/self/maps").lines().map(|_| 1_i64).sum(),
            kibibytes: pss.unwrap_or_default(),
        }
    }
}
