//! Control-flow enforcement (Intel CET): code that begins with `endbr64` runs whether or not the system enforces anything, and with a
//! shadow stack, code that returns to where it was called from runs and other code faults.
//!
//! Linux enforces shadow stacks for programs since 6.6, and indirect branch tracking for none.

use crate::support::{call, layout, memories};
use codeslab::{Address, Allocation, CodeMemory, Request, Writer};
use codeslab_testing::skip;
use codeslab_testing::{assert_passed, is_child, run_child};
use std::os::unix::process::ExitStatusExt;

/// `endbr64; mov eax, 42; ret`
const MARKED: [u8; 10] = [0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 42, 0, 0, 0, 0xc3];
/// Jumps by a return to which no call belongs.
const SMUGGLING: [u8; 19] = [
    0xf3, 0x0f, 0x1e, 0xfa, // endbr64
    0x48, 0x8d, 0x0d, 2, 0, 0, 0, // lea rcx, [rip + 2]
    0x51, 0xc3, // push rcx; ret
    0xb8, 7, 0, 0, 0, 0xc3, // mov eax, 7; ret
];

/// Publishes machine code.
fn publish(memory: &CodeMemory, bytes: &[u8]) -> (Allocation, Address) {
    let (layout, [code, ..]) = layout([32, 0, 0]);
    let mut in_flight = memory.allocate(&Request::new(&layout)).unwrap();
    in_flight.write(code, 0, bytes).unwrap();
    let at = in_flight.address(code);
    (in_flight.finalize().unwrap(), at)
}

#[test]
fn code_that_is_marked_for_indirect_branches_runs() {
    for (writer, memory) in memories() {
        let (_marked, at) = publish(&memory, &MARKED);
        assert_eq!(call(at), 42, "{writer}");
        let (_smuggling, at) = publish(&memory, &SMUGGLING);
        assert_eq!(call(at), 7, "{writer}");
    }
}

/// Gives the thread a shadow stack. What returns from the frame of the caller faults from then on.
#[inline(always)]
fn enable_shadow_stack() -> i64 {
    const ARCH_SHSTK_ENABLE: u64 = 0x5001;
    const ARCH_SHSTK_SHSTK: u64 = 1;
    let result: i64;
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_arch_prctl => result,
            in("rdi") ARCH_SHSTK_ENABLE,
            in("rsi") ARCH_SHSTK_SHSTK,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

#[test]
fn under_a_shadow_stack_marked_code_runs_and_returns_that_were_not_called_fault() {
    const NAME: &str =
        "cet::under_a_shadow_stack_marked_code_runs_and_returns_that_were_not_called_fault";
    const CANNOT: i32 = 77;
    if is_child(NAME) {
        let name = std::env::var("CODESLAB_TEST_WRITER").expect("the parent says which");
        let memory = crate::support::memory(Writer::from_name(&name).expect("one of ours"));
        let bad = std::env::var("CODESLAB_TEST_BAD").is_ok();
        if enable_shadow_stack() != 0 {
            std::process::exit(CANNOT);
        }
        // Everything that places and publishes runs under it, too.
        let (_published, at) = publish(&memory, if bad { &SMUGGLING } else { &MARKED });
        let is_right = call(at) == 42;
        println!("1 passed");
        unsafe { libc::_exit(i32::from(!is_right)) };
    }
    for (writer, _) in memories() {
        let variables = [("CODESLAB_TEST_WRITER", writer.name())];
        let output = run_child(NAME, "exec \"$@\"", &variables);
        if output.status.code() == Some(CANNOT) {
            return skip(NAME, "the processor or the system has no shadow stacks");
        }
        assert_passed(&output);
        let bad = [variables[0], ("CODESLAB_TEST_BAD", "1")];
        let output = run_child(NAME, "exec \"$@\"", &bad);
        assert_eq!(output.status.signal(), Some(11), "{writer}: {output:?}");
    }
}
