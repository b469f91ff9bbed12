//! Programs that every module has to get right: the ground that `cranelift-jit`'s own tests cover, and what lies around it.

use crate::support::{
    Runs, adding, call, call_with, constant, data, declare, define, on_each, signature,
};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, types};
use cranelift_frontend::Switch;
use cranelift_module::{DataDescription, Linkage, Module, ModuleError};

#[test]
fn a_name_keeps_the_signature_that_it_was_declared_with() {
    on_each(|module| {
        declare(module, "f", 1);
        let other = signature(module, 2);
        let again = module.declare_function("f", Linkage::Local, &other);
        assert!(matches!(again, Err(ModuleError::IncompatibleSignature(name, ..)) if name == "f"));
        let data = module.declare_data("f", Linkage::Local, false, false);
        assert!(matches!(data, Err(ModuleError::IncompatibleDeclaration(_))));
    });
}

#[test]
fn a_function_is_defined_once_before_and_after_it_is_finalized() {
    on_each(|module| {
        let id = declare(module, "f", 0);
        constant(module, id, 1);
        for _ in 0..2 {
            let again = define(module, id, |builder, _, _| {
                builder.ins().iconst(types::I64, 2)
            });
            assert!(matches!(again, Err(ModuleError::DuplicateDefinition(name)) if name == "f"));
            module.finish();
        }
        assert_eq!(call(module.entry(id)), 1);
    });
}

#[test]
fn a_switch_arrives_where_each_of_its_numbers_leads() {
    on_each(|module| {
        let id = declare(module, "switch", 1);
        let cases = [
            (9_u128, 90),
            (13, 130),
            (10, 100),
            (92, 920),
            (39, 390),
            (34, 340),
        ];
        define(module, id, |builder, _, parameters| {
            let end = builder.create_block();
            builder.append_block_param(end, types::I64);
            let otherwise = builder.create_block();
            let mut switch = Switch::new();
            let blocks = cases.map(|(number, result)| {
                let block = builder.create_block();
                switch.set_entry(number, block);
                (block, result)
            });
            switch.emit(builder, parameters[0], otherwise);
            for (block, result) in blocks.into_iter().chain([(otherwise, -1)]) {
                builder.switch_to_block(block);
                let result = builder.ins().iconst(types::I64, result);
                builder.ins().jump(end, &[result.into()]);
            }
            builder.switch_to_block(end);
            builder.block_params(end)[0]
        })
        .unwrap();
        module.finish();
        let entry = module.entry(id);
        for (number, result) in cases {
            assert_eq!(call_with(entry, number as i64), result);
        }
        assert_eq!(call_with(entry, 11), -1);
    });
}

#[test]
fn functions_of_the_process_and_of_the_compiler_are_called() {
    on_each(|module| {
        // malloc is imported, memset is what the compiler calls of itself; what malloc gave is returned.
        let int = module.target_config().pointer_type();
        let mut malloc = module.make_signature();
        malloc.params.push(AbiParam::new(int));
        malloc.returns.push(AbiParam::new(int));
        let malloc = module.declare_function("malloc", Linkage::Import, &malloc);
        let malloc = malloc.unwrap();
        let id = declare(module, "filled", 1);
        define(module, id, |builder, module, parameters| {
            let malloc = module.declare_func_in_func(malloc, builder.func);
            let call = builder.ins().call(malloc, &[parameters[0]]);
            let buffer = builder.inst_results(call)[0];
            let byte = builder.ins().iconst(types::I8, 0x5a);
            builder.call_memset(module.target_config(), buffer, byte, parameters[0]);
            buffer
        })
        .unwrap();
        module.finish();
        let buffer = call_with(module.entry(id), 100) as *mut u8;
        // SAFETY: malloc gave 100 bytes, and memset wrote all of them.
        let bytes = unsafe { std::slice::from_raw_parts(buffer, 100) };
        assert!(bytes.iter().all(|byte| *byte == 0x5a));
        // SAFETY: malloc gave it, and nothing uses it any more.
        unsafe { libc::free(buffer.cast()) };
    });
}

#[test]
fn an_empty_data_object_has_an_address_of_its_own() {
    on_each(|module| {
        let first = data(module, "first", false, &[]);
        let second = data(module, "second", false, &[]);
        module.finish();
        assert!(!module.object(first).is_null());
        assert_ne!(module.object(first), module.object(second));
    });
}

#[test]
fn functions_that_call_themselves_and_each_other_find_them() {
    on_each(|module| {
        // Whether a number is even, by two functions each of which is defined after something refers to it.
        let (even, odd) = (declare(module, "even", 1), declare(module, "odd", 1));
        for (id, other, at_zero) in [(even, odd, 1), (odd, even, 0)] {
            define(module, id, |builder, module, parameters| {
                let (zero, more) = (builder.create_block(), builder.create_block());
                let end = builder.create_block();
                builder.append_block_param(end, types::I64);
                let is_zero = builder.ins().icmp_imm_s(IntCC::Equal, parameters[0], 0);
                builder.ins().brif(is_zero, zero, &[], more, &[]);
                builder.switch_to_block(zero);
                let result = builder.ins().iconst(types::I64, at_zero);
                builder.ins().jump(end, &[result.into()]);
                builder.switch_to_block(more);
                let other = module.declare_func_in_func(other, builder.func);
                let less = builder.ins().iadd_imm_s(parameters[0], -1);
                let call = builder.ins().call(other, &[less]);
                let result = builder.inst_results(call)[0];
                builder.ins().jump(end, &[result.into()]);
                builder.switch_to_block(end);
                builder.block_params(end)[0]
            })
            .unwrap();
        }
        module.finish();
        for number in 0..20 {
            assert_eq!(call_with(module.entry(even), number), 1 - number % 2);
        }
    });
}

