//! dynasm-rs on codeslab: `cargo run --example dynasm`.
//!
//! `VecAssembler` takes the address at which its bytes will run, so references to what lies elsewhere are right when they are assembled.
//! `dynasmrt::Assembler`, which has a buffer of its own that is executed in place, is not needed.

use codeslab_assemblers::{Place, run};
use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use std::error::Error;

fn assemble(place: &Place) -> Result<Vec<u8>, Box<dyn Error>> {
    let counter = place.counter().value() as usize;
    let callee = place.callee.value() as usize;
    let mut ops = VecAssembler::<X64Relocation>::new(place.start().value() as usize);
    dynasm!(ops
        ; .arch x64
        ; sub rsp, 8
        ; lea rax, [extern counter]
        ; inc QWORD [rax]
        ; call extern callee
        ; add rsp, 8
        ; ret
    );
    Ok(ops.finalize()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run(assemble)?);
    Ok(())
}

#[test]
fn what_dynasm_assembles_counts_calls_and_reaches_the_process() {
    let said = run(assemble).unwrap();
    let results = "called 3 times: [5, 7, 9223372036854775807]; 0 bytes left";
    assert!(
        !codeslab_assemblers::is_supported() || said.ends_with(results),
        "{said}"
    );
}
