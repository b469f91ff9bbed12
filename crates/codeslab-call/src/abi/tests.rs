//! Calls of real functions: of the compiler's, which tell what arrived, and of machine code that returns one place.
#![allow(unsafe_code)] // It calls through addresses.

use crate::{Calling, Frame, Kind, Reject, ShortFrame, Signature, Value};
use codeslab::{Allocation, CodeMemory, Layout, Options, Protection, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use std::ffi::{c_char, c_int};
use std::fmt::Write as _;

/// Calls a function with words as a signature places them.
///
/// # Safety
/// `target` is the entry of a function that takes and returns what `signature` says, whatever `words` are.
unsafe fn call_words(signature: &Signature, target: *const (), words: &[u64]) -> u64 {
    let mut frame = Frame::new();
    assert_eq!(signature.parameters().len(), words.len());
    for (parameter, word) in signature.parameters().iter().zip(words) {
        frame.put(*parameter, *word);
    }
    // SAFETY: it is the entry of a function that stays, by the obligation; the frame was filled by this signature's
    // parameters, and such a function is sound with any words and returns.
    unsafe { signature.call(target, &frame) }
}

fn compile(result: &str, arguments: &[&str]) -> Signature {
    Signature::compile(result, arguments).expect("a signature")
}

fn word(kind: Kind, number: f64) -> u64 {
    match kind {
        Kind::Float32 => Kind::float_word(number).expect("a float"),
        Kind::Float64 => number.to_bits(),
        _ => kind.integer_word(number).expect("an integer"),
    }
}

#[expect(
    clippy::many_single_char_names,
    reason = "what counts is which comes where"
)]
extern "C" fn weigh(
    a: i32,
    b: f64,
    c: u8,
    d: f32,
    e: i64,
    f: u64,
    g: i16,
    h: f64,
    i: u32,
    j: i32,
    k: f64,
) -> i64 {
    let integers = i64::from(a) + 2 * i64::from(c) + 3 * e + 4 * f.cast_signed();
    let more = 5 * i64::from(g) + 6 * i64::from(i) + 7 * i64::from(j);
    integers + more + (8.0 * b + 9.0 * f64::from(d) + 10.0 * h + 11.0 * k) as i64
}

#[test]
fn a_function_gets_integers_and_floats_of_every_width_in_their_order() {
    let types = [
        "i32", "f64", "u8", "f32", "i64", "u64", "i16", "f64", "u32", "i32", "f64",
    ];
    let numbers = [-1.0, 0.5, 200.0, 1.5, -3.0, 4.0, -5.0, 6.0, 7.0, -8.0, 9.0];
    let signature = compile("int64", &types);
    let words: Vec<_> = signature
        .parameters()
        .iter()
        .zip(numbers)
        .map(|(parameter, number)| word(parameter.kind(), number))
        .collect();
    // SAFETY: `weigh` takes and returns that.
    let result = unsafe { call_words(&signature, weigh as *const (), &words) };
    let expected = weigh(-1, 0.5, 200, 1.5, -3, 4, -5, 6.0, 7, -8, 9.0);
    assert_eq!(signature.result().value(result), Value::Int64(expected));
}

/// For each type: a function that returns its argument, and the numbers at which the type ends.
macro_rules! echoes {
    ($($kind:literal: $type:ty, $value:ident as $as:ty;)*) => {
        #[test]
        fn every_integer_type_comes_back_as_it_went_at_both_of_its_ends() {
            $({
                extern "C" fn echo(value: $type) -> $type {
                    value
                }
                for end in [<$type>::MIN, <$type>::MIN + 1, 0, <$type>::MAX - 1, <$type>::MAX] {
                    let signature = compile($kind, &[$kind]);
                    // SAFETY: `echo` takes and returns that.
                    let result = unsafe {
                        call_words(&signature, echo as *const (), &[i128::from(end).cast_unsigned() as u64])
                    };
                    assert_eq!(signature.result().value(result), Value::$value(<$as>::from(end)), $kind);
                }
            })*
        }
    };
}

