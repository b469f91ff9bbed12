//! Cranelift on [`codeslab`]: what its compiler makes goes into code memory that is placed within reach, written under W^X, and
//! given back.
//!
//! There are three ways, and this crate is two of them:
//!
//! | | functions are | written through |
//! |---|---|---|
//! | [`CodeModule`], a [`cranelift_module::Module`] | defined, called, replaced and freed one by one | two views, or any other [`codeslab::Writer`] |
//! | `MemoryProvider`, for `cranelift_jit::JITBuilder` | freed with their `JITModule` | [`codeslab::Writer::Protect`]: `cranelift-jit` executes the address at which it wrote |
//! | `cranelift-object` and the crate `codeslab-link` | freed with their image | two views; unwind tables, constructors and thread-local variables included |
//!
//! ```
//! use codeslab_cranelift::{CodeModule, CodeModuleBuilder};
//! use cranelift_codegen::ir::{AbiParam, InstBuilder, types};
//! use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
//! use cranelift_module::{Linkage, Module};
//!
//! let mut module = CodeModule::new(CodeModuleBuilder::new()?)?;
//! let mut context = module.make_context();
//! context.func.signature.params.push(AbiParam::new(types::I32));
//! context.func.signature.returns.push(AbiParam::new(types::I32));
//! let twice = module.declare_function("twice", Linkage::Export, &context.func.signature)?;
//!
//! let mut frontend = FunctionBuilderContext::new();
//! let mut builder = FunctionBuilder::new(&mut context.func, &mut frontend);
//! let block = builder.create_block();
//! builder.append_block_params_for_function_params(block);
//! builder.switch_to_block(block);
//! let number = builder.block_params(block)[0];
//! let sum = builder.ins().iadd(number, number);
//! builder.ins().return_(&[sum]);
//! builder.seal_all_blocks();
//! builder.finalize(module.target_config());
//!
//! module.define_function(twice, &mut context)?;
//! module.finalize_definitions()?;
//! let address = module.function(twice).expect("it is finalized");
//! // SAFETY: this is the type that the function was compiled with, and it is not freed before the call returns.
//! let function: extern "C" fn(i32) -> i32 = unsafe { std::mem::transmute(address) };
//! assert_eq!(function(21), 42);
//! module.free_function(twice)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it does not do: unwind tables are not registered for a [`CodeModule`] (they are for an object that `codeslab-link` links), and
//! position-independent code is refused, as by `cranelift-jit`: its references need no table where everything is in reach.
//!
//! With the feature `jit`, which is on by default, there is `MemoryProvider`; without it, `cranelift-jit` is not compiled.

#![allow(
    clippy::result_large_err,
    reason = "ModuleError is Cranelift's, and its interface returns it by value"
)]

mod domain;
mod error;
mod module;
#[cfg(feature = "jit")]
mod provider;
mod relocation;

pub use codeslab;
pub use error::Error;
pub use module::{CodeModule, CodeModuleBuilder};
#[cfg(feature = "jit")]
pub use provider::MemoryProvider;
