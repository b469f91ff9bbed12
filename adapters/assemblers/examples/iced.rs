//! iced-x86 on codeslab: `cargo run --example iced`.
//!
//! `BlockEncoder` takes the address at which its instructions will run, and encodes references to absolute addresses for it.

use codeslab_assemblers::{Place, run};
use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, Instruction, InstructionBlock, MemoryOperand, Register,
};
use std::error::Error;

fn assemble(place: &Place) -> Result<Vec<u8>, Box<dyn Error>> {
    // Relative to rip, iced takes the address that is meant.
    let counter = place.counter().value().cast_signed();
    let counter = MemoryOperand::with_base_displ(Register::RIP, counter);
    let instructions = [
        Instruction::with2(Code::Sub_rm64_imm8, Register::RSP, 8)?,
        Instruction::with1(Code::Inc_rm64, counter)?,
        Instruction::with_branch(Code::Call_rel32_64, place.callee.value())?,
        Instruction::with2(Code::Add_rm64_imm8, Register::RSP, 8)?,
        Instruction::with(Code::Retnq),
    ];
    let block = InstructionBlock::new(&instructions, place.start().value());
    Ok(BlockEncoder::encode(64, block, BlockEncoderOptions::NONE)?.code_buffer)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run(assemble)?);
    Ok(())
}

#[test]
fn what_iced_encodes_counts_calls_and_reaches_the_process() {
    let said = run(assemble).unwrap();
    let results = "called 3 times: [5, 7, 9223372036854775807]; 0 bytes left";
    assert!(
        !codeslab_assemblers::is_supported() || said.ends_with(results),
        "{said}"
    );
}