#[test]
fn data_is_read_written_and_leads_to_functions_and_to_other_data() {
    on_each(|module| {
        let counter = data(module, "counter", true, &40_i64.to_le_bytes());
        let two = data(module, "two", false, &2_i64.to_le_bytes());
        let next = declare(module, "next", 0);
        define(module, next, |builder, module, _| {
            let pointer = module.target_config().pointer_type();
            let address = |builder: &mut cranelift_frontend::FunctionBuilder<'_>, id| {
                let global = module.declare_data_in_func(id, builder.func);
                builder.ins().symbol_value(pointer, global)
            };
            let (counter, two) = (address(builder, counter), address(builder, two));
            let flags = MemFlagsData::trusted();
            let two = builder.ins().load(types::I64, flags, two, 0);
            let before = builder.ins().load(types::I64, flags, counter, 0);
            let sum = builder.ins().iadd(before, two);
            builder.ins().store(flags, sum, counter, 0);
            sum
        })
        .unwrap();
        // A constant table: the function, and the second byte of the counter.
        let table = module.declare_data("table", Linkage::Local, false, false);
        let table = table.unwrap();
        let mut description = DataDescription::new();
        description.define(vec![0; 16].into());
        description.set_align(8);
        let function = module.declare_func_in_data(next, &mut description);
        let second = module.declare_data_in_data(counter, &mut description);
        description.write_function_addr(0, function);
        description.write_data_addr(8, second, 1);
        module.define_data(table, &description).unwrap();
        module.finish();
        assert_eq!(
            [call(module.entry(next)), call(module.entry(next))],
            [42, 44]
        );
        // SAFETY: a data object of two words.
        let table: [u64; 2] = unsafe { module.object(table).cast::<[u64; 2]>().read_unaligned() };
        assert_eq!(table[0], module.entry(next) as u64);
        assert_eq!(table[1], module.object(counter) as u64 + 1);
    });
}

#[test]
fn what_is_finalized_later_calls_what_was_finalized_before() {
    on_each(|module| {
        let first = declare(module, "f0", 0);
        constant(module, first, 0);
        module.finish();
        let mut last = first;
        for index in 1..50 {
            let next = declare(module, &format!("f{index}"), 0);
            adding(module, next, last, 1);
            module.finish();
            last = next;
        }
        assert_eq!(call(module.entry(last)), 49);
        assert_eq!(call(module.entry(first)), 0);
    });
}

#[test]
fn zeros_are_zero_whatever_was_there_before_and_as_aligned_as_they_ask_for() {
    on_each(|module| {
        for (name, is_writable) in [("constants", false), ("variables", true)] {
            let id = module.declare_data(name, Linkage::Local, is_writable, false);
            let id = id.unwrap();
            let mut description = DataDescription::new();
            description.define_zeroinit(5000);
            description.set_align(256);
            module.define_data(id, &description).unwrap();
            module.finish();
            let start = module.object(id);
            assert_eq!(start as usize % 256, 0);
            // SAFETY: a data object of as many bytes.
            let bytes = unsafe { std::slice::from_raw_parts(start, 5000) };
            assert!(bytes.iter().all(|byte| *byte == 0), "{name}");
        }
    });
}

#[test]
fn floating_point_constants_lie_with_their_function() {
    on_each(|module| {
        let mut signature = module.make_signature();
        signature.params.push(AbiParam::new(types::F64));
        signature.returns.push(AbiParam::new(types::F64));
        let id = module.declare_function("scaled", Linkage::Export, &signature);
        let id = id.unwrap();
        define(module, id, |builder, _, parameters| {
            let scale = builder.ins().f64const(std::f64::consts::PI);
            builder.ins().fmul(parameters[0], scale)
        })
        .unwrap();
        module.finish();
        // SAFETY: a function of this type was compiled there.
        let scaled: extern "C" fn(f64) -> f64 = unsafe { std::mem::transmute(module.entry(id)) };
        assert!((scaled(2.0) - std::f64::consts::TAU).abs() < f64::EPSILON);
    });
}

/// A module behind a reference is one, too.
#[test]
fn modules_are_used_behind_references() {
    fn answer(module: &mut dyn Runs) -> i64 {
        let id = module.declare_anonymous_function(&signature(module, 0));
        let id = id.unwrap();
        constant(module, id, 42);
        module.finish();
        call(module.entry(id))
    }
    on_each(|module| assert_eq!(answer(module), 42));
}