echoes! {
    "int8": i8, Int32 as i32;
    "uint8": u8, Uint32 as u32;
    "int16": i16, Int32 as i32;
    "uint16": u16, Uint32 as u32;
    "int32": i32, Int32 as i32;
    "uint32": u32, Uint32 as u32;
    "int64": i64, Int64 as i64;
    "uint64": u64, Uint64 as u64;
    "pointer": u64, Uint64 as u64;
}

#[test]
fn numbers_beyond_the_ends_of_a_type_do_not_become_words() {
    let ends = [
        (Kind::Int8, -129.0, 128.0),
        (Kind::Uint8, -1.0, 256.0),
        (Kind::Int16, -32_769.0, 32_768.0),
        (Kind::Uint16, -1.0, 65_536.0),
        (Kind::Int32, -2_147_483_649.0, 2_147_483_648.0),
        (Kind::Uint32, -1.0, 4_294_967_296.0),
        (
            Kind::Int64,
            -9_007_199_254_740_992.0,
            9_007_199_254_740_992.0,
        ),
        (Kind::Uint64, -1.0, 9_007_199_254_740_992.0),
    ];
    for (kind, below, above) in ends {
        assert_eq!(kind.integer_word(below), Err(Reject::Range), "{kind:?}");
        assert_eq!(kind.integer_word(above), Err(Reject::Range), "{kind:?}");
        assert!(kind.integer_word(below + 1.0).is_ok(), "{kind:?}");
        assert!(kind.integer_word(above - 1.0).is_ok(), "{kind:?}");
    }
}

