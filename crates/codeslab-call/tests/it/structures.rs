//! Calls against the C compiler, in both directions, for signatures that a seed makes: by the convention of this system, and by that of Apple's
//! where code for them is executed here.
#![allow(unsafe_code)] // It calls what C's compiler made, and is called by it.

use crate::cases::{Case, Random, cases, digest, word};
use codeslab::{Allocation, CodeMemory, Layout, Options, Protection, Request};
use codeslab_call::{
    Arguments, Handler, LargeFrame, Results, Signature, System, closure, closure_bytes, trampoline,
};
use codeslab_link::{Image, Input, LinkOptions};
use codeslab_testing::{CrossCompiler, apple_object, compile_c};
use std::ptr;
use std::sync::{Mutex, OnceLock};

const SEED: u64 = 20_261;
const COUNT: usize = 240;

/// Who makes objects for Windows, where no compiler is at hand.
const WINDOWS: CrossCompiler = CrossCompiler {
    program: "x86_64-w64-mingw32-gcc",
    package: "gcc-mingw-w64-x86-64",
};

/// What Apple calls this machine.
const APPLE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "x86_64"
};

/// Links the functions of all cases, made for a system. `None` where there is no object, and `test` is skipped.
fn linked(test: &str, system: System, memory: &CodeMemory, source: &str) -> Option<Image> {
    let flags = ["-O1", "-w", "-fno-builtin", "-fno-stack-protector"];
    let object = match system {
        System::Apple => apple_object(test, APPLE, "c", source, &flags)?,
        _ => compile_c(test, source, &flags, WINDOWS)?,
    };
    let inputs = [Input::File {
        name: "cases.o",
        bytes: &object,
    }];
    let linked = codeslab_link::link(memory, &inputs, &LinkOptions::default());
    let linked = linked.unwrap_or_else(|error| panic!("{error}"));
    // SAFETY: the compiler made it of sound C, without constructors.
    Some(unsafe { linked.start() }.expect("it starts"))
}

fn entry(image: &Image, name: &str) -> *const () {
    let address = image.address(name).expect("a symbol").value();
    ptr::with_exposed_provenance(address as usize)
}

/// The bytes of what a call gave back.
fn bytes_of_result(case: &Case, (word, bytes): (u64, Vec<u8>)) -> Vec<u8> {
    if case.result.is_structure() {
        bytes
    } else {
        word.to_le_bytes().to_vec()
    }
}

#[test]
fn structures_arrive_in_c_as_they_were_passed_and_come_back_as_c_returned_them() {
    let test = "structures_arrive_in_c_as_they_were_passed_and_come_back_as_c_returned_them";
    call_all(test, System::Own);
}

#[cfg(not(windows))]
#[test]
fn c_that_was_made_for_apple_is_called_by_apples_convention() {
    let test = "c_that_was_made_for_apple_is_called_by_apples_convention";
    call_all(test, System::Apple);
}

fn call_all(test: &str, system: System) {
    let memory = CodeMemory::new(Options::default()).expect("code memory");
    let (cases, source) = cases(SEED, COUNT);
    let Some(image) = linked(test, system, &memory, &source) else {
        return;
    };
    let seen = entry(&image, "seen").cast::<u64>();
    let mut random = Random::new(SEED + 1);
    let mut structures = 0;
    for (index, case) in cases.iter().enumerate() {
        let signature = case.signature(system);
        let mut frame = LargeFrame::new();
        let mut values = Vec::new();
        for (at, (shape, parameter)) in case
            .parameters
            .iter()
            .zip(signature.parameters())
            .enumerate()
        {
            let numbers = shape.numbers(&mut random);
            if shape.is_structure() {
                structures += 1;
                assert!(frame.put_structure(&signature, at, &shape.bytes(&numbers)));
            } else {
                frame.put(*parameter, word(parameter.kind(), numbers[0]));
            }
            values.push(numbers);
        }
        // SAFETY: the function takes and returns what the case says, and so does the signature.
        let result =
            unsafe { signature.call_large(entry(&image, &format!("f{index}")), &mut frame) };
        let result = bytes_of_result(case, result);
        let expected = case.result.bytes(&case.returned);
        assert!(
            case.result.kept(&result).eq(case.result.kept(&expected)),
            "result of f{index}: {result:x?}, not {expected:x?}"
        );
        // SAFETY: it is a variable of the image, which is there.
        let seen = unsafe { seen.read_volatile() };
        assert_eq!(seen, digest(&values), "arguments of f{index}");
    }
    assert!(structures > COUNT, "{structures} structures are passed");
}

/// What the handler knows: the cases with their signatures, and whose arguments did not arrive.
struct Called {
    cases: Vec<(Case, Signature)>,
    wrong: Mutex<Vec<usize>>,
}