#[test]
fn floats_come_back_bit_for_bit_at_their_extremes() {
    extern "C" fn single(value: f32) -> f32 {
        value
    }
    extern "C" fn double(value: f64) -> f64 {
        value
    }
    let singles = [
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        -0.0,
        f32::INFINITY,
    ];
    let signature = compile("float", &["float"]);
    for value in singles {
        let word = Kind::float_word(value.into()).expect("a float");
        // SAFETY: `single` takes and returns that.
        let result = unsafe { call_words(&signature, single as *const (), &[word]) };
        assert_eq!(result as u32, value.to_bits(), "{value}");
    }
    let doubles = [
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        -0.0,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let signature = compile("double", &["double"]);
    for value in doubles {
        // SAFETY: `double` takes and returns that.
        let result = unsafe { call_words(&signature, double as *const (), &[value.to_bits()]) };
        assert_eq!(result, value.to_bits(), "{value}");
    }
}

#[test]
fn a_function_without_arguments_or_result_is_called() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count() {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
    let signature = compile("void", &[]);
    // SAFETY: `count` takes and returns nothing.
    let result = unsafe { call_words(&signature, count as *const (), &[]) };
    assert_eq!(signature.result().value(result), Value::Void);
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
}

unsafe extern "C" {
    fn snprintf(buffer: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
}

#[test]
fn a_variadic_function_finds_its_arguments_in_registers_and_on_the_stack() {
    // As many as there is room for.
    const PAIRS: i32 = if cfg!(any(windows, target_vendor = "apple")) {
        8
    } else {
        10
    };
    let mut types = vec!["pointer", "uint64", "string"];
    let mut buffer = [0_u8; 128];
    let format = std::ffi::CString::new("%d %g ".repeat(PAIRS as usize)).expect("no zero");
    let mut words = vec![
        buffer.as_mut_ptr().expose_provenance() as u64,
        buffer.len() as u64,
        format.as_ptr().expose_provenance() as u64,
    ];
    let mut expected = String::new();
    for number in 0..PAIRS {
        types.extend(["int32", "double"]);
        words.extend([
            word(Kind::Int32, -f64::from(number)),
            (f64::from(number) + 0.5).to_bits(),
        ]);
        write!(expected, "{} {number}.5 ", -number).expect("a string takes everything");
    }
    let calling = Calling::default().variadic(3);
    let signature = Signature::compile_as(calling, "int32", &types).expect("a signature");
    // SAFETY: `snprintf` takes what the format says after the format, and writes into the buffer no more than its size.
    let length = unsafe { call_words(&signature, snprintf as *const (), &words) };
    let text = std::str::from_utf8(&buffer[..length as usize]).expect("digits");
    assert_eq!(text, expected);
}

/// Where an argument is when a function begins, counted within its class or on the stack.
#[derive(Clone, Copy, Debug)]
enum Spot {
    Integer(u8),
    Float(u8),
    /// A word on the stack, and whether it is a float.
    Stack(u8, bool),
}

/// What Microsoft's documents say, written down a second time: registers go by position, the rest is on the stack.
#[cfg(windows)]
fn spots(floats: &[bool]) -> Vec<Spot> {
    let positions = (0..).zip(floats);
    let spot = |(position, &is_float): (u8, &bool)| match position {
        0..4 if is_float => Spot::Float(position),
        0..4 => Spot::Integer(position),
        _ => Spot::Stack(position - 4, is_float),
    };
    positions.map(spot).collect()
}

/// What the psABI documents say, written down a second time: classes have registers of their own, the rest is on the stack.
#[cfg(not(windows))]
fn spots(floats: &[bool]) -> Vec<Spot> {
    let (mut integer, mut float, mut stack) = (0, 0, 0);
    let spot = |&is_float: &bool| {
        let (used, registers) = if is_float {
            (&mut float, 8)
        } else {
            (&mut integer, INTEGERS)
        };
        if *used < registers {
            *used += 1;
            return if is_float {
                Spot::Float(*used - 1)
            } else {
                Spot::Integer(*used - 1)
            };
        }
        stack += 1;
        Spot::Stack(stack - 1, is_float)
    };
    floats.iter().map(spot).collect()
}

#[cfg(all(target_arch = "x86_64", not(windows)))]
const INTEGERS: u8 = 6;
#[cfg(all(target_arch = "aarch64", not(windows)))]
const INTEGERS: u8 = 8;

/// Code that returns what is in a spot.
#[cfg(target_arch = "x86_64")]
fn fetch(spot: Spot) -> Vec<u8> {
    // mov rax, rcx / rdx / r8 / r9
    #[cfg(windows)]
    const MOVES: [[u8; 3]; 4] = [
        [0x48, 0x89, 0xc8],
        [0x48, 0x89, 0xd0],
        [0x4c, 0x89, 0xc0],
        [0x4c, 0x89, 0xc8],
    ];
    // mov rax, rdi / rsi / rdx / rcx / r8 / r9
    #[cfg(not(windows))]
    const MOVES: [[u8; 3]; 6] = [
        [0x48, 0x89, 0xf8],
        [0x48, 0x89, 0xf0],
        [0x48, 0x89, 0xd0],
        [0x48, 0x89, 0xc8],
        [0x4c, 0x89, 0xc0],
        [0x4c, 0x89, 0xc8],
    ];
    // On Windows, what the callee may use lies between.
    let between = if cfg!(windows) { 4 } else { 0 };
    let behind_the_return_address = |word: u8| 8 * (u32::from(word) + 1 + between);
    let mut code = match spot {
        Spot::Integer(register) => MOVES[usize::from(register)].to_vec(),
        Spot::Float(register) => vec![0xf2, 0x0f, 0x10, 0xc0 + register], // movsd xmm0, xmmN
        Spot::Stack(_, false) => vec![0x48, 0x8b, 0x84, 0x24],            // mov rax, [rsp + …]
        Spot::Stack(_, true) => vec![0xf2, 0x0f, 0x10, 0x84, 0x24],       // movsd xmm0, [rsp + …]
    };
    if let Spot::Stack(word, _) = spot {
        code.extend(behind_the_return_address(word).to_le_bytes());
    }
    code.push(0xc3); // ret
    code
}

/// Code that returns what is in a spot.
#[cfg(target_arch = "aarch64")]
fn fetch(spot: Spot) -> Vec<u8> {
    let instruction: u32 = match spot {
        Spot::Integer(register) => 0xaa00_03e0 | u32::from(register) << 16, // mov x0, xN
        Spot::Float(register) => 0x1e60_4000 | u32::from(register) << 5,    // fmov d0, dN
        Spot::Stack(word, false) => 0xf940_03e0 | u32::from(word) << 10,    // ldr x0, [sp, …]
        Spot::Stack(word, true) => 0xfd40_03e0 | u32::from(word) << 10,     // ldr d0, [sp, …]
    };
    let ret: u32 = 0xd65f_03c0;
    [instruction.to_le_bytes(), ret.to_le_bytes()].concat()
}

/// Publishes code.
fn publish(memory: &CodeMemory, code: &[u8]) -> Allocation {
    let mut layout = Layout::new();
    let section = layout
        .add(Protection::ReadExecute, code.len() as u64, 16)
        .expect("a section");
    let mut in_flight = memory.allocate(&Request::new(&layout)).expect("room");
    in_flight.write(section, 0, code).expect("it fits");
    in_flight.finalize().expect("published")
}

/// Arguments that can be passed, whichever they are.
const MOST: usize = if cfg!(windows) { 20 } else { 22 };

proptest! {
    #[test]
    fn machine_code_finds_each_argument_where_the_psabi_says(
        floats in vec(any::<bool>(), 1..=MOST),
        words in vec(any::<u64>(), MOST),
    ) {
        let memory = CodeMemory::new(Options::default()).unwrap();
        let types: Vec<_> = floats.iter().map(|float| if *float { "double" } else { "uint64" }).collect();
        for (index, spot) in spots(&floats).into_iter().enumerate() {
            let code = publish(&memory, &fetch(spot));
            let target = std::ptr::with_exposed_provenance(code.segment_address(Protection::ReadExecute).unwrap().value() as usize);
            let signature = compile(types[index], &types);
            // SAFETY: the code is published until the end of this round, reads one argument, and returns it.
            let result = unsafe { call_words(&signature, target, &words[..types.len()]) };
            prop_assert_eq!(result, words[index], "argument {} in {:?}", index, spot);
        }
    }
}

extern "C" fn weigh_words(a: i64, b: i8, c: *const u8, d: u16) -> i64 {
    let address = c.addr() as u64;
    a + 2 * i64::from(b) + 3 * address.cast_signed() + 4 * i64::from(d)
}

#[test]
fn a_few_integers_arrive_without_all_registers_being_loaded() {
    let signature = compile("int64", &["int64", "int8", "pointer", "uint16"]);
    assert!(signature.is_short());
    let mut frame = ShortFrame::new();
    let words = [-5_i64, -6, 7, 8].map(i64::cast_unsigned);
    for (index, word) in words.into_iter().enumerate() {
        frame.put(index, word);
    }
    // SAFETY: the signature is short and that of the function, which any words are good for.
    let result = unsafe { signature.call_short(weigh_words as *const (), &frame) };
    assert_eq!(result.cast_signed(), -5 - 2 * 6 + 3 * 7 + 4 * 8);
}

#[test]
fn signatures_with_floats_many_arguments_or_such_as_vary_are_not_short() {
    let is_short = |result: &str, arguments: &[&str]| compile(result, arguments).is_short();
    assert!(is_short("void", &[]) && is_short("pointer", &["bool", "char"]));
    assert!(!is_short("double", &[]) && !is_short("void", &["float"]));
    assert!(is_short("void", &["int8"; 4]) && !is_short("void", &["int8"; 5]));
    let variadic = Signature::compile_as(Calling::default().variadic(1), "void", &["pointer"]);
    assert!(!variadic.unwrap().is_short());
}