static OWN: OnceLock<Called> = OnceLock::new();
#[cfg(not(windows))]
static APPLES: OnceLock<Called> = OnceLock::new();

/// What is returned to C by the closure with this number.
fn answer(case: &Case, index: usize) -> Vec<i64> {
    case.result.numbers(&mut Random::new(index as u64))
}

unsafe extern "C" fn handle(index: u64, registers: *mut u64, stack: *const u64) -> u64 {
    // SAFETY: they are what the trampoline passed.
    let arguments = unsafe { Arguments::new(registers, stack) };
    // SAFETY: C passes what the case says.
    unsafe { answer_one(&OWN, index as usize, arguments) }
}

#[cfg(not(windows))]
unsafe extern "C" fn handle_apples(index: u64, registers: *mut u64, stack: *const u64) -> u64 {
    // SAFETY: they are what the trampoline passed.
    let arguments = unsafe { Arguments::new(registers, stack) };
    // SAFETY: C passes what the case says.
    unsafe { answer_one(&APPLES, index as usize, arguments) }
}

/// # Safety
/// The arguments are those of the case with this number.
unsafe fn answer_one(called: &OnceLock<Called>, index: usize, arguments: Arguments) -> u64 {
    let called = called.get().expect("it was set");
    let (case, signature) = &called.cases[index];
    for (at, (shape, parameter)) in case
        .parameters
        .iter()
        .zip(signature.parameters())
        .enumerate()
    {
        let bytes = if shape.is_structure() {
            // SAFETY: C passes what the case says, and so does the signature.
            unsafe { arguments.structure(signature, at) }
        } else {
            // SAFETY: the parameter is one of this signature, whose arguments C passes.
            unsafe { arguments.get(*parameter) }.to_le_bytes().to_vec()
        };
        let expected = shape.bytes(&case.passed[at]);
        if !shape.kept(&bytes).eq(shape.kept(&expected)) {
            called.wrong.lock().expect("no panic").push(index);
        }
    }
    let numbers = answer(case, index);
    let results = if case.result.is_structure() {
        // SAFETY: C expects what the case says.
        unsafe { arguments.results(signature, &case.result.bytes(&numbers)) }
    } else {
        let word = word(signature.result(), numbers[0]);
        let mut results = Results::default();
        (results[0], results[2]) = (word, word);
        results
    };
    // SAFETY: this returns it, and reads no argument any more.
    unsafe { arguments.answer(results) }
}

fn place(memory: &CodeMemory, bytes: &[u8]) -> (u64, Allocation) {
    let mut layout = Layout::new();
    let text = layout
        .add(Protection::ReadExecute, bytes.len() as u64, 32)
        .expect("a section");
    let mut in_flight = memory.allocate(&Request::new(&layout)).expect("room");
    in_flight.write(text, 0, bytes).expect("it fits");
    let address = in_flight.address(text).value();
    (address, in_flight.finalize().expect("published"))
}

#[test]
fn structures_arrive_in_a_closure_as_c_passed_them_and_in_c_as_it_returned_them() {
    let test = "structures_arrive_in_a_closure_as_c_passed_them_and_in_c_as_it_returned_them";
    answer_all(test, System::Own, &OWN, handle);
}

#[cfg(not(windows))]
#[test]
fn c_that_was_made_for_apple_calls_a_closure_by_apples_convention() {
    let test = "c_that_was_made_for_apple_calls_a_closure_by_apples_convention";
    answer_all(test, System::Apple, &APPLES, handle_apples);
}

fn answer_all(test: &str, system: System, called: &OnceLock<Called>, handler: Handler) {
    assert!(closure_bytes() > 0, "the convention is known");
    let memory = CodeMemory::new(Options::default()).expect("code memory");
    let (cases, source) = cases(SEED, COUNT);
    let Some(image) = linked(test, system, &memory, &source) else {
        return;
    };
    let with_signature = |case: Case| {
        let signature = case.signature(system);
        (case, signature)
    };
    let called = called.get_or_init(|| Called {
        cases: cases.into_iter().map(with_signature).collect(),
        wrong: Mutex::default(),
    });
    let (trampoline, _kept) = place(&memory, &trampoline(handler));
    for (index, (case, _)) in called.cases.iter().enumerate() {
        let (address, _kept) = place(&memory, &closure(index as u64, trampoline));
        // SAFETY: the function takes one pointer to a function and returns a checksum, and the closure is one.
        let call = unsafe {
            std::mem::transmute::<*const (), extern "C" fn(*const ()) -> u64>(entry(
                &image,
                &format!("g{index}"),
            ))
        };
        let digested = call(ptr::with_exposed_provenance(address as usize));
        assert_eq!(
            digested,
            digest([&answer(case, index)]),
            "result of g{index}"
        );
    }
    let wrong = called.wrong.lock().expect("no panic");
    assert!(wrong.is_empty(), "arguments of {wrong:?}");
}
